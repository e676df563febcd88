//! Which packages a snapshot holds, as the indices of its own tree tell, and what changed between two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Error, Result, deb, rpm};
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::{PackageFormat, Snapshot};
use crate::domain::package::{Package, PackageStep};
use crate::repo::version;

/// A package that a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// It.
    pub package: Package,
    /// Debian: its source package's name; empty in RPM.
    pub source: String,
    /// Debian: its source package's version.
    pub source_version: String,
    /// The suite or repository that offers it.
    pub origin: String,
    /// Its file within the tree; of upstream's own indices, within upstream's archive.
    pub path: String,
    /// Size and digest of that.
    pub file: FileEntry,
}

/// The format of a snapshot's packages.
pub fn format(snapshot: &Snapshot) -> PackageFormat {
    if snapshot.suites.is_empty() { PackageFormat::Rpm } else { PackageFormat::Deb }
}

/// Reads the indices of a snapshot's tree. Packages of the Debian installer are left out: no node has them.
///
/// # Errors
/// [`Error::Unread`] for the first index that does not read.
pub fn read(tree: &Path, snapshot: &Snapshot) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    for suite in &snapshot.suites {
        deb::contents::read(tree, suite, &mut held)?;
    }
    for repository in &snapshot.repositories {
        rpm::contents::read(tree, repository, &mut held)?;
    }
    Ok(held)
}

/// An index that does not read.
pub(super) fn unread(path: &Path, problem: impl ToString) -> Error {
    Error::Unread { path: path.to_owned(), problem: problem.to_string() }
}

/// What changed from one state to another, by name and architecture; sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What became of each package that is not as it was.
    pub steps: Vec<PackageStep>,
    /// How many packages came, each version counted.
    pub added: usize,
    /// How many went.
    pub superseded: usize,
}

/// By name and architecture.
type Versions<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>;

fn versions(held: &[Held]) -> Versions<'_> {
    let mut all = Versions::new();
    for Held { package, .. } in held {
        all.entry((package.name.as_str(), package.arch.as_str())).or_default().insert(package.version.as_str());
    }
    all
}

/// Compares two states.
pub fn changes(format: PackageFormat, before: &[Held], after: &[Held]) -> Changes {
    let (before, after) = (versions(before), versions(after));
    let mut changes = Changes::default();
    let none = BTreeSet::new();
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (old, new) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
        if old == new {
            continue;
        }
        changes.added += new.difference(old).count();
        changes.superseded += old.difference(new).count();
        let highest = |versions: &BTreeSet<&str>| version::highest(format, versions.iter().copied()).map(str::to_owned);
        let (before, after) = (highest(old), highest(new));
        if before != after {
            changes.steps.push(PackageStep { name: key.0.to_owned(), arch: key.1.to_owned(), before, after });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checksum::Sha256;

    fn held(name: &str, version: &str) -> Held {
        let package = Package { name: name.to_owned(), arch: "amd64".to_owned(), version: version.to_owned() };
        let file = FileEntry { size: 1, sha256: Sha256::of(b"") };
        Held { package, source: String::new(), source_version: String::new(), origin: String::new(), path: String::new(), file }
    }

    #[test]
    fn versions_that_came_and_went_are_counted_and_the_highest_are_told() {
        let before = [held("a", "1"), held("b", "9"), held("b", "10"), held("gone", "1"), held("same", "1")];
        let after = [held("a", "1~rc1"), held("b", "10"), held("b", "11"), held("new", "1"), held("same", "1")];
        let found = changes(PackageFormat::Deb, &before, &after);
        let told: Vec<_> = found.steps.iter().map(|step| (step.name.as_str(), step.before.as_deref(), step.after.as_deref())).collect();
        let expected =
            [("a", Some("1"), Some("1~rc1")), ("b", Some("10"), Some("11")), ("gone", Some("1"), None), ("new", None, Some("1"))];
        assert_eq!((told.as_slice(), found.added, found.superseded), (&expected[..], 3, 3));
    }
}
