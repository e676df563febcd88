//! `mirror list` and `mirror show`: what is mirrored, and what is published of it.

use std::path::PathBuf;

use serde::Serialize;

use super::Result;
use super::add_mirror::read_mirror;
use super::refresh_mirror::{Refresh, last_refresh};
use crate::domain::mirror::{Mirror, Snapshot};
use crate::domain::name::{MirrorName, SnapshotId};
use crate::mirror::Error;
use crate::mirror::layout::{self, MirrorDir};
use crate::sys::data_dir::DataDir;

/// A mirror and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct MirrorReport {
    /// Its name.
    pub name: MirrorName,
    /// What it copies.
    pub definition: Mirror,
    /// What nodes see; `null` before the first sync.
    pub published: Option<PublishedReport>,
    /// True after a rollback: syncs publish nothing until an explicit `mirror publish`.
    pub held: bool,
    /// How many snapshots there are.
    pub snapshots: usize,
    /// What the last refresh came to; `null` before the first.
    pub refresh: Option<Refresh>,
}

/// The published snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedReport {
    /// Its name.
    pub snapshot: SnapshotId,
    /// The tree that a web server could serve.
    pub path: PathBuf,
    /// Its record.
    pub details: Snapshot,
}

/// All mirrors, by name.
///
/// # Errors
/// If a definition or a record does not read.
pub fn list_mirrors(data: &DataDir) -> Result<Vec<MirrorReport>> {
    let dirs = layout::mirrors(data).map_err(Error::from)?;
    dirs.iter().map(|dir| show_mirror(data, dir.name())).collect()
}

/// One mirror.
///
/// # Errors
/// If there is none of that name, or its definition or record does not read.
pub fn show_mirror(data: &DataDir, name: &MirrorName) -> Result<MirrorReport> {
    let definition = read_mirror(data, name)?;
    let dir = MirrorDir::new(data, name);
    let snapshots = dir.list().map_err(Error::from)?;
    let published = dir.published();
    let published = snapshots.iter().find(|snapshot| Some(&snapshot.id) == published.as_ref()).map(|snapshot| PublishedReport {
        snapshot: snapshot.id.clone(),
        path: dir.tree(&snapshot.id),
        details: snapshot.clone(),
    });
    Ok(MirrorReport {
        name: name.clone(),
        definition,
        published,
        held: dir.is_held(),
        snapshots: snapshots.len(),
        refresh: last_refresh(&dir)?,
    })
}

/// A mirror's snapshots, the newest first, and which is published.
///
/// # Errors
/// As [`show_mirror`].
pub fn list_snapshots(data: &DataDir, name: &MirrorName) -> Result<(Vec<Snapshot>, Option<SnapshotId>)> {
    read_mirror(data, name)?;
    let dir = MirrorDir::new(data, name);
    let mut snapshots = dir.list().map_err(Error::from)?;
    snapshots.reverse();
    Ok((snapshots, dir.published()))
}
