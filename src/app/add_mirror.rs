//! `mirror add`: takes over a definition, with addresses and keyrings filled in.

use std::path::{Path, PathBuf};

use super::{Error, Result, rpm_definition};
use crate::config::Source;
use crate::config::mirror_file::{self, Archive, DirectoryTable, MediumTable, MirrorFile};
use crate::domain::mirror::{Mirror, PackageFormat, Upstream};
use crate::domain::name::MirrorName;
use crate::mirror::deb::host_sources::{self, HostSource};
use crate::mirror::directory::packages;
use crate::mirror::layout::MirrorDir;
use crate::mirror::shipped::{SHIPPED, shipped};
use crate::mirror::{keys, medium, sync};
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;

/// What to add.
#[derive(Clone, Debug)]
pub struct MirrorRequest {
    /// The mirror's name; without `file` the shipped definition of that name is taken.
    pub name: MirrorName,
    /// A definition of the site's own.
    pub file: Option<PathBuf>,
    /// Take addresses and keyrings from this machine's apt sources.
    pub from_host: bool,
    /// The main archive's address.
    pub url: Option<String>,
    /// The security archive's address.
    pub security_url: Option<String>,
    /// Keyrings to verify the archives with.
    pub keyring: Vec<PathBuf>,
    /// A directory that is to be the mirror: RPM repositories with their metadata, a kickstart tree, a mounted medium; or plain packages. Or the
    /// image of a live medium.
    pub path: Option<PathBuf>,
    /// Which packages a plain directory holds; `None`: those that it holds now.
    pub packages: Option<PackageFormat>,
    /// Directories whose packages join the mirror.
    pub local: Vec<PathBuf>,
    /// Say what would be added, and add nothing.
    pub dry_run: bool,
}

