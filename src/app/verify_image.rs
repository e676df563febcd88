//! `image verify`: reads every byte of a version and compares it with what was written down when it was made.

use super::Result;
use super::build_image::cut_off;
use super::list_images::find_version;
use crate::domain::image::ImageVersion;
use crate::image::verify;
use crate::sys::data_dir::DataDir;

/// Verifies a version, named as [`find_version`] says. Returns what is wrong with it.
///
/// # Errors
/// If there is no such version. Problems in it are findings, not errors.
pub async fn verify_image(data: &DataDir, text: &str) -> Result<(ImageVersion, Vec<String>)> {
    let (dir, version) = find_version(data, text)?;
    let work = move || verify::verify(&dir, &version).map(|problems| (version, problems));
    Ok(tokio::task::spawn_blocking(work).await.map_err(cut_off)??)
}
