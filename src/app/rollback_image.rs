//! `image rollback`: publishes an older version and holds the image there until the next explicit publish.

use super::Result;
use super::build_image::lock_image;
use super::list_images::image_dir;
use crate::domain::image::{ImageName, ImageVersion, VersionId};
use crate::image::{Error, publish};
use crate::sys::data_dir::DataDir;

/// Publishes `id`, or the version before the published one.
///
/// # Errors
/// If there is no such version, or another command works on the image.
pub async fn rollback_image(data: &DataDir, name: &ImageName, id: Option<&VersionId>, dry_run: bool) -> Result<ImageVersion> {
    let dir = image_dir(data, name)?;
    let _lock = lock_image(&dir).await?;
    let published = dir.published().ok_or_else(|| Error::NothingPublished(name.clone()))?;
    let versions = dir.list().map_err(Error::from)?;
    let chosen = versions.into_iter().rev().find(|version| id.map_or(version.id < published, |id| version.id == *id));
    let chosen = chosen.ok_or_else(|| match id {
        Some(id) => Error::NoVersion { image: name.clone(), version: Some(id.clone()) },
        None => Error::NoOlderVersion { image: name.clone(), published },
    })?;
    if !dry_run {
        // The mark first: a build in between must not publish over the rollback.
        publish::hold(&dir)?;
        publish::publish(&dir, &chosen.id)?;
    }
    Ok(chosen)
}