/// What was added.
#[derive(Clone, Debug)]
pub struct AddedMirror {
    /// The mirror.
    pub mirror: Mirror,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Adds a mirror, or replaces the definition of one that exists with the same command.
///
/// # Errors
/// [`Error::Config`] naming line and key, [`Error::Usage`] for an unknown name, [`Error::Refused`] where the mirror exists and differs.
pub async fn add_mirror(data: &DataDir, request: &MirrorRequest) -> Result<AddedMirror> {
    let (source, mut file) = match &request.path {
        Some(path) => directory(request, path)?,
        None => {
            let source = definition(request)?;
            let file = mirror_file::read(&source)?;
            (source, file)
        }
    };
    let mut notes = Vec::new();
    fill(&mut file, request, &mut notes)?;
    for folder in &request.local {
        file.local.push(std::path::absolute(folder).map_err(|error| io("find the local directory", folder, error))?);
    }
    let mirror = file.meaning(&source, &request.name)?;
    let rings: Vec<&[PathBuf]> = match &mirror.upstream {
        Upstream::Debian(debian) => debian.sources.iter().map(|source| source.keyring.as_slice()).collect(),
        Upstream::Directory(_) | Upstream::Medium(_) => Vec::new(),
        Upstream::Rpm(rpm) => rpm.repositories.iter().map(|repository| repository.keys.as_slice()).collect(),
    };
    rings.into_iter().try_for_each(|ring| keys::keyring(ring).map(drop))?;
    if let Some(missing) = mirror.local.iter().find(|folder| !folder.is_dir()) {
        return Err(Error::Usage(format!("the local directory {} is not there", missing.display())));
    }
    let text = file.to_toml().map_err(|error| Error::Usage(format!("the definition cannot be written: {error}")))?;
    let dir = MirrorDir::new(data, &request.name);
    let there = dir.definition().is_file().then(|| Source::open(&dir.definition()).and_then(|source| mirror_file::read(&source)));
    if there.as_ref().is_some_and(|there| !there.as_ref().is_ok_and(|there| *there == file)) {
        let place = dir.definition();
        return Err(Error::Refused(format!(
            "mirror {0} exists with another definition: edit {1} by hand, then run `kickctl mirror sync {0}`",
            request.name,
            place.display()
        )));
    }
    if !request.dry_run && there.is_none() {
        let _lock = sync::lock_mirror(&dir).await?;
        atomic::write(&dir.definition(), text.as_bytes(), 0o644).map_err(|error| io("write", &dir.definition(), error))?;
    }
    Ok(AddedMirror { mirror, notes })
}

/// The definition of a mirror that was added.
///
/// # Errors
/// [`Error::Mirror`] with the remedy where there is none, [`Error::Config`] where it does not read.
pub fn read_mirror(data: &DataDir, name: &MirrorName) -> Result<Mirror> {
    let dir = MirrorDir::new(data, name);
    if !dir.definition().is_file() {
        let remedy = match shipped(name.as_str()) {
            Some(_) => format!("its definition ships with kickctl; run `kickctl mirror add {name} --from-host` (or with --url) first"),
            None => "`kickctl mirror list` shows those there are".to_owned(),
        };
        return Err(crate::mirror::Error::NoMirror { name: name.clone(), remedy }.into());
    }
    let source = Source::open(&dir.definition())?;
    Ok(mirror_file::read(&source)?.meaning(&source, name)?)
}

/// The definition of a mirror that is a directory.
fn directory(request: &MirrorRequest, path: &Path) -> Result<(Source, MirrorFile)> {
    let path = std::path::absolute(path).map_err(|error| io("find the directory", path, error))?;
    if path.is_file() {
        return live_medium(request, path);
    }
    if path.join("casper").is_dir() && request.packages.is_none() {
        return Err(Error::Usage(format!(
            "{} is a live medium that is mounted: name its image, the .iso file, which is what nodes run from",
            path.display()
        )));
    }
    if !path.is_dir() {
        return Err(Error::Usage(format!("the directory {} is not there", path.display())));
    }
    if request.packages.is_none()
        && let Some(file) = rpm_definition::of_tree(&path, &request.keyring)
    {
        return Ok((Source::new("the command line", ""), file));
    }
    let packages = match request.packages {
        Some(packages) => packages,
        None => packages::format_of(&path, &packages::list(&path, None)?).map_err(|error| Error::Usage(error.to_string()))?,
    };
    let file = MirrorFile { directory: Some(DirectoryTable { path, packages, publish_as: None }), ..MirrorFile::default() };
    Ok((Source::new("the command line", ""), file))
}

/// The definition of a mirror that is the image of a live medium.
fn live_medium(request: &MirrorRequest, image: PathBuf) -> Result<(Source, MirrorFile)> {
    if request.packages.is_some() || !request.keyring.is_empty() {
        return Err(Error::Usage(format!("{} is a file: --packages and --keyring are for directories", image.display())));
    }
    medium::check(&image)?;
    let file = MirrorFile { medium: Some(MediumTable { image }), ..MirrorFile::default() };
    Ok((Source::new("the command line", ""), file))
}

fn definition(request: &MirrorRequest) -> Result<Source> {
    if let Some(path) = &request.file {
        return Ok(Source::open(path)?);
    }
    let made = if request.from_host && shipped(request.name.as_str()).is_none() { rpm_definition::of_host(Path::new("/")) } else { None };
    if let Some(file) = made {
        let text = file.to_toml().map_err(|error| Error::Usage(format!("the definition cannot be written: {error}")))?;
        return Ok(Source::new("/etc/yum.repos.d", text));
    }
    let Some(text) = shipped(request.name.as_str()) else {
        let known: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        let known = known.join(", ");
        return Err(Error::Usage(format!(
            "no definition `{}` ships with kickctl ({known} do): name a file with --file DEFINITION.toml",
            request.name
        )));
    };
    Ok(Source::new(format!("mirror/{}.toml", request.name), text))
}

/// Fills in addresses and keyrings, from the command line before the host's sources. A security archive that nobody names is left out.
fn fill(file: &mut MirrorFile, request: &MirrorRequest, notes: &mut Vec<String>) -> Result<()> {
    if !file.repositories.is_empty() {
        return fill_rpm(file, request);
    }
    let host = if request.from_host { host_sources::read(Path::new("/etc/apt")) } else { Vec::new() };
    let ring = |source: Option<&HostSource>| match source {
        _ if !request.keyring.is_empty() => request.keyring.clone(),
        Some(source) => host_sources::keyring_of(source, Path::new("/")),
        None => debian_keyring(),
    };
    let find = |archive: Archive| {
        let (given, kind) = match archive {
            Archive::Debian => (&request.url, host_sources::Archive::Main),
            Archive::DebianSecurity => (&request.security_url, host_sources::Archive::Security),
        };
        let found = host_sources::find(&host, kind);
        let url = given.clone().or_else(|| found.map(|source| source.url.clone()))?;
        Some((url, ring(found)))
    };
    file.fill(&find);
    let named = file.sources.len();
    file.sources.retain(|source| source.url.is_some() || source.archive != Some(Archive::DebianSecurity));
    if file.sources.len() < named {
        notes.push("no address of the security archive was found: its updates are not mirrored (--security-url URL adds them)".to_owned());
    }
    if request.from_host && file.sources.iter().any(|source| source.archive == Some(Archive::Debian) && source.url.is_none()) {
        let text =
            "this machine's apt sources (/etc/apt/sources.list, sources.list.d) name no Debian archive: give its address with --url URL";
        return Err(Error::Usage(text.to_owned()));
    }
    Ok(())
}

/// Keys from the command line before the host's and the definition's.
fn fill_rpm(file: &mut MirrorFile, request: &MirrorRequest) -> Result<()> {
    if request.url.is_some() || request.security_url.is_some() {
        let text =
            "--url is for mirrors of Debian archives: the addresses of RPM repositories stand in the definition (--file DEFINITION.toml)";
        return Err(Error::Usage(text.to_owned()));
    }
    if request.from_host {
        rpm_definition::fill_from_host(file, Path::new("/"))?;
    }
    for table in file.repositories.iter_mut().filter(|_| !request.keyring.is_empty()) {
        table.keys.clone_from(&request.keyring);
    }
    Ok(())
}

fn debian_keyring() -> Vec<PathBuf> {
    vec![PathBuf::from("/usr/share/keyrings/debian-archive-keyring.gpg")]
}

fn io(what: &str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { what: format!("cannot {what} {}", path.display()), source }
}
