//! `mirror publish`: makes a snapshot, the newest unless one is named, what nodes see. Releases the hold of a rollback.

use super::Result;
use crate::domain::mirror::Snapshot;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::mirror::layout::MirrorDir;
use crate::mirror::{Error, publish, sync};
use crate::sys::data_dir::DataDir;

/// Publishes `id`, or the newest snapshot.
///
/// # Errors
/// If there is no such snapshot, or another command works on the mirror.
pub async fn publish_mirror(data: &DataDir, name: &MirrorName, id: Option<&SnapshotId>, dry_run: bool) -> Result<Snapshot> {
    super::add_mirror::read_mirror(data, name)?;
    let dir = MirrorDir::new(data, name);
    let _lock = sync::lock_mirror(&dir).await?;
    let snapshots = dir.list().map_err(Error::from)?;
    let chosen = snapshots.into_iter().rev().find(|snapshot| id.is_none_or(|id| snapshot.id == *id));
    let chosen = chosen.ok_or_else(|| Error::NoSnapshot { mirror: name.clone(), snapshot: id.cloned() })?;
    if !dry_run {
        publish::publish(&dir, &chosen.id)?;
        publish::release(&dir)?;
    }
    Ok(chosen)
}
