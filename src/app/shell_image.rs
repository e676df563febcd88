//! `image shell`: work by hand in a writable copy of a version, which ends as a version of its own.

use std::ffi::OsString;
use std::sync::Arc;

use super::Result;
use super::build_image::{Published, cut_off, lock_building, publish_made};
use super::list_images::{image_dir, version_of};
use crate::domain::image::{ImageName, ImageVersion, VersionId};
use crate::image::change::{Changed, Shell};
use crate::image::{self, Progress};
use crate::mirror::layout::MirrorDir;
use crate::sys::data_dir::DataDir;

/// What to do in which version.
#[derive(Clone, Debug)]
pub struct ShellRequest {
    /// The image.
    pub name: ImageName,
    /// The version to begin as; the published one without it.
    pub from: Option<VersionId>,
    /// Program and arguments; a log-in shell without them.
    pub command: Vec<OsString>,
    /// Throw away whatever comes of it.
    pub discard: bool,
    /// Publish the new version.
    pub publish: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum ShellReport {
    /// A new version.
    New {
        /// It.
        version: Box<ImageVersion>,
        /// Whether it is published now, and if not, why.
        published: Published,
    },
    /// Nothing was changed.
    Nothing,
    /// It was thrown away as asked.
    Discarded,
    /// It was thrown away because the shell or command failed in this way.
    Failed(String),
}

/// Runs a shell at this terminal in a writable copy of a version.
///
/// # Errors
/// If there is no such version, or somebody else makes one of this image.
pub async fn shell_image(data: &DataDir, request: ShellRequest, progress: Arc<dyn Progress>) -> Result<ShellReport> {
    let dir = image_dir(data, &request.name)?;
    image::build::check_tools(&[])?;
    let _building = lock_building(&dir).await?;
    let from = version_of(&dir, request.from.as_ref())?;
    let tree = Some(MirrorDir::new(data, &from.mirror).tree(&from.snapshot)).filter(|tree| tree.is_dir());
    let (at, epoch) = (dir.clone(), epoch(data, &from));
    let ShellRequest { command, discard, publish, .. } = request;
    let work = move || Shell { dir: &at, from: &from, tree, epoch, command, discard, progress }.run();
    Ok(match tokio::task::spawn_blocking(work).await.map_err(cut_off)?? {
        Changed::New(version) => {
            let published = publish_made(&dir, &version, publish).await?;
            ShellReport::New { version, published }
        }
        Changed::Nothing => ShellReport::Nothing,
        Changed::Discarded(ended) if ended.success() || discard => ShellReport::Discarded,
        Changed::Discarded(ended) => ShellReport::Failed(ended.to_string()),
    })
}

/// The time that is written into versions made of this one: that of the snapshot, as its build did, while that is known.
pub(super) fn epoch(data: &DataDir, from: &ImageVersion) -> i64 {
    let snapshot = MirrorDir::new(data, &from.mirror).read(&from.snapshot).ok().flatten();
    snapshot.map_or(from.made, |snapshot| snapshot.made).unix_timestamp()
}
