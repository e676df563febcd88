//! Removing versions that nobody needs.

use std::collections::BTreeSet;
use std::fs;

use super::Result;
use super::layout::ImageDir;
use crate::domain::image::VersionId;
use crate::sys::atomic::named;

/// Which versions go: all but the published one, those in use, and the `keep` newest of the rest. Pure.
pub fn superfluous(versions: &[VersionId], published: Option<&VersionId>, in_use: &BTreeSet<VersionId>, keep: usize) -> Vec<VersionId> {
    let mut free: Vec<&VersionId> = versions.iter().filter(|id| published != Some(id) && !in_use.contains(id)).collect();
    free.sort();
    let go = free.len().saturating_sub(keep);
    free.into_iter().take(go).cloned().collect()
}

/// Removes a version. It loses its name first, so that a half-removed one is never taken for whole; what is left of one is removed by the
/// next build.
///
/// # Errors
/// What the system said.
pub fn remove(image: &ImageDir, id: &VersionId) -> Result<()> {
    let (place, doomed) = (image.version(id), image.versions().join(format!(".new-{id}.pruned")));
    fs::rename(place.path(), &doomed).map_err(|error| named(error, "remove", place.path()))?;
    Ok(fs::remove_dir_all(&doomed).map_err(|error| named(error, "remove", &doomed))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_or_in_use_is_kept_besides_the_newest() {
        let id = |day: u8| format!("202601{day:02}T000000Z-00000000").parse::<VersionId>().unwrap();
        let versions: Vec<VersionId> = (1..=6).map(id).collect();
        let in_use = BTreeSet::from([id(2)]);
        let go = |keep| superfluous(&versions, Some(&id(4)), &in_use, keep);
        assert_eq!(go(2), [id(1), id(3)]);
        assert_eq!(go(0), [id(1), id(3), id(5), id(6)]);
        assert_eq!(go(9), []);
    }
}
