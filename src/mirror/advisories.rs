//! The advisories that concern a snapshot: all, or those that something older lacks.

use std::collections::HashMap;

use super::contents::{self, Held};
use super::layout::MirrorDir;
use super::{Error, Result, deb, rpm};
use crate::domain::advisory::Advisory;
use crate::domain::mirror::{Mirror, PackageFormat, Snapshot, Upstream};
use crate::domain::package::Installed;
use crate::repo::version;

/// What advisories are held against: what a node has, or an older snapshot.
pub struct Baseline {
    format: PackageFormat,
    /// By name and architecture.
    packages: HashMap<(String, String), Vec<Installed>>,
    /// True if it is known of each package whether it belongs to a module stream.
    knows_modules: bool,
}

impl Baseline {
    /// Of what a node told that it has.
    pub fn of_node(format: PackageFormat, packages: Vec<Installed>) -> Self {
        Self { knows_modules: true, ..Self::of(format, packages.into_iter()) }
    }

    /// Of what a snapshot holds.
    pub fn of_snapshot(format: PackageFormat, held: &[Held]) -> Self {
        Self::of(format, held.iter().map(|held| Installed { package: held.package.clone(), module: None }))
    }

    fn of(format: PackageFormat, all: impl Iterator<Item = Installed>) -> Self {
        let mut packages: HashMap<_, Vec<Installed>> = HashMap::new();
        for installed in all {
            packages.entry((installed.package.name.clone(), installed.package.arch.clone())).or_default().push(installed);
        }
        Self { format, packages, knows_modules: false }
    }

    /// The highest version that it has of a package; `None` if it has none. `module`: the stream that a fix is for, such as `nodejs:18`; only
    /// packages of that stream (or of none) are looked at, where that is known.
    pub(super) fn version(&self, name: &str, arch: &str, module: Option<&str>) -> Option<&str> {
        let all = self.packages.get(&(name.to_owned(), arch.to_owned()))?;
        let fit = all.iter().filter(|installed| !self.knows_modules || installed.module.as_deref() == module);
        version::highest(self.format, fit.map(|installed| installed.package.version.as_str()))
    }

    /// How many of its packages something offers in a higher version.
    pub fn behind(&self, offered: &[Held]) -> usize {
        let mut newest: HashMap<(&str, &str), &str> = HashMap::new();
        for Held { package, .. } in offered {
            let best = newest.entry((package.name.as_str(), package.arch.as_str())).or_insert(package.version.as_str());
            if version::compare(self.format, &package.version, best).is_gt() {
                *best = &package.version;
            }
        }
        let is_behind = |((name, arch), own): (&(String, String), &Vec<Installed>)| {
            let has = version::highest(self.format, own.iter().map(|installed| installed.package.version.as_str()));
            let offered = newest.get(&(name.as_str(), arch.as_str()));
            has.zip(offered).is_some_and(|(has, offered)| version::compare(self.format, has, offered).is_lt())
        };
        self.packages.iter().filter(|entry| is_behind(*entry)).count()
    }

    /// True if it has exactly this version.
    pub(super) fn has(&self, name: &str, arch: &str, version: &str) -> bool {
        let all = self.packages.get(&(name.to_owned(), arch.to_owned()));
        all.is_some_and(|all| all.iter().any(|installed| installed.package.version == version))
    }
}

/// The advisories of a snapshot, the gravest first; with a baseline those that it lacks. In Debian archives, without a baseline, those that the
/// suites without updates lack.
///
/// # Errors
/// [`Error::Unread`] if an index, or a file of advisories that the definition names, does not read.
pub fn advisories(dir: &MirrorDir, mirror: &Mirror, snapshot: &Snapshot, baseline: Option<&Baseline>) -> Result<Vec<Advisory>> {
    let tree = dir.tree(&snapshot.id);
    let held = contents::read(&tree, snapshot)?;
    let mut found = match &mirror.upstream {
        Upstream::Debian(definition) => deb::advisories::of(dir, definition, snapshot, &held, baseline)?,
        Upstream::Rpm(_) => rpm::advisories::of(&tree, snapshot, &held, baseline)?,
        Upstream::Directory(_) | Upstream::Medium(_) => Vec::new(),
    };
    let order = |advisory: &Advisory| (!advisory.is_security(), advisory.severity, advisory.id.clone());
    found.sort_by_key(order);
    Ok(found)
}

/// True if a mirror can have advisories at all; what keeps it from that, otherwise.
///
/// # Errors
/// [`Error::Usage`].
pub fn check(mirror: &Mirror) -> Result<()> {
    let text = match &mirror.upstream {
        Upstream::Debian(debian) if debian.update_suites().contains(&true) => return Ok(()),
        Upstream::Debian(_) => {
            "none of its suites brings updates, so that there is nothing to compare: add the security archive to its definition, or mark a \
             [[source]] by `updates = true`"
        }
        Upstream::Rpm(_) => return Ok(()),
        Upstream::Directory(_) => "it is a plain directory of packages, which has no advisories",
        Upstream::Medium(_) => "it is an installation medium, which has no advisories",
    };
    Err(Error::Usage(format!("mirror {}: {text}", mirror.name)))
}
