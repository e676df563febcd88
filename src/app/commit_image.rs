//! `image checkout` and `image commit`: a copy of a version that one node may change while it runs from it, and the version made of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::build_image::{cut_off, lock_building, publish_made};
use super::list_images::{image_dir, version_of};
use super::shell_image::{ShellReport, epoch};
use super::{Error, Result};
use crate::domain::image::{ImageName, VersionId};
use crate::domain::name::NodeName;
use crate::image::change::{self, Changed};
use crate::image::{self, Progress};
use crate::sys::data_dir::DataDir;

/// Makes the copy, and returns its root. `again`: replace the copy that is there, with all that the node did in it.
///
/// # Errors
/// [`Error::Refused`] if there is one and `again` is not said.
pub async fn checkout_image(data: &DataDir, name: &ImageName, node: &NodeName, from: Option<&VersionId>, again: bool) -> Result<PathBuf> {
    let dir = image_dir(data, name)?;
    image::build::check_tools(&[])?;
    let _building = lock_building(&dir).await?;
    if let Some(there) = change::checked_out(&dir, node).filter(|_| !again) {
        return Err(Error::Refused(format!(
            "{node} has a copy of {name} {there} already: `kickctl image commit {name} {node}` makes a version of it, and `kickctl image \
             checkout {name} {node} --again` replaces it (do so only while the node does not run from it)"
        )));
    }
    let (from, node) = (version_of(&dir, from)?.id, node.clone());
    let work = move || change::check_out(&dir, &from, &node);
    Ok(tokio::task::spawn_blocking(work).await.map_err(cut_off)??)
}

/// Makes a version of a node's copy; the copy stays.
///
/// # Errors
/// [`Error::Missing`] if the node has none.
pub async fn commit_image(
    data: &DataDir,
    name: &ImageName,
    node: &NodeName,
    publish: bool,
    progress: Arc<dyn Progress>,
) -> Result<ShellReport> {
    let dir = image_dir(data, name)?;
    image::build::check_tools(&[])?;
    let _building = lock_building(&dir).await?;
    let from = change::checked_out(&dir, node);
    let from =
        from.ok_or_else(|| Error::Missing(format!("{node} has no copy of {name}: `kickctl image checkout {name} {node}` makes one")))?;
    let from = version_of(&dir, Some(&from))?;
    let (at, node, epoch) = (dir.clone(), node.clone(), epoch(data, &from));
    let work = move || change::commit(&at, &from, &node, epoch, progress);
    Ok(match tokio::task::spawn_blocking(work).await.map_err(cut_off)?? {
        Changed::New(version) => {
            let published = publish_made(&dir, &version, publish).await?;
            ShellReport::New { version, published }
        }
        Changed::Nothing | Changed::Discarded(_) => ShellReport::Nothing,
    })
}
