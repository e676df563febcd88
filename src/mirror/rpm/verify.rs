//! What a snapshot's own RPM repositories and kickstart trees promise.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use time::OffsetDateTime;

use super::published;
use super::records::sha256;
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::{PublishedRepository, Snapshot};
use crate::mirror::error::chain;
use crate::mirror::verify::Expected;
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::openpgp::{Keyring, verify_detached};
use crate::repo::rpm::primary::Packages;
use crate::repo::rpm::repomd::Repomd;
use crate::repo::rpm::treeinfo::TreeInfo;

/// The most that is decompressed of a primary record, bytes.
const MAX_PRIMARY: u64 = 8 << 30;

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
    let folder = tree.join(&repository.path);
    let bytes = std::fs::read(folder.join("repodata/repomd.xml")).map_err(|error| error.to_string())?;
    if let (true, Some(key)) = (repository.rebuilt, key) {
        let signature = std::fs::read(folder.join("repodata/repomd.xml.asc")).map_err(|error| format!("its signature: {error}"))?;
        verify_detached(&bytes, &signature, key, now).map_err(|error| error.to_string())?;
    }
    let repomd = Repomd::parse(&bytes).map_err(|error| chain(&error))?;
    for record in &repomd.records {
        if let (Some(sha256), Some(size)) = (sha256(&record.checksum), record.size) {
            expected.files.insert(published(&repository.path, &record.href), FileEntry { size, sha256 });
        }
    }
    let primary = repomd.record("primary").ok_or("it names no `primary` record")?;
    let file = File::open(folder.join(&primary.href)).map_err(|error| format!("{}: {error}", primary.href))?;
    let reader = decompress_bounded(BufReader::new(file), Compression::of_name(&primary.href), MAX_PRIMARY);
    let packages = Packages::new(reader.map_err(|error| error.to_string())?);
    let read = packages.for_each(|_, package| {
        if let Some(sha256) = sha256(&package.checksum) {
            let entry = FileEntry { size: package.size_package, sha256 };
            expected.files.insert(published(&repository.path, &package.href), entry);
        }
    });
    read.map_err(|error| format!("{}: {}", primary.href, chain(&error)))
}
