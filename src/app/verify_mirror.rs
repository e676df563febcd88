//! `mirror verify`: reads every file of a snapshot and compares it with what its index promises.

use time::OffsetDateTime;

use super::head_keys::signing_key;
use super::{Error, Result};
use crate::domain::mirror::Snapshot;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::mirror::Error as MirrorError;
use crate::mirror::layout::MirrorDir;
use crate::mirror::verify::{self, Findings};
use crate::repo::openpgp::Keyring;
use crate::sys::data_dir::DataDir;

/// Verifies `id`, or the published snapshot.
///
/// # Errors
/// If there is no such snapshot. Problems in it are findings, not errors.
pub async fn verify_mirror(data: &DataDir, name: &MirrorName, id: Option<&SnapshotId>) -> Result<(Snapshot, Findings)> {
    super::add_mirror::read_mirror(data, name)?;
    let dir = MirrorDir::new(data, name);
    let id = id.cloned().or_else(|| dir.published()).ok_or_else(|| MirrorError::NothingPublished(name.clone()))?;
    let snapshot = dir.read(&id).map_err(MirrorError::from)?;
    let snapshot = snapshot.ok_or_else(|| MirrorError::NoSnapshot { mirror: name.clone(), snapshot: Some(id) })?;
    let ring = signing_key(data)?.public_bytes().and_then(|bytes| Keyring::from_bytes(&bytes));
    let ring = ring.map_err(|error| Error::Refused(format!("the head's key does not read: {error}")))?;
    let work = move || {
        let findings = verify::verify(&dir, &snapshot, Some(&ring), OffsetDateTime::now_utc());
        findings.map(|findings| (snapshot, findings))
    };
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| Error::Refused(format!("verifying was cut off: {error}")))??)
}
