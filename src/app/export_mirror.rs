//! `mirror export`: writes a snapshot to a carrier for a head without a network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::head_keys::signing_key;
use super::{Error, Result};
use crate::domain::name::{MirrorName, SnapshotId};
use crate::mirror::carry::export::{Export, LEAST_VOLUME, is_tar};
use crate::mirror::layout::MirrorDir;
use crate::mirror::{self, Progress, sync};
use crate::sys::data_dir::DataDir;
use crate::sys::lock::Mode;

/// How long to wait for a prune.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// The carrier: a directory, or a file whose name ends in `.tar`.
    pub to: PathBuf,
    /// The snapshot; `None`: what is published.
    pub snapshot: Option<SnapshotId>,
    /// Leave out what this snapshot has.
    pub since: Option<SnapshotId>,
    /// The most bytes of one volume of a tar.
    pub volume_size: Option<u64>,
    /// Say what would be written, and write nothing.
    pub dry_run: bool,
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// The mirror.
    pub name: MirrorName,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The snapshot that the other side has to have.
    pub since: Option<SnapshotId>,
    /// The files that it is in: a directory, a tar, or its volumes. None with `--dry-run`.
    pub files: Vec<PathBuf>,
    /// How many objects are carried.
    pub objects: usize,
    /// Their sizes together.
    pub bytes: u64,
}

/// Exports.
///
/// # Errors
/// If there is no such snapshot, the carrier is there already, the disk is full, or an object is damaged.
pub async fn export_mirror(data: &DataDir, name: &MirrorName, request: ExportRequest, progress: Arc<dyn Progress>) -> Result<ExportReport> {
    super::add_mirror::read_mirror(data, name)?;
    check(&request)?;
    let dir = MirrorDir::new(data, name);
    let id = request.snapshot.clone().or_else(|| dir.published()).ok_or_else(|| mirror::Error::NothingPublished(name.clone()))?;
    let find = |id: &SnapshotId| -> Result<_> {
        let missing = || mirror::Error::NoSnapshot { mirror: name.clone(), snapshot: Some(id.clone()) };
        Ok(dir.read(id).map_err(mirror::Error::from)?.ok_or_else(missing)?)
    };
    let snapshot = find(&id)?;
    if let Some(since) = &request.since {
        find(since)?;
    }
    let store = sync::open_store(data)?;
    // Objects are read by name: only a sweep could take one away.
    let _objects = store.lock(Mode::Shared, LOCK_LIMIT).await.map_err(mirror::Error::from)?;
    let key = signing_key(data)?;
    let work = move || -> Result<ExportReport> {
        let ExportRequest { to, since, volume_size, dry_run, .. } = request;
        let now = OffsetDateTime::now_utc();
        let export = Export { dir: &dir, store: &store, key: &key, to: &to, volume_size, now, progress: &*progress };
        let manifest = export.plan(&snapshot, since.as_ref())?;
        let files = if dry_run { Vec::new() } else { export.write(&manifest)? };
        let (objects, bytes) = (manifest.objects.len(), manifest.bytes());
        Ok(ExportReport { name: dir.name().clone(), snapshot: snapshot.id, since, files, objects, bytes })
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Refused(format!("the export was cut off: {error}")))?
}

fn check(request: &ExportRequest) -> Result<()> {
    let usage = |text: String| Err(Error::Usage(text));
    match request.volume_size {
        Some(size) if size < LEAST_VOLUME => usage(format!("--volume-size: volumes of {size} bytes are too small, 1MiB is the least")),
        Some(_) if !is_tar(&request.to) => usage("--volume-size is for a tar: give --to a name that ends in .tar".to_owned()),
        _ if is_tar(&request.to) && request.to.is_dir() => usage(format!("{} is a directory: give another name", request.to.display())),
        _ if !is_tar(&request.to) && request.to.is_file() => {
            usage(format!("{} is a file: give a directory, or a name that ends in .tar", request.to.display()))
        }
        _ => folder_of(&request.to),
    }
}

/// A tar's folder is not made: it may be a disk that is not mounted.
fn folder_of(to: &Path) -> Result<()> {
    let folder = to.parent().filter(|folder| is_tar(to) && !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(Error::Usage(format!("the folder {} is not there", folder.display()))),
        _ => Ok(()),
    }
}
