//! Removing what nobody needs: old snapshots, then objects that no snapshot links.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

use super::Result;
use super::layout::MirrorDir;
use crate::domain::mirror::Snapshot;
use crate::domain::name::SnapshotId;
use crate::sys::atomic::named;
use crate::sys::objects::ObjectStore;

/// Partial files younger than this may be continued by the next sync.
const PARTIAL_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which snapshots of a mirror go: all but the published one, those in use, and the `keep` newest of the rest. Pure.
pub fn superfluous(snapshots: &[Snapshot], published: Option<&SnapshotId>, in_use: &BTreeSet<SnapshotId>, keep: usize) -> Vec<SnapshotId> {
    let mut free: Vec<&SnapshotId> =
        snapshots.iter().map(|snapshot| &snapshot.id).filter(|id| published != Some(id) && !in_use.contains(*id)).collect();
    free.sort();
    let go = free.len().saturating_sub(keep);
    free.into_iter().take(go).cloned().collect()
}

/// Removes a snapshot. It loses its name first, so that a half-removed one is never taken for whole.
///
/// # Errors
/// What the system said.
pub fn remove_snapshot(dir: &MirrorDir, id: &SnapshotId) -> Result<()> {
    let (place, doomed) = (dir.snapshot(id), dir.snapshots().join(format!(".new-{id}.pruned")));
    fs::rename(&place, &doomed).map_err(|error| named(error, "remove", &place))?;
    Ok(fs::remove_dir_all(&doomed).map_err(|error| named(error, "remove", &doomed))?)
}

/// What was (or would be) freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Objects.
    pub objects: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Removes objects that no snapshot links, and partial files that nobody came back for. The caller holds the store's exclusive lock.
/// `dry_run`: `doomed` snapshots still hold links; objects that only they hold are counted as freed.
///
/// # Errors
/// What the system said.
pub fn sweep(store: &ObjectStore, dry_run: bool) -> Result<Freed> {
    let mut freed = Freed::default();
    for object in store.list()? {
        let stale = |path: &std::path::Path| {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::now());
            modified.elapsed().is_ok_and(|age| age > PARTIAL_LIFE)
        };
        let go = if object.sha256.is_some() { object.links == 1 } else { stale(&object.path) };
        if !go {
            continue;
        }
        freed.objects += 1;
        freed.bytes += object.size;
        if !dry_run {
            fs::remove_file(&object.path).map_err(|error| named(error, "remove", &object.path))?;
        }
    }
    Ok(freed)
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn snapshot(day: u8) -> Snapshot {
        Snapshot {
            id: id(day),
            mirror: "m".parse().unwrap(),
            made: OffsetDateTime::UNIX_EPOCH,
            upstream: Vec::new(),
            suites: Vec::new(),
            repositories: Vec::new(),
            packages: 0,
            udebs: 0,
            files: 0,
            bytes: 0,
            installers: Vec::new(),
            left_out: Vec::new(),
            input: String::new(),
        }
    }

    fn id(day: u8) -> SnapshotId {
        format!("202601{day:02}T000000Z-00000000").parse().unwrap()
    }

    #[test]
    fn what_is_published_or_in_use_is_kept_besides_the_newest() {
        let snapshots: Vec<Snapshot> = (1..=6).map(snapshot).collect();
        let in_use = BTreeSet::from([id(2)]);
        let go = |keep| superfluous(&snapshots, Some(&id(4)), &in_use, keep);
        assert_eq!(go(2), [id(1), id(3)]);
        assert_eq!(go(0), [id(1), id(3), id(5), id(6)]);
        assert_eq!(go(9), []);
    }
}
