//! What a snapshot's own RPM repositories and kickstart trees promise.

use std::path::Path;

use time::OffsetDateTime;

use super::contents::Metadata;
use super::published;
use super::records::sha256;
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::{PublishedRepository, Snapshot};
use crate::mirror::verify::Expected;
use crate::repo::openpgp::{Keyring, verify_detached};
use crate::repo::rpm::treeinfo::TreeInfo;

/// Collects what all repositories' metadata and the kickstart trees name; checks the head's signature on rebuilt ones.
pub fn expected(tree: &Path, snapshot: &Snapshot, key: Option<&Keyring>, now: OffsetDateTime, expected: &mut Expected) {
    for repository in &snapshot.repositories {
        if let Err(problem) = read(tree, repository, key, now, expected) {
            expected.problems.push(format!("{}: {problem}", published(&repository.path, "repodata/repomd.xml")));
        }
    }
    for files in snapshot.installers.iter().filter_map(|installer| installer.tree.as_ref()) {
        let found = [".treeinfo", "treeinfo"].map(|name| std::fs::read(tree.join(published(&files.root, name))));
        let info = found.into_iter().flatten().next().map(|bytes| TreeInfo::parse(&bytes));
        match info {
            Some(Ok(info)) => {
                for (path, checksum) in info.checksums {
                    let path = published(&files.root, &path);
                    if let (Some(sha256), Ok(metadata)) = (sha256(&checksum), std::fs::metadata(tree.join(&path))) {
                        expected.files.insert(path, FileEntry { size: metadata.len(), sha256 });
                    }
                }
            }
            Some(Err(error)) => expected.problems.push(format!("{}: {error}", published(&files.root, ".treeinfo"))),
            None => expected.problems.push(format!("{}: is not there", published(&files.root, ".treeinfo"))),
        }
    }
}

fn read(
    tree: &Path,
    repository: &PublishedRepository,
    key: Option<&Keyring>,
    now: OffsetDateTime,
    expected: &mut Expected,
) -> Result<(), String> {
    let metadata = Metadata::open(tree, repository)?;
    if let (true, Some(key)) = (repository.rebuilt, key) {
        let signature = tree.join(published(&repository.path, "repodata/repomd.xml.asc"));
        let signature = std::fs::read(signature).map_err(|error| format!("its signature: {error}"))?;
        verify_detached(&metadata.bytes, &signature, key, now).map_err(|error| error.to_string())?;
    }
    for record in &metadata.repomd.records {
        if let (Some(sha256), Some(size)) = (sha256(&record.checksum), record.size) {
            expected.files.insert(published(&repository.path, &record.href), FileEntry { size, sha256 });
        }
    }
    metadata.packages(|package| {
        if let Some(sha256) = sha256(&package.checksum) {
            let entry = FileEntry { size: package.size_package, sha256 };
            expected.files.insert(published(&repository.path, &package.href), entry);
        }
    })
}
