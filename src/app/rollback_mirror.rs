//! `mirror rollback`: publishes an older snapshot and holds the mirror there until the next explicit publish.

use super::Result;
use crate::domain::mirror::Snapshot;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::mirror::layout::MirrorDir;
use crate::mirror::{Error, publish, sync};
use crate::sys::data_dir::DataDir;

/// Publishes `id`, or the snapshot before the published one.
///
/// # Errors
/// If there is no such snapshot, or another command works on the mirror.
pub async fn rollback_mirror(data: &DataDir, name: &MirrorName, id: Option<&SnapshotId>, dry_run: bool) -> Result<Snapshot> {
    super::add_mirror::read_mirror(data, name)?;
    let dir = MirrorDir::new(data, name);
    let _lock = sync::lock_mirror(&dir).await?;
    let published = dir.published().ok_or_else(|| Error::NothingPublished(name.clone()))?;
    let snapshots = dir.list().map_err(Error::from)?;
    let chosen = snapshots.into_iter().rev().find(|snapshot| id.map_or(snapshot.id < published, |id| snapshot.id == *id));
    let chosen = chosen.ok_or_else(|| match id {
        Some(id) => Error::NoSnapshot { mirror: name.clone(), snapshot: Some(id.clone()) },
        None => Error::NoOlderSnapshot { mirror: name.clone(), published },
    })?;
    if !dry_run {
        // The mark first: a sync in between must not publish over the rollback.
        publish::hold(&dir)?;
        publish::publish(&dir, &chosen.id)?;
    }
    Ok(chosen)
}
