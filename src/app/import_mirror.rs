//! `mirror import`: takes in what another head exported, once all of it is verified.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::head_keys::signing_key;
use super::sync_mirror::Published;
use super::{Error, Result};
use crate::config::{Source, mirror_file};
use crate::domain::name::{MirrorName, SnapshotId};
use crate::mirror::carry::import::{Carrier, Import, read_manifest, unverified};
use crate::mirror::layout::MirrorDir;
use crate::mirror::{self, Progress, publish, sync};
use crate::repo::openpgp::{Keyring, SigningKey};
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;
use crate::sys::lock::Mode;

/// How long to wait for a prune.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The carrier: a directory, a tar, or the first volume of one.
    pub from: PathBuf,
    /// Key files of the head that wrote it. Without them: the key that was named the first time, or this head's own.
    pub keys: Vec<PathBuf>,
    /// Keep the snapshot, but do not publish it.
    pub no_publish: bool,
    /// Verify everything, and keep nothing.
    pub dry_run: bool,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The mirror.
    pub name: MirrorName,
    /// `published`, `unchanged`, `held`, `not published` or `verified` (with `--dry-run`).
    pub result: &'static str,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The key that signed it, as a fingerprint.
    pub signed_by: Vec<String>,
    /// Packages of the snapshot.
    pub packages: u64,
    /// Objects that were verified.
    pub objects: usize,
    /// Their sizes together.
    pub bytes: u64,
}

/// Imports.
///
/// # Errors
/// [`Error::Mirror`] with a refusal: nothing was changed.
pub async fn import_mirror(data: &DataDir, request: ImportRequest, progress: Arc<dyn Progress>) -> Result<ImportReport> {
    let bytes = read_manifest(&request.from)?;
    let name = unverified(&request.from, &bytes)?.mirror;
    let dir = MirrorDir::new(data, &name);
    let own = signing_key(data)?;
    let now = OffsetDateTime::now_utc();
    let (ring, named) = ring(&dir, &own, &request.keys)?;
    let carrier = Carrier::verify(&request.from, &bytes, &ring, now)?;
    definition(&carrier)?;
    let store = sync::open_store(data)?;
    let is_new = !dir.root().exists();
    let _lock = sync::lock_mirror(&dir).await?;
    let _objects = store.lock(Mode::Shared, LOCK_LIMIT).await.map_err(mirror::Error::from)?;
    let root = dir.root().to_owned();
    let work = move || -> Result<ImportReport> {
        let import = Import { dir: &dir, store: &store, key: &own, now, progress: &*progress };
        take_in(&import, &carrier, &request, named.as_deref())
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Error::Refused(format!("the import was cut off: {error}")))?;
    if is_new && (done.is_err() || !root.join("definition.toml").exists()) {
        // Nothing but the lock is in it.
        let _ = std::fs::remove_file(root.join("lock"));
        let _ = std::fs::remove_dir(&root);
    }
    done
}

fn take_in(import: &Import<'_>, carrier: &Carrier, request: &ImportRequest, named: Option<&[u8]>) -> Result<ImportReport> {
    let dir = import.dir;
    let mut report = ImportReport {
        name: dir.name().clone(),
        result: "unchanged",
        snapshot: carrier.manifest.snapshot.id.clone(),
        signed_by: carrier.signers.clone(),
        packages: carrier.manifest.snapshot.packages,
        objects: 0,
        bytes: 0,
    };
    if import.check(carrier)?.is_none() {
        let staged = import.stage(carrier)?;
        (report.objects, report.bytes) = (staged.count(), staged.bytes());
        if request.dry_run {
            report.result = "verified";
            return Ok(report);
        }
        import.keep(carrier, &staged)?;
    }
    if request.dry_run {
        return Ok(report);
    }
    if let Some(key) = named {
        atomic::write(&dir.import_key(), key, 0o644).map_err(mirror::Error::from)?;
    }
    if !dir.definition().is_file() {
        atomic::write(&dir.definition(), carrier.manifest.definition.as_bytes(), 0o644).map_err(mirror::Error::from)?;
    }
    report.result = publish_unless_held(dir, &report.snapshot, request.no_publish, report.objects > 0)?;
    Ok(report)
}

fn publish_unless_held(dir: &MirrorDir, id: &SnapshotId, no_publish: bool, is_new: bool) -> Result<&'static str> {
    let published = if dir.published().as_ref() == Some(id) {
        return Ok(Published::Yes.word(is_new));
    } else if dir.is_held() {
        Published::Held
    } else if no_publish {
        Published::NotAsked
    } else {
        publish::publish(dir, id)?;
        return Ok(Published::Yes.word(true));
    };
    Ok(published.word(is_new))
}

/// Whom to believe: the keys that were named, which are remembered; otherwise those of the last import, or this head itself.
fn ring(dir: &MirrorDir, own: &SigningKey, keys: &[PathBuf]) -> Result<(Keyring, Option<Vec<u8>>)> {
    if !keys.is_empty() {
        let mut bytes = Vec::new();
        for key in keys {
            bytes.extend(std::fs::read(key).map_err(|error| unusable(key, error))?);
        }
        return Ok((mirror::keys::keyring(keys)?, Some(bytes).filter(|_| keys.len() == 1)));
    }
    let known = dir.import_key();
    let mut ring = if known.is_file() { mirror::keys::keyring(&[known])? } else { Keyring::default() };
    let public = own.public_bytes().and_then(|bytes| Keyring::from_bytes(&bytes));
    ring.extend(public.map_err(|error| Error::Refused(format!("the head's key does not read: {error}")))?);
    Ok((ring, None))
}

/// The definition that came along must read: every other command begins with it.
fn definition(carrier: &Carrier) -> Result<()> {
    let source = Source::new("the carried definition", carrier.manifest.definition.clone());
    mirror_file::read(&source)?.meaning(&source, &carrier.manifest.mirror)?;
    Ok(())
}

fn unusable(path: &Path, source: std::io::Error) -> Error {
    Error::Io { what: format!("cannot read the key {}", path.display()), source }
}
