//! Publishing: one link that is switched in one step. A node gets what is published at its next boot.

use std::fs;
use std::io;
use std::path::Path;

use super::layout::ImageDir;
use super::{Error, Result};
use crate::domain::image::VersionId;
use crate::sys::atomic;

/// Makes a version what nodes get at their next boot.
///
/// # Errors
/// If there is no such version.
pub fn publish(image: &ImageDir, id: &VersionId) -> Result<()> {
    if !image.version(id).record().is_file() {
        return Err(Error::NoVersion { image: image.name().clone(), version: Some(id.clone()) });
    }
    Ok(atomic::switch_link(&image.current(), &Path::new("versions").join(id.as_str()))?)
}

/// Marks the image as held: builds go on making versions, but publish none until somebody does so by name.
///
/// # Errors
/// What the system said.
pub fn hold(image: &ImageDir) -> Result<()> {
    Ok(atomic::write(&image.held(), b"held by a rollback; `kickctl image publish` releases it\n", 0o644)?)
}

/// Takes the mark away.
///
/// # Errors
/// What the system said.
pub fn release(image: &ImageDir) -> Result<()> {
    match fs::remove_file(image.held()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(atomic::named(error, "remove", &image.held()).into()),
        _ => Ok(()),
    }
}
