//! A mirror's definition: what was written in TOML, and the [`Mirror`] that it means.

mod debian;
mod directory;
mod medium;
mod rpm;

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::span::{Error, Source};
use crate::domain::mirror::{Mirror, Upstream};
use crate::domain::name::MirrorName;
use crate::domain::schedule::{self, Schedule};

pub use debian::{Archive, InstallerTable, SourceTable};
pub use directory::DirectoryTable;
pub use medium::MediumTable;
pub use rpm::{RepositoryTable, TreeTable};

/// Snapshots that `prune` keeps unless the definition says otherwise.
const KEEP: usize = 3;

/// A definition as written: `[[source]]` tables for Debian archives or `[[repository]]` tables for RPM repositories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorFile {
    /// How many snapshots `prune` keeps besides those in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// Directories of the site whose packages join the mirror.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<PathBuf>,
    /// When `serve` refreshes it: `hourly`, `daily 03:30`, `sunday 03:30`, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// RPM: publish all packages as one repository.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub merge: bool,
    /// Debian: where the packages come from.
    #[serde(default, rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceTable>,
    /// RPM: where the packages come from.
    #[serde(default, rename = "repository", skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<RepositoryTable>,
    /// A plain directory of packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryTable>,
    /// An installation medium that runs from itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<MediumTable>,
    /// Which are taken; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterTable>,
    /// Debian: the network installer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installer: Option<InstallerTable>,
    /// RPM: the kickstart tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeTable>,
}

/// `[filter]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterTable {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    priorities: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sections: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<bool>,
    recommends: bool,
}

impl MirrorFile {
    /// Gives the address and keyring to sources that name only an archive. Those for which `address` has none stay as they are.
    pub fn fill(&mut self, address: &dyn Fn(Archive) -> Option<(String, Vec<PathBuf>)>) {
        for source in self.sources.iter_mut().filter(|source| source.url.is_none()) {
            let Some((url, keyring)) = source.archive.and_then(address) else { continue };
            source.url = Some(url);
            if source.keyring.is_empty() {
                source.keyring = keyring;
            }
        }
    }

    /// As TOML.
    ///
    /// # Errors
    /// If a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    /// What it means.
    ///
    /// # Errors
    /// [`Error::Wrong`], naming file, line, key, value and what is allowed. `source`: the text it was read from.
    pub fn meaning(&self, source: &Source, name: &MirrorName) -> Result<Mirror, Error> {
        if let Some(at) = self.local.iter().position(|folder| !folder.is_absolute()) {
            return Err(source.wrong(&format!("local.{at}"), "is not an absolute path", "a directory such as /srv/packages"));
        }
        let upstream = match (self.sources.is_empty(), self.repositories.is_empty()) {
            (true, true) if self.directory.is_none() && self.medium.is_some() => Upstream::Medium(medium::meaning(self, source)?),
            _ if self.medium.is_some() => return Err(source.wrong("medium", "does not go with other sources", "two mirrors")),
            (true, true) => Upstream::Directory(directory::meaning(self, source)?),
            _ if self.directory.is_some() => {
                return Err(source.wrong("directory", "does not go with other sources", "two mirrors, or `local` in the other one"));
            }
            (false, false) => {
                let allowed = "[[source]] tables for Debian, or [[repository]] tables for RPM: two mirrors";
                return Err(source.wrong("repository", "does not go with [[source]]", allowed));
            }
            (false, true) => {
                self.only(source, "RPM repositories", &[("merge", self.merge), ("tree", self.tree.is_some())])?;
                Upstream::Debian(debian::meaning(self, source)?)
            }
            (true, false) => {
                self.only(source, "Debian archives", &[("installer", self.installer.is_some())])?;
                Upstream::Rpm(rpm::meaning(self, source)?)
            }
        };
        let schedule = |text: &String| text.parse::<Schedule>().map_err(|_| source.wrong("refresh", "is no schedule", schedule::ALLOWED));
        let refresh = self.refresh.as_ref().map(schedule).transpose()?;
        Ok(Mirror { name: name.clone(), upstream, local: self.local.clone(), keep: self.keep.unwrap_or(KEEP), refresh })
    }

