//! `image prune`: removes old versions that no node runs.

use std::collections::BTreeSet;

use super::Result;
use super::build_image::{cut_off, lock_image};
use super::images_in_use::images_in_use;
use super::list_images::image_dir;
use crate::config::Source;
use crate::config::recipe_file;
use crate::domain::image::{ImageName, VersionId};
use crate::image::{Error, change, prune};
use crate::store::Store;
use crate::sys::data_dir::DataDir;

/// Prunes images to `keep` versions each (besides the published one and those that `state` says are in use; the recipe's number without it). What
/// is in use is asked when an image's lock is held. `None`: a head that only makes images.
///
/// # Errors
/// If an image is being published, or a folder cannot be read or removed.
pub async fn prune_images(
    data: &DataDir,
    names: &[ImageName],
    keep: Option<usize>,
    state: Option<&dyn Store>,
    dry_run: bool,
) -> Result<Vec<(ImageName, VersionId)>> {
    let mut pruned = Vec::new();
    for name in names {
        let dir = image_dir(data, name)?;
        let source = Source::open(&dir.recipe())?;
        let keep = keep.unwrap_or(recipe_file::read(&source)?.keep());
        let _lock = lock_image(&dir).await?;
        let versions: Vec<VersionId> = dir.list().map_err(Error::from)?.into_iter().map(|version| version.id).collect();
        let mut in_use = match state {
            Some(state) => images_in_use(state).await?,
            None => BTreeSet::new(),
        };
        in_use.extend(change::bases(&dir).map_err(Error::from)?);
        let go = prune::superfluous(&versions, dir.published().as_ref(), &in_use, keep);
        pruned.extend(go.iter().map(|id| (name.clone(), id.clone())));
        if !dry_run {
            let work = move || go.iter().try_for_each(|id| prune::remove(&dir, id));
            tokio::task::spawn_blocking(work).await.map_err(cut_off)??;
        }
    }
    Ok(pruned)
}
