//! What an image is built from: a mirror's snapshot, as apt or dnf is told of it, once all packages that are named were found in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::add_mirror::read_mirror;
use super::head_keys::signing_key;
use super::snapshot_packages::SnapshotPackages;
use super::{Error, Result};
use crate::domain::image::Recipe;
use crate::domain::mirror::{Mirror, PackageFormat, PublishedRepository, PublishedSuite, Snapshot, Upstream};
use crate::domain::name::SnapshotId;
use crate::image::Suites;
use crate::image::dnf::{Repositories, Repository};
use crate::image::source::{Offer, PackageSource, needs};
use crate::mirror::layout::MirrorDir;
use crate::repo::openpgp::KeyError;
use crate::sys::data_dir::DataDir;

type Keyrings = Vec<(String, Vec<u8>)>;

/// The format of a mirror's packages.
///
/// # Errors
/// If it has none that an image could be built from.
pub(super) fn package_format(mirror: &Mirror) -> Result<PackageFormat> {
    let refused = || {
        let text = "is of an installation medium: images are built from mirrors of Debian suites or RPM repositories";
        Error::Refused(format!("mirror {} {text}", mirror.name))
    };
    mirror.upstream.packages().ok_or_else(refused)
}

/// The snapshot that the packages come from.
///
/// # Errors
/// If there is none, or it lacks a package that the recipe names.
pub(super) fn package_source(data: &DataDir, recipe: &Recipe, snapshot: Option<&SnapshotId>) -> Result<PackageSource> {
    let mirror = read_mirror(data, &recipe.mirror)?;
    let format = package_format(&mirror)?;
    let dir = MirrorDir::new(data, &recipe.mirror);
    let id = snapshot.cloned().or_else(|| dir.published());
    let id = id.ok_or_else(|| crate::mirror::Error::NothingPublished(recipe.mirror.clone()))?;
    let missing = || crate::mirror::Error::NoSnapshot { mirror: recipe.mirror.clone(), snapshot: Some(id.clone()) };
    let snapshot = dir.read(&id).map_err(crate::mirror::Error::from)?.ok_or_else(missing)?;
    let tree = dir.tree(&id);
    let offered = SnapshotPackages::read(&tree, &snapshot, recipe.arch)?;
    check_packages(recipe, format, &snapshot, &offered)?;
    let (offer, keyrings) = match format {
        PackageFormat::Deb => suites(data, &mirror, &snapshot, recipe)?,
        PackageFormat::Rpm => repositories(data, &mirror, &snapshot, &tree, &offered)?,
    };
    Ok(PackageSource { mirror: recipe.mirror.clone(), snapshot: id, made: snapshot.made, tree, offer, keyrings, arch: recipe.arch })
}

fn check_packages(recipe: &Recipe, format: PackageFormat, snapshot: &Snapshot, offered: &SnapshotPackages) -> Result<()> {
    let named = needs(recipe, format).packages;
    let lacking: Vec<String> = named.iter().filter(|name| !offered.has(name)).map(|name| hint(name, offered)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "snapshot {} of mirror {} has no package {} for {}: correct the recipe, or add the package to the mirror's [filter] and sync it",
        snapshot.id,
        recipe.mirror,
        lacking.join(", "),
        recipe.arch.debian()
    )))
}

fn hint(name: &str, offered: &SnapshotPackages) -> String {
    match offered.like(name)[..] {
        [] => format!("`{name}`"),
        ref like => format!("`{name}` (it has {})", like.join(", ")),
    }
}

/// All suites of a snapshot, the one that the recipe names first, with their keys.
fn suites(data: &DataDir, mirror: &Mirror, snapshot: &Snapshot, recipe: &Recipe) -> Result<(Offer, Keyrings)> {
    let mut suites = snapshot.suites.clone();
    if let Some(wanted) = &recipe.suite {
        let Some(at) = suites.iter().position(|suite| suite.suite == *wanted || suite.codename == *wanted) else {
            let known: Vec<&str> = suites.iter().map(|suite| suite.suite.as_str()).collect();
            let text = format!("snapshot {} of mirror {} has no suite {wanted}: it has {}", snapshot.id, recipe.mirror, known.join(", "));
            return Err(Error::Usage(text));
        };
        suites.swap(0, at);
    }
    let keyrings = match &mirror.upstream {
        Upstream::Debian(debian) if !rebuilt(&suites) => upstream_keyrings(debian.sources.iter().flat_map(|source| &source.keyring))?,
        _ => vec![("kickctl.gpg".to_owned(), signing_key(data)?.public_bytes().map_err(unreadable)?)],
    };
    let nothing = || Error::Refused(format!("snapshot {} of mirror {} has no suite", snapshot.id, mirror.name));
    Ok((Offer::Debian(Suites::new(suites).ok_or_else(nothing)?), keyrings))
}

fn rebuilt(suites: &[PublishedSuite]) -> bool {
    suites.iter().all(|suite| suite.rebuilt)
}

fn unreadable(error: KeyError) -> Error {
    Error::Refused(format!("the head's key does not read: {error}"))
}

