//! A snapshot: a tree of hard links, made under a temporary name, whole before it gets its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use time::OffsetDateTime;

use super::layout::MirrorDir;
use super::{Error, Result};
use crate::domain::checksum::{FileEntry, Sha256};
use crate::domain::mirror::Snapshot;
use crate::domain::name::SnapshotId;
use crate::sys::atomic;
use crate::sys::join::inside;
use crate::sys::objects::ObjectStore;

/// What half-made snapshots are called; a sync that holds the mirror's lock removes those it finds.
const UNFINISHED: &str = ".new-";

/// The files of a snapshot: path in the tree, object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    links: BTreeMap<String, FileEntry>,
}

impl Tree {
    /// Adds a file. One that is there already is replaced.
    pub fn add(&mut self, path: impl Into<String>, sha256: Sha256, size: u64) {
        self.links.insert(path.into(), FileEntry { size, sha256 });
    }

    /// Stores bytes and adds them as a file.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn add_bytes(&mut self, store: &ObjectStore, path: impl Into<String>, bytes: &[u8]) -> Result<FileEntry> {
        let entry = FileEntry { size: bytes.len() as u64, sha256: store.import_bytes(bytes)? };
        self.links.insert(path.into(), entry);
        Ok(entry)
    }

    /// True if there is a file of that path.
    pub fn contains(&self, path: &str) -> bool {
        self.links.contains_key(path)
    }

    /// Paths and their objects.
    pub fn files(&self) -> impl Iterator<Item = (&str, FileEntry)> {
        self.links.iter().map(|(path, entry)| (path.as_str(), *entry))
    }

    /// What it holds, in one digest: everything but the signed and dated root files.
    fn content(&self) -> Sha256 {
        const ROOTS: [&str; 6] = ["InRelease", "Release", "Release.gpg", "repomd.xml", "repomd.xml.asc", "repomd.xml.key"];
        let files = self.files().filter(|(path, _)| !ROOTS.iter().any(|name| path.ends_with(name)));
        Sha256::of(files.map(|(path, entry)| format!("{} {path}\n", entry.sha256)).collect::<String>().as_bytes())
    }
}

/// Removes what killed syncs left half-made. The caller holds the mirror's lock.
///
/// # Errors
/// What the system said.
pub fn remove_unfinished(mirror: &MirrorDir) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(mirror.snapshots()) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path()).map_err(|error| atomic::named(error, "remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Writes a snapshot: links, record, everything to disk, then the name. `upstream`: files of upstream's that are kept beside the tree.
/// The caller holds the mirror's lock.
///
/// # Errors
/// If the disk is full, or a path leads out of the tree.
pub fn write(mirror: &MirrorDir, store: &ObjectStore, tree: &Tree, upstream: &Tree, mut record: Snapshot) -> Result<Snapshot> {
    record.id = snapshot_id(record.made, tree)?;
    record.files = tree.links.len() as u64;
    let distinct: BTreeMap<Sha256, u64> = tree.files().map(|(_, entry)| (entry.sha256, entry.size)).collect();
    record.bytes = distinct.values().sum();
    let place = mirror.snapshot(&record.id);
    if place.exists() {
        return Ok(record); // made in the same second from the same files
    }
    fs::create_dir_all(mirror.snapshots()).map_err(|error| atomic::named(error, "create", &mirror.snapshots()))?;
    // An import that was killed and is run again writes under the very same name.
    remove_unfinished(mirror)?;
    let unfinished = mirror.snapshots().join(format!("{UNFINISHED}{}", record.id));
    link_all(store, tree, &unfinished.join("tree"))?;
    link_all(store, upstream, &unfinished.join("upstream"))?;
    let json = serde_json::to_vec_pretty(&record).map_err(std::io::Error::other)?;
    let place_of_record = unfinished.join("snapshot.json");
    fs::write(&place_of_record, &json).map_err(|error| atomic::named(error, "write", &place_of_record))?;
    // One call for thousands of objects and links: from here on a power cut loses nothing.
    atomic::sync_file_system(&unfinished)?;
    fs::rename(&unfinished, &place).map_err(|error| atomic::named(error, "name the snapshot", &place))?;
    atomic::sync_folder(&mirror.snapshots())?;
    Ok(record)
}

fn link_all(store: &ObjectStore, tree: &Tree, root: &Path) -> Result<()> {
    fs::create_dir_all(root).map_err(|error| atomic::named(error, "create", root))?;
    let files: Vec<(&str, FileEntry)> = tree.files().collect();
    // In runs of neighbours, so that threads seldom meet in one folder.
    files.par_iter().with_min_len(256).try_for_each(|(path, entry)| Ok(store.link_into(entry.sha256, &inside(root, path)?)?))
}

/// The name of a snapshot of these files.
///
/// # Errors
/// Never in practice: if a time could not be written.
pub(super) fn snapshot_id(made: OffsetDateTime, tree: &Tree) -> Result<SnapshotId> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = made.to_offset(time::UtcOffset::UTC).format(format).map_err(|error| std::io::Error::other(error.to_string()))?;
    let content: String = tree.content().to_string().chars().take(8).collect();
    format!("{time}-{content}").parse().map_err(|error| Error::Usage(format!("{error}")))
}
