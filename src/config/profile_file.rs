//! Profiles as files: `profiles/NAME/profile.toml` and the templates `profiles/NAME/*.hbs` beside it. kickctl's own are part of the
//! program; a site's, in its data folder, replace them by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::span::{Error, Source};
use crate::domain::name::{ImageName, MirrorName, ProfileName};
use crate::domain::profile::{Profile, ProfileKind};
use crate::domain::variables::Variables;

/// Longest file of a profile in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Most files of one profile.
const MAX_FILES: usize = 256;

/// The file that makes a folder a profile.
pub const PROFILE: &str = "profile.toml";

/// What was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    summary: String,
    extends: Option<String>,
    kind: Option<ProfileKind>,
    mirror: Option<String>,
    image: Option<String>,
    #[serde(default)]
    variables: Variables,
}

/// A profile and its files, `profile.toml` among them.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileFiles {
    /// What `profile.toml` means.
    pub profile: Profile,
    /// Where the files are; `built in` if they are part of the program.
    pub origin: String,
    /// Name and text of each file.
    pub files: BTreeMap<String, String>,
}

macro_rules! shipped {
    ($($profile:literal: [$($file:literal),+ $(,)?]),+ $(,)?) => {
        &[$(($profile, &[$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/", $profile, "/", $file)))),+])),+]
    };
}

/// A shipped profile: its name, and its files by name.
type Shipped = (&'static str, &'static [(&'static str, &'static str)]);

const SHIPPED: &[Shipped] = shipped! {
    "base": [
        "profile.toml", "lib.sh.hbs", "inventory.sh.hbs", "gate.sh.hbs", "watch.sh.hbs", "finish.sh.hbs", "handover.sh.hbs",
        "late-fetch.sh.hbs", "late.sh.hbs", "firstboot.hbs", "firstboot.service.hbs", "packages-units.sh.hbs", "efi-order.sh.hbs",
        "takeover.sh.hbs", "onerror.sh.hbs", "live.sh.hbs", "apt.sh.hbs", "grub.sh.hbs",
    ],
    "autoinstall": [
        "profile.toml", "user-data.hbs", "meta-data.hbs", "vendor-data.hbs", "autoinstall.yaml.hbs", "installer.sh.hbs", "prepare.sh.hbs",
        "distribution.sh.hbs", "closing.sh.hbs",
    ],
    "debian-13": [
        "profile.toml", "preseed.cfg.hbs", "takeover.sh.hbs", "installer.sh.hbs", "steps.awk.hbs", "distribution.sh.hbs", "closing.sh.hbs",
    ],
    "fedora": ["profile.toml"],
    "kickstart": [
        "profile.toml", "ks.cfg.hbs", "installer.sh.hbs", "prepare.sh.hbs", "distribution.sh.hbs", "closing.sh.hbs",
    ],
    "rocky-9": ["profile.toml"],
    "ubuntu-24.04": ["profile.toml"],
    "diskless": ["profile.toml"],
    "debian-13-nfs": ["profile.toml"],
    "debian-13-nfs-rw": ["profile.toml"],
    "debian-13-ram": ["profile.toml"],
    "debian-13-ram-usr": ["profile.toml"],
};

/// The profiles that are part of the program.
///
/// # Errors
/// If one of them is wrong, which a test rules out.
pub fn shipped() -> Result<Vec<ProfileFiles>, Error> {
    SHIPPED
        .iter()
        .map(|(name, files)| {
            let files: BTreeMap<String, String> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
            read(name, "built in", &PathBuf::from(format!("profiles/{name}/{PROFILE}")), files)
        })
        .collect()
}

/// The profiles in the site's folder, which replace shipped ones of the same name as a whole.
///
/// # Errors
/// [`Error`] names the file, the place in it, what was written and what is allowed. A folder without `profile.toml` is an error too:
/// it is meant to be a profile, or it would not be there.
pub fn site_profiles(folder: &Path) -> Result<Vec<ProfileFiles>, Error> {
    let mut names = match list(folder) {
        Ok(names) => names,
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    names.retain(|name| !name.starts_with('.') && folder.join(name).is_dir());
    names.iter().map(|name| load(&folder.join(name))).collect()
}

/// Reads one profile's folder; its name is the folder's.
///
/// # Errors
/// As [`site_profiles`].
pub fn load(folder: &Path) -> Result<ProfileFiles, Error> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let file = folder.join(PROFILE);
    let mut files = BTreeMap::new();
    for entry in list(folder)? {
        if entry == PROFILE || entry.ends_with(".hbs") {
            let path = folder.join(&entry);
            let text = read_bounded(&path)?;
            files.insert(entry, text);
        }
    }
    read(name, &folder.display().to_string(), &file, files)
}

fn read(name: &str, origin: &str, file: &Path, files: BTreeMap<String, String>) -> Result<ProfileFiles, Error> {
    let Some(text) = files.get(PROFILE) else {
        let missing =
            std::io::Error::new(std::io::ErrorKind::NotFound, "a profile's folder needs this file; one line `summary = \"…\"` will do");
        return Err(Error::Read { file: file.to_owned(), source: missing });
    };
    let source = Source::new(file, text.as_str());
    let written: Written = source.read()?;
    let profile = Profile {
        name: name
            .parse()
            .map_err(|error: crate::domain::name::BadName| source.wrong("summary", format!("the folder's name: {error}"), ""))?,
        summary: written.summary,
        extends: named(&source, "extends", written.extends)?,
        kind: written.kind,
        mirror: mirror(&source, written.mirror)?,
        image: image(&source, written.image)?,
        variables: written.variables,
    };
    Ok(ProfileFiles { profile, origin: origin.to_owned(), files })
}

fn named(source: &Source, key: &str, text: Option<String>) -> Result<Option<ProfileName>, Error> {
    text.map(|text| text.parse().map_err(|error: crate::domain::name::BadName| source.wrong(key, error.to_string(), ""))).transpose()
}

fn mirror(source: &Source, text: Option<String>) -> Result<Option<MirrorName>, Error> {
    text.map(|text| text.parse().map_err(|error: crate::domain::name::BadName| source.wrong("mirror", error.to_string(), ""))).transpose()
}

fn image(source: &Source, text: Option<String>) -> Result<Option<ImageName>, Error> {
    text.map(|text| text.parse().map_err(|error: crate::domain::name::BadName| source.wrong("image", error.to_string(), ""))).transpose()
}

fn list(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Read { file: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().to_str().map(str::to_owned));
    }
    if names.len() > MAX_FILES {
        return Err(failed(std::io::Error::other(format!("{} files; at most {MAX_FILES} are read", names.len()))));
    }
    names.sort();
    Ok(names)
}

fn read_bounded(file: &Path) -> Result<String, Error> {
    let failed = |source| Error::Read { file: file.to_owned(), source };
    let size = fs::metadata(file).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(failed(std::io::Error::other(format!("{size} bytes; at most {MAX_FILE} are read"))));
    }
    fs::read_to_string(file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn every_shipped_file_is_in_the_program() {
        let shipped = shipped().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        for folder in list(&root).unwrap() {
            let profile = shipped.iter().find(|profile| profile.profile.name.as_str() == folder).unwrap();
            let files: Vec<&String> = profile.files.keys().collect();
            assert_eq!(files, list(&root.join(&folder)).unwrap().iter().collect::<Vec<_>>(), "{folder}");
        }
    }

    #[test]
    fn a_sites_profile_is_what_its_files_say() {
        let site =
            site(&[("debian-13/profile.toml", "summary = 'ours'\nextends = 'base'"), ("debian-13/x.hbs", "x"), ("debian-13/README", "x")]);
        let all = site_profiles(site.path()).unwrap();
        let ours = all.iter().find(|profile| profile.profile.name.as_str() == "debian-13").unwrap();
        assert_eq!(ours.profile.summary, "ours");
        assert_eq!(ours.files.keys().collect::<Vec<_>>(), ["profile.toml", "x.hbs"]);
        assert_eq!(site_profiles(&site.path().join("missing")).unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_key_value_and_what_is_allowed() {
        let site = site(&[("web/profile.toml", "summary = 'x'\nkind = 'kickstat'\n")]);
        let told = site_profiles(site.path()).unwrap_err().to_string();
        assert!(told.contains("web/profile.toml:2:8: kind = 'kickstat'") && told.contains("preseed"), "{told}");
        fs::write(site.path().join("web/profile.toml"), "summary = 'x'\nextend = 'base'\n").unwrap();
        let told = site_profiles(site.path()).unwrap_err().to_string();
        assert!(told.contains(":2:1: extend: there is no such key") && told.contains("extends"), "{told}");
        fs::write(site.path().join("web/profile.toml"), "summary = 'x'\nextends = 'no good'\n").unwrap();
        let told = site_profiles(site.path()).unwrap_err().to_string();
        assert!(told.contains(":2:") && told.contains("no good"), "{told}");
    }

    #[test]
    fn a_folder_without_its_file_is_told() {
        let site = site(&[("web/preseed.cfg.hbs", "x")]);
        let told = site_profiles(site.path()).unwrap_err().to_string();
        assert!(told.contains("web/profile.toml"), "{told}");
    }
}