    /// Refuses keys that belong to the other format.
    fn only(&self, source: &Source, other: &str, keys: &[(&str, bool)]) -> Result<(), Error> {
        match keys.iter().find(|(_, there)| *there) {
            Some((key, _)) => Err(source.wrong(key, format!("is for mirrors of {other}"), "")),
            None => Ok(()),
        }
    }
}

/// Names and globs of packages.
fn check_patterns(table: &FilterTable, file: &Source) -> Result<(), Error> {
    for (name, values) in [("names", &table.names), ("exclude", &table.exclude)] {
        let good = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.*?_[]!".contains(&b));
        if let Some(at) = values.iter().position(|value| !good(value)) {
            return Err(file.wrong(&format!("filter.{name}.{at}"), "is not a package name", "a name or a glob such as linux-image-*"));
        }
    }
    Ok(())
}

/// Suites, components and folders become folders and addresses.
fn is_path(text: &str) -> bool {
    text.len() <= 200
        && text.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._~".contains(&b))
        })
}

/// Reads a definition.
///
/// # Errors
/// [`Error`], naming file, line, key, value and what is allowed.
pub fn read(source: &Source) -> Result<MirrorFile, Error> {
    source.read()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"keep = 5
[[source]]
url = "http://a.example/debian/"
suites = ["trixie"]
components = ["main", "main/debian-installer"]
architectures = ["amd64"]
keyring = ["/ring.gpg"]
[filter]
names = ["bash"]
[installer]
suite = "trixie"
architectures = ["amd64"]
"#;

    fn meaning(text: &str) -> Result<Mirror, Error> {
        let source = Source::new("m.toml", text);
        read(&source)?.meaning(&source, &"m".parse().unwrap())
    }

    #[test]
    fn a_definition_means_a_mirror() {
        let mirror = meaning(GOOD).unwrap();
        let Upstream::Debian(debian) = mirror.upstream else { panic!("is no mirror of Debian archives") };
        assert_eq!((mirror.keep, debian.sources[0].url.as_str()), (5, "http://a.example/debian"));
        assert!(debian.filter.unwrap().dependencies && debian.installer.is_some());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_is_allowed() {
        let cases = [
            (
                GOOD.replace("http://a.example/debian/", "a.example"),
                "m.toml:3:7: source.0.url = \"a.example\": is not an archive's address",
            ),
            (GOOD.replace("\"main\", ", "\"../main\", "), "source.0.components.0 = \"../main\": is not a name"),
            (GOOD.replace("[\"amd64\"]\nkeyring", "[\"amd46\"]\nkeyring"), "m.toml:6:"),
            (GOOD.replace("keyring = [\"/ring.gpg\"]\n", ""), "source.0.keyring: names no keyring"),
            (
                GOOD.replace("suite = \"trixie\"\n", "suite = \"sid\"\n"),
                "installer.suite = \"sid\": is no suite of the sources; allowed: trixie",
            ),
            (
                GOOD.replace("names = [\"bash\"]", "priorities = [\"high\"]"),
                "filter.priorities.0 = \"high\": is not a priority; allowed: required",
            ),
            (GOOD.replace("names = [\"bash\"]", ""), "filter"),
            (GOOD.replace("names = [\"bash\"]", "names = [\"bash\"]\nnewest = 1"), "filter.newest = 1: is for mirrors of RPM repositories"),
            (format!("merge = true\n{GOOD}"), "merge = true: is for mirrors of RPM repositories"),
            (GOOD.replace("keep", "kepp"), "m.toml:1:1: kepp: there is no such key"),
        ];
        for (text, expected) in cases {
            let said = meaning(&text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}\nshould contain {expected}");
        }
    }

    #[test]
    fn what_is_written_back_reads_as_the_same() {
        let source = Source::new("m.toml", GOOD);
        let file = read(&source).unwrap();
        assert_eq!(read(&Source::new("m.toml", file.to_toml().unwrap())).unwrap(), file);
    }
}
