//! `image diff`: what two versions differ in.

use serde::Serialize;

use super::Result;
use super::build_image::cut_off;
use super::list_images::find_version;
use crate::domain::image::VersionId;
use crate::image::compare::{self, PackageChange};
use crate::image::manifest::{Change, Manifest};
use crate::sys::data_dir::DataDir;

/// What two versions differ in.
#[derive(Clone, Debug, Serialize)]
pub struct ImageDiff {
    /// The first version.
    pub from: VersionId,
    /// The second version.
    pub to: VersionId,
    /// Packages, by name.
    pub packages: Vec<PackageChange>,
    /// Files, by path.
    pub files: Vec<FileChange>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Where it is within the image; bytes other than printable ASCII as `%XX`.
    pub path: String,
    /// Whether it came, went, or differs.
    pub change: Change,
}

/// Compares two versions, of one image or of two. Both are named as [`find_version`] says.
///
/// # Errors
/// If one of them is not there.
pub async fn diff_images(data: &DataDir, first: &str, second: &str) -> Result<ImageDiff> {
    let (first_dir, first) = find_version(data, first)?;
    let (second_dir, second) = find_version(data, second)?;
    let lists = [first_dir.version(&first.id).manifest(), second_dir.version(&second.id).manifest()];
    let work = move || Ok(Manifest::read(&lists[0])?.changes(&Manifest::read(&lists[1])?));
    let files = tokio::task::spawn_blocking(work).await.map_err(cut_off)?.map_err(crate::image::Error::Io)?;
    let files = files.into_iter().map(|(path, change)| FileChange { path, change }).collect();
    Ok(ImageDiff { packages: compare::packages(&first, &second), from: first.id, to: second.id, files })
}
