//! The advisories of RPM repositories: updateinfo.xml, read with what distributions get wrong in mind.

use std::collections::HashMap;
use std::path::Path;

use super::contents::Metadata;
use crate::domain::advisory::{Advisory, Fix, Severity};
use crate::domain::mirror::{PackageFormat, PublishedRepository, Snapshot};
use crate::mirror::Result;
use crate::mirror::advisories::Baseline;
use crate::mirror::contents::{Held, unread};
use crate::mirror::error::chain;
use crate::repo::rpm::updateinfo::{Collection, Update, UpdatePackage, Updates};
use crate::repo::rpm::version;
use crate::repo::version::compare;

const RPM: PackageFormat = PackageFormat::Rpm;

/// The advisories of a tree's repositories that name a package which is there.
///
/// # Errors
/// [`crate::mirror::Error::Unread`].
pub fn of(tree: &Path, snapshot: &Snapshot, held: &[Held], baseline: Option<&Baseline>) -> Result<Vec<Advisory>> {
    let mut found = Vec::new();
    for repository in &snapshot.repositories {
        let updates =
            read(tree, repository).map_err(|problem| unread(&tree.join(&repository.path).join("repodata/repomd.xml"), problem))?;
        let offered = Offered::of(held, &repository.name);
        for update in newest(updates) {
            let fixes = offered.fixes(&update, baseline);
            if !fixes.is_empty() {
                found.push(advisory(update, repository, fixes));
            }
        }
    }
    Ok(found)
}

fn read(tree: &Path, repository: &PublishedRepository) -> std::result::Result<Vec<Update>, String> {
    let metadata = Metadata::open(tree, repository)?;
    let Some(record) = metadata.record("updateinfo")? else { return Ok(Vec::new()) };
    let mut updates = Updates::new(record);
    let mut all = Vec::new();
    while let Some(raw) = updates.next_raw().map_err(|error| format!("updateinfo: {}", chain(&error)))? {
        all.push(Update::parse(raw).map_err(|error| format!("updateinfo: {}", chain(&error)))?);
    }
    Ok(all)
}

/// Identifiers are not unique: of several records the highest version counts, and those of one version stand beside each other. What was
/// withdrawn is left out, and takes what it withdraws with it.
fn newest(updates: Vec<Update>) -> Vec<Update> {
    let mut highest: HashMap<String, String> = HashMap::new();
    for update in &updates {
        let version = highest.entry(update.id.clone()).or_insert_with(|| update.version.clone());
        if version::compare(update.version.as_bytes(), version.as_bytes()).is_gt() {
            version.clone_from(&update.version);
        }
    }
    let counts = |update: &Update| highest.get(&update.id) == Some(&update.version) && !update.is_retracted();
    updates.into_iter().filter(counts).collect()
}

/// What one repository offers.
struct Offered<'a> {
    /// The versions of each name and architecture.
    versions: HashMap<(&'a str, &'a str), Vec<&'a str>>,
}

impl<'a> Offered<'a> {
    fn of(held: &'a [Held], origin: &str) -> Self {
        let mut versions: HashMap<_, Vec<_>> = HashMap::new();
        for Held { package, .. } in held.iter().filter(|held| held.origin == origin) {
            versions.entry((package.name.as_str(), package.arch.as_str())).or_default().push(package.version.as_str());
        }
        Self { versions }
    }

    /// The packages of an advisory that are there (some distributions list every architecture in every repository), and that the baseline
    /// has in a version which lacks the fix.
    fn fixes(&self, update: &Update, baseline: Option<&Baseline>) -> Vec<Fix> {
        let mut fixes = Vec::new();
        for collection in &update.collections {
            let module = collection.module.as_ref().map(|[name, stream, ..]| format!("{name}:{stream}"));
            fixes.extend(collection.packages.iter().filter_map(|package| self.fix(collection, package, module.as_deref(), baseline)));
        }
        fixes.sort();
        fixes.dedup();
        fixes
    }

    fn fix(&self, collection: &Collection, package: &UpdatePackage, module: Option<&str>, baseline: Option<&Baseline>) -> Option<Fix> {
        let UpdatePackage { name, arch, evr, .. } = package;
        let after = evr.to_string();
        let offered = self.versions.get(&(name.as_str(), arch.as_str()))?;
        // A newer version has the fix too; of another module stream it says nothing.
        let is_there = match &collection.module {
            Some(_) => offered.contains(&after.as_str()),
            None => offered.iter().any(|version| compare(RPM, version, &after).is_ge()),
        };
        let fix = |before: Option<String>| Fix { name: name.clone(), arch: arch.clone(), before, after: after.clone() };
        let Some(baseline) = baseline else { return is_there.then(|| fix(None)) };
        let before = baseline.version(name, arch, module)?;
        let lacks = compare(RPM, before, &after).is_lt() && !baseline.has(name, arch, &after);
        (is_there && lacks).then(|| fix(Some(before.to_owned())))
    }
}

fn advisory(update: Update, repository: &PublishedRepository, packages: Vec<Fix>) -> Advisory {
    let mut cves: Vec<String> = update
        .references
        .iter()
        .filter(|reference| reference.kind == "cve" && !reference.id.is_empty())
        .map(|cve| cve.id.clone())
        .collect();
    cves.sort();
    cves.dedup();
    Advisory {
        reboot: update.needs_reboot(),
        severity: Severity::of(&update.severity),
        id: update.id,
        kind: update.kind,
        rating: update.severity,
        title: update.title,
        issued: update.issued,
        source: repository.name.clone(),
        cves,
        packages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_identifier_the_highest_version_counts_and_a_withdrawal_takes_all_with_it() {
        let update = |id: &str, version: &str, status: &str, title: &str| Update {
            id: id.to_owned(),
            version: version.to_owned(),
            status: status.to_owned(),
            title: title.to_owned(),
            ..Update::default()
        };
        let all = vec![
            update("A", "9", "final", "old"),
            update("A", "10", "final", "one"),
            update("A", "10", "final", "another"),
            update("B", "1", "final", "withdrawn"),
            update("B", "2", "retracted", "withdrawal"),
            update("C", "", "stable", "only"),
        ];
        let titles: Vec<String> = newest(all).into_iter().map(|update| update.title).collect();
        assert_eq!(titles, ["one", "another", "only"]);
    }
}
