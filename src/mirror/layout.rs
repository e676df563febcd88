//! Where everything of one mirror lies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::mirror::Snapshot;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;

/// The folder of one mirror.
///
/// ```text
/// definition.toml            what it copies; read anew by every command, so it can be edited
/// lock                       held by whoever syncs, publishes or prunes it
/// snapshots/ID/tree/         an archive root: dists/, pool/; or repositories with their repodata/
/// snapshots/ID/upstream/     upstream's own root files and indices that it was made from (hard links)
/// snapshots/ID/snapshot.json
/// current -> snapshots/ID    what is published
/// refresh.json               what the last refresh came to
/// changelogs/                what was read of packages' own changelogs (can be removed)
/// import-key.asc             the key of the head whose carriers are taken in
/// .import-*                  what an import has not verified yet; removed by the next
/// held                       there after a rollback: only an explicit publish releases it
/// ```
#[derive(Clone, Debug)]
pub struct MirrorDir {
    root: PathBuf,
    name: MirrorName,
}

impl MirrorDir {
    /// The folder of a mirror; nothing is created.
    pub fn new(data: &DataDir, name: &MirrorName) -> Self {
        Self { root: data.mirror(name), name: name.clone() }
    }

    /// The mirror.
    pub fn name(&self) -> &MirrorName {
        &self.name
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it copies.
    pub fn definition(&self) -> PathBuf {
        self.root.join("definition.toml")
    }

    /// The lock of whoever changes it.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// All snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// One snapshot.
    pub fn snapshot(&self, id: &SnapshotId) -> PathBuf {
        self.snapshots().join(id.as_str())
    }

    /// A snapshot's archive root.
    pub fn tree(&self, id: &SnapshotId) -> PathBuf {
        self.snapshot(id).join("tree")
    }

    /// Upstream's own files that a snapshot was made from.
    pub fn upstream(&self, id: &SnapshotId) -> PathBuf {
        self.snapshot(id).join("upstream")
    }

    /// The link to what is published.
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The mark of a rollback.
    pub fn held(&self) -> PathBuf {
        self.root.join("held")
    }

    /// The key that carriers of this mirror were signed with, once one was taken in.
    pub fn import_key(&self) -> PathBuf {
        self.root.join("import-key.asc")
    }

    /// What the last refresh came to.
    pub fn refreshed(&self) -> PathBuf {
        self.root.join("refresh.json")
    }

    /// True after a rollback.
    pub fn is_held(&self) -> bool {
        self.held().exists()
    }

    /// The published snapshot, if any.
    pub fn published(&self) -> Option<SnapshotId> {
        let target = fs::read_link(self.current()).ok()?;
        let id = target.file_name()?.to_str()?.parse().ok()?;
        self.tree(&id).is_dir().then_some(id)
    }

    /// All snapshots, the oldest first. What a killed sync left half-made has other names and is not among them.
    ///
    /// # Errors
    /// If a snapshot's record does not read.
    pub fn list(&self) -> io::Result<Vec<Snapshot>> {
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let entries = match fs::read_dir(self.snapshots()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(snapshots),
            other => other.map_err(|error| atomic::named(error, "list", &self.snapshots()))?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<SnapshotId>().ok()) else { continue };
            snapshots.extend(self.read(&id)?);
        }
        snapshots.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(snapshots)
    }

    /// One snapshot's record.
    ///
    /// # Errors
    /// If the file is there and does not read.
    pub fn read(&self, id: &SnapshotId) -> io::Result<Option<Snapshot>> {
        read_json(&self.snapshot(id).join("snapshot.json"))
    }
}

/// All mirrors of a head, by name.
///
/// # Errors
/// If the folder does not read.
pub fn mirrors(data: &DataDir) -> io::Result<Vec<MirrorDir>> {
    let entries = match fs::read_dir(data.mirrors()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| atomic::named(error, "list", &data.mirrors()))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(|name| name.parse::<MirrorName>().ok()));
    }
    names.sort();
    Ok(names.iter().map(|name| MirrorDir::new(data, name)).filter(|mirror| mirror.definition().is_file()).collect())
}

/// Reads a record; `None` if there is none.
///
/// # Errors
/// If it is there and does not read.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(atomic::named(error, "read", path)),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}; was it written by a newer kickctl?", path.display()))
        }),
    }
}
