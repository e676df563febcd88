//! `image publish`: makes a version, the newest unless one is named, what nodes get at their next boot. Releases the hold of a rollback.

use super::Result;
use super::build_image::lock_image;
use super::list_images::image_dir;
use crate::domain::image::{ImageName, ImageVersion, VersionId};
use crate::image::{Error, publish};
use crate::sys::data_dir::DataDir;

/// Publishes `id`, or the newest version.
///
/// # Errors
/// If there is no such version, or another command works on the image.
pub async fn publish_image(data: &DataDir, name: &ImageName, id: Option<&VersionId>, dry_run: bool) -> Result<ImageVersion> {
    let dir = image_dir(data, name)?;
    let _lock = lock_image(&dir).await?;
    let versions = dir.list().map_err(Error::from)?;
    let chosen = versions.into_iter().rev().find(|version| id.is_none_or(|id| version.id == *id));
    let chosen = chosen.ok_or_else(|| Error::NoVersion { image: name.clone(), version: id.cloned() })?;
    if !dry_run {
        publish::publish(&dir, &chosen.id)?;
        publish::release(&dir)?;
    }
    Ok(chosen)
}
