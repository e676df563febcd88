//! Publishing: one link that is switched in one step.

use std::fs;
use std::io;
use std::path::Path;

use super::layout::MirrorDir;
use super::{Error, Result};
use crate::domain::name::SnapshotId;
use crate::sys::atomic;

/// Makes a snapshot what installers and package managers see.
///
/// # Errors
/// If there is no such snapshot.
pub fn publish(mirror: &MirrorDir, id: &SnapshotId) -> Result<()> {
    if !mirror.tree(id).is_dir() {
        return Err(Error::NoSnapshot { mirror: mirror.name().clone(), snapshot: Some(id.clone()) });
    }
    Ok(atomic::switch_link(&mirror.current(), &Path::new("snapshots").join(id.as_str()))?)
}

/// Marks the mirror as held: syncs go on making snapshots, but publish none until somebody does so by name.
///
/// # Errors
/// What the system said.
pub fn hold(mirror: &MirrorDir) -> Result<()> {
    Ok(atomic::write(&mirror.held(), b"held by a rollback; `kickctl mirror publish` releases it\n", 0o644)?)
}

/// Takes the mark away.
///
/// # Errors
/// What the system said.
pub fn release(mirror: &MirrorDir) -> Result<()> {
    match fs::remove_file(mirror.held()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(atomic::named(error, "remove", &mirror.held()).into()),
        _ => Ok(()),
    }
}
