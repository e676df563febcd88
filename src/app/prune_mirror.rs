//! `mirror prune`: removes old snapshots, and objects that no snapshot links any more.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Result;
use super::add_mirror::read_mirror;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::mirror::layout::MirrorDir;
use crate::mirror::prune::{self, Freed};
use crate::mirror::{Error, assemble, sync};
use crate::store::Store;
use crate::sys::data_dir::DataDir;
use crate::sys::lock::Mode;

/// How long to wait for syncs that add to the store.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// What was (or would be) removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Snapshots.
    pub snapshots: Vec<(MirrorName, SnapshotId)>,
    /// Objects that nothing links any more. With `dry_run` those of the snapshots above are not counted yet.
    pub freed: Freed,
}

/// Prunes mirrors to `keep` snapshots each (besides the published one and those that `state` says are in use; the definition's number without
/// it), then the store. What is in use is asked when a mirror's lock is held, since what was published before may have been ordered while that
/// was waited for. `None`: a head that only mirrors.
///
/// # Errors
/// If a sync is under way, or a folder cannot be read or removed.
pub async fn prune_mirrors(
    data: &DataDir,
    names: &[MirrorName],
    keep: Option<usize>,
    state: Option<&dyn Store>,
    dry_run: bool,
) -> Result<Pruned> {
    let store = sync::open_store(data).map_err(super::Error::from)?;
    let mut pruned = Pruned::default();
    for name in names {
        let mirror = read_mirror(data, name)?;
        let dir = MirrorDir::new(data, name);
        let _lock = sync::lock_mirror(&dir).await?;
        if !dry_run {
            assemble::remove_unfinished(&dir).map_err(Error::from)?;
        }
        let snapshots = dir.list().map_err(Error::from)?;
        let published = dir.published();
        let used = match state {
            Some(state) => in_use(state, name).await?,
            None => BTreeSet::new(),
        };
        for id in prune::superfluous(&snapshots, published.as_ref(), &used, keep.unwrap_or(mirror.keep)) {
            if !dry_run {
                prune::remove_snapshot(&dir, &id)?;
            }
            pruned.snapshots.push((name.clone(), id));
        }
    }
    let _all = store.lock(Mode::Exclusive, LOCK_LIMIT).await.map_err(Error::from)?;
    pruned.freed = prune::sweep(&store, dry_run)?;
    Ok(pruned)
}

/// Snapshots of a mirror that an assignment or an attempt names. Which mirror an assignment's snapshot belongs to is told by its name alone, so
/// that it counts for every mirror that has one of that name.
async fn in_use(state: &dyn Store, mirror: &MirrorName) -> Result<BTreeSet<SnapshotId>> {
    let mut used: BTreeSet<SnapshotId> = state.assignments().await?.into_iter().filter_map(|assignment| assignment.snapshot).collect();
    // The last attempt of each node: what is installed from it, or failed and may be tried again.
    let attempts = state.last_attempts().await?;
    used.extend(attempts.iter().filter(|attempt| attempt.order.mirror == *mirror).map(|attempt| attempt.order.snapshot.clone()));
    Ok(used)
}
