//! Which versions of images must stay: what nodes run, and what assignments name.

use std::collections::{BTreeMap, BTreeSet};

use super::Result;
use super::answer_mount::in_use;
use crate::domain::attempt::Attempt;
use crate::domain::image::VersionId;
use crate::domain::name::NodeName;
use crate::store::Store;

/// The versions that a node may run from, known until a later boot of it called home, whether or not it is heard from; and those that an
/// assignment names.
///
/// # Errors
/// If the state cannot be read.
pub async fn images_in_use(store: &dyn Store) -> Result<BTreeSet<VersionId>> {
    let mut of_node: BTreeMap<NodeName, Vec<Attempt>> = BTreeMap::new();
    for attempt in store.attempts(None).await? {
        of_node.entry(attempt.node.clone()).or_default().push(attempt);
    }
    let booted = of_node.values().flat_map(|attempts| in_use(attempts)).filter_map(|attempt| attempt.order.image.as_ref());
    // What was armed and not booted yet is frozen all the same.
    let armed = of_node.values().filter_map(|attempts| attempts.first().filter(|last| !last.state.is_over())?.order.image.as_ref());
    let mut versions: BTreeSet<VersionId> = booted.chain(armed).map(|image| image.version.clone()).collect();
    versions.extend(store.assignments().await?.iter().filter_map(crate::domain::profile::Assignment::version));
    Ok(versions)
}
