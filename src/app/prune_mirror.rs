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

/// Prunes mirrors to `keep` snapshots each (besides the published one and those in use; the definition's number without it), then the store.
///
/// # Errors
/// If a sync is under way, or a folder cannot be read or removed.
pub async fn prune_mirrors(
    data: &DataDir,
    names: &[MirrorName],
    keep: Option<usize>,
    in_use: &BTreeSet<(MirrorName, SnapshotId)>,
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
        for id in prune::superfluous(name, &snapshots, published.as_ref(), in_use, keep.unwrap_or(mirror.keep)) {
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

/// Snapshots that an assignment or an attempt names. Which mirror an assignment's snapshot belongs to is told by its name alone, so that it
/// counts for every mirror that has one of that name.
///
/// # Errors
/// If the state does not read.
pub async fn in_use(store: &dyn Store, mirrors: &[MirrorName]) -> Result<BTreeSet<(MirrorName, SnapshotId)>> {
    let mut used = BTreeSet::new();
    for assignment in store.assignments().await? {
        if let Some(id) = assignment.snapshot {
            used.extend(mirrors.iter().map(|mirror| (mirror.clone(), id.clone())));
        }
    }
    // The last attempt of each node: what is installed from it, or failed and may be tried again.
    used.extend(store.last_attempts().await?.into_iter().map(|attempt| (attempt.order.mirror.clone(), attempt.order.snapshot.clone())));
    Ok(used)
}
