//! `image list`, `image show` and `image versions`: what there is, and what is published.

use std::path::PathBuf;

use serde::Serialize;

use super::{Error, Result};
use crate::domain::image::{ImageName, ImageVersion, VersionId};
use crate::image;
use crate::image::layout::{self, ImageDir};
use crate::sys::data_dir::DataDir;

/// An image and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// Its name.
    pub name: ImageName,
    /// What a node gets at its next boot; `null` if nothing is published.
    pub published: Option<PublishedVersion>,
    /// True after a rollback: builds publish nothing until an explicit `image publish`.
    pub held: bool,
    /// How many versions there are.
    pub versions: usize,
    /// Its recipe, to be edited.
    pub recipe: PathBuf,
}

/// The published version.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedVersion {
    /// Its name.
    pub version: VersionId,
    /// Its folder.
    pub path: PathBuf,
    /// Its record.
    pub details: ImageVersion,
}

/// All images, by name.
///
/// # Errors
/// If a record does not read.
pub fn list_images(data: &DataDir) -> Result<Vec<ImageReport>> {
    let dirs = layout::images(data).map_err(image::Error::from)?;
    dirs.iter().map(report).collect()
}

/// One image.
///
/// # Errors
/// If there is none of that name, or a record does not read.
pub fn show_image(data: &DataDir, name: &ImageName) -> Result<ImageReport> {
    report(&image_dir(data, name)?)
}

/// An image's versions, the newest first, and which is published.
///
/// # Errors
/// As [`show_image`].
pub fn list_versions(data: &DataDir, name: &ImageName) -> Result<(Vec<ImageVersion>, Option<VersionId>)> {
    let dir = image_dir(data, name)?;
    let mut versions = dir.list().map_err(image::Error::from)?;
    versions.reverse();
    Ok((versions, dir.published()))
}

/// The folder of an image that is there.
///
/// # Errors
/// [`image::Error::NoImage`] with the remedy.
pub(super) fn image_dir(data: &DataDir, name: &ImageName) -> Result<ImageDir> {
    let dir = ImageDir::new(data, name);
    if dir.recipe().is_file() {
        return Ok(dir);
    }
    let remedy = format!("`kickctl image list` shows those there are, `kickctl image build {name}` makes it");
    Err(image::Error::NoImage { name: name.clone(), remedy }.into())
}

/// A version by what a person writes: `IMAGE@VERSION`, `IMAGE` for its published version, or a version's name alone.
///
/// # Errors
/// If there is none, with those there are.
pub fn find_version(data: &DataDir, text: &str) -> Result<(ImageDir, ImageVersion)> {
    if let Ok(id) = text.parse::<VersionId>() {
        for dir in layout::images(data).map_err(image::Error::from)? {
            if let Some(version) = dir.read(&id).map_err(image::Error::from)? {
                return Ok((dir, version));
            }
        }
        return Err(Error::Missing(format!("no image has a version {id}: `kickctl image versions IMAGE` lists those of one")));
    }
    let (name, id) = text.split_once('@').map_or((text, None), |(name, id)| (name, Some(id)));
    let usage =
        |error: &dyn std::fmt::Display| Error::Usage(format!("`{text}` names no version (IMAGE, IMAGE@VERSION or VERSION): {error}"));
    let dir = image_dir(data, &name.parse().map_err(|error| usage(&error))?)?;
    let id = id.map(|id| id.parse().map_err(|error| usage(&error))).transpose()?;
    let version = version_of(&dir, id.as_ref())?;
    Ok((dir, version))
}

/// A version's record; the published one's without a name.
pub(super) fn version_of(dir: &ImageDir, id: Option<&VersionId>) -> Result<ImageVersion> {
    let id = id.cloned().or_else(|| dir.published()).ok_or_else(|| image::Error::NothingPublished(dir.name().clone()))?;
    let version = dir.read(&id).map_err(image::Error::from)?;
    Ok(version.ok_or_else(|| image::Error::NoVersion { image: dir.name().clone(), version: Some(id) })?)
}

fn report(dir: &ImageDir) -> Result<ImageReport> {
    let versions = dir.list().map_err(image::Error::from)?;
    let published = dir.published();
    let published = versions.iter().find(|version| Some(&version.id) == published.as_ref()).map(|version| PublishedVersion {
        version: version.id.clone(),
        path: dir.version(&version.id).path().to_owned(),
        details: version.clone(),
    });
    Ok(ImageReport { name: dir.name().clone(), published, held: dir.is_held(), versions: versions.len(), recipe: dir.recipe() })
}