/// Keys of a mirror that keeps upstream's signatures. apt tells text from binary by the file's name.
fn upstream_keyrings<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<Keyrings> {
    let paths: BTreeSet<&PathBuf> = paths.collect();
    let read = |(number, path): (usize, &PathBuf)| {
        let bytes = key_file(path)?;
        let extension = if bytes.starts_with(b"-----BEGIN") { "asc" } else { "gpg" };
        Ok((format!("kickctl-{number}.{extension}"), bytes))
    };
    paths.into_iter().enumerate().map(read).collect()
}

fn key_file(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::Io { what: format!("cannot read the keyring {}", path.display()), source })
}

/// All repositories of a snapshot, with what the mirror's definition says of signatures, and their keys: the head's own for what it rebuilt,
/// and those of the packages, which lie in the snapshot.
fn repositories(
    data: &DataDir,
    mirror: &Mirror,
    snapshot: &Snapshot,
    tree: &Path,
    offered: &SnapshotPackages,
) -> Result<(Offer, Keyrings)> {
    let mut keyrings = BTreeMap::new();
    let mut all = Vec::new();
    for published in &snapshot.repositories {
        let mut keys = BTreeSet::new();
        for key in &published.keys {
            let name = format!("kickctl-{}", key.trim_start_matches("keys/").replace('/', "-"));
            keyrings.insert(name.clone(), key_file(&tree.join(key))?);
            keys.insert(name);
        }
        if published.rebuilt {
            let name = "kickctl.asc".to_owned();
            keyrings.insert(name.clone(), signing_key(data)?.public_armoured().map_err(unreadable)?.into_bytes());
            keys.insert(name);
        }
        let (repo_gpgcheck, gpgcheck) = checks(mirror, published);
        all.push(Repository { name: published.name.clone(), path: published.path.clone(), keys, repo_gpgcheck, gpgcheck });
    }
    if all.is_empty() {
        return Err(Error::Refused(format!("snapshot {} of mirror {} has no repository", snapshot.id, mirror.name)));
    }
    let platform = offered.like("base-module(platform:").into_iter().find_map(platform).map(str::to_owned);
    Ok((Offer::Rpm(Repositories { all, platform }), keyrings.into_iter().collect()))
}

/// `platform:el9` of `base-module(platform:el9)`, which a distribution's release package provides.
fn platform(provided: &str) -> Option<&str> {
    provided.strip_prefix("base-module(").and_then(|name| name.strip_suffix(')')).filter(|name| name.starts_with("platform:"))
}

/// Whether metadata and packages must be signed. A merged repository has packages of all that the definition names.
fn checks(mirror: &Mirror, published: &PublishedRepository) -> (bool, bool) {
    let defined = match &mirror.upstream {
        Upstream::Rpm(rpm) => &rpm.repositories[..],
        _ => &[],
    };
    let own: Vec<_> = match defined.iter().find(|repository| repository.name == published.name) {
        Some(repository) => vec![repository],
        None => defined.iter().collect(),
    };
    // Those of the site's own directory are signed by nobody.
    let packages = !own.is_empty() && mirror.local.is_empty() && own.iter().all(|repository| repository.gpgcheck);
    let metadata = published.signed && (published.rebuilt || own.iter().all(|repository| repository.repo_gpgcheck));
    (metadata, packages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mirror::{Addresses, RpmMirror};

    fn mirror(repositories: &[(&str, bool, bool)]) -> Mirror {
        let repository = |(name, repo_gpgcheck, gpgcheck): &(&str, bool, bool)| crate::domain::mirror::Repository {
            name: (*name).to_owned(),
            path: (*name).to_owned(),
            addresses: Addresses::BaseUrl(vec![format!("http://a.example/{name}")]),
            keys: Vec::new(),
            repo_gpgcheck: *repo_gpgcheck,
            gpgcheck: *gpgcheck,
            updates: None,
        };
        let repositories = repositories.iter().map(repository).collect();
        let upstream = Upstream::Rpm(RpmMirror { repositories, filter: None, merge: false, tree: None });
        Mirror { name: "m".parse().unwrap(), upstream, local: Vec::new(), keep: 3, refresh: None }
    }

    fn published(name: &str, rebuilt: bool) -> PublishedRepository {
        PublishedRepository { name: name.to_owned(), path: String::new(), packages: 1, rebuilt, signed: true, keys: Vec::new() }
    }

    #[test]
    fn dnf_checks_what_the_mirrors_definition_says() {
        let two = mirror(&[("BaseOS", true, true), ("extras", false, false)]);
        assert_eq!(checks(&two, &published("BaseOS", false)), (true, true));
        // Upstream's own signature, whose key nobody gave.
        assert_eq!(checks(&two, &published("extras", false)), (false, false));
        // The head's own signature is always checked. What was merged is only as sure as the least of it.
        assert_eq!(checks(&two, &published("m", true)), (true, false));
        assert_eq!(checks(&mirror(&[("BaseOS", false, true)]), &published("m", true)), (true, true));
        // The site's packages that joined are signed by nobody.
        let local = Mirror { local: vec!["/srv/rpms".into()], ..two };
        assert_eq!(checks(&local, &published("BaseOS", true)), (true, false));
    }

    #[test]
    fn the_platform_of_modules_is_what_the_release_package_provides() {
        assert_eq!(platform("base-module(platform:el9)"), Some("platform:el9"));
        assert_eq!(platform("base-module(other)"), None);
    }
}
