//! Records what nodes shall be. Nothing is installed by it: that takes a word of its own (`reinstall`).

use super::preflight::preflight;
use super::{Error, Head, Result};
use crate::domain::name::{NodeName, ProfileName, SnapshotId};
use crate::domain::nodeset::fold;
use crate::domain::profile::{Assignment, ProfileKind};

/// Assigns a profile to nodes, all or none, after a preflight for each of them.
///
/// # Errors
/// [`Error::Refused`] with every finding of the preflight; nothing is assigned then.
pub async fn assign_profile(
    head: &Head,
    nodes: &[NodeName],
    profile: &ProfileName,
    snapshot: Option<&SnapshotId>,
    dry_run: bool,
) -> Result<Vec<Assignment>> {
    let assignments: Vec<Assignment> =
        nodes.iter().map(|node| Assignment { node: node.clone(), profile: profile.clone(), snapshot: snapshot.cloned() }).collect();
    one_writer(head, nodes, profile).await?;
    preflight(head, &assignments).await?;
    if !dry_run {
        head.store.assign(&assignments).await?;
    }
    Ok(assignments)
}

/// One node at a time may change an image; of two that boot, one would be left without a root.
async fn one_writer(head: &Head, nodes: &[NodeName], profile: &ProfileName) -> Result<()> {
    let library = head.profiles()?;
    let writes = |profile: &ProfileName| {
        let kind = library.kind(profile).ok();
        (kind == Some(ProfileKind::NfsRw)).then(|| library.image(profile).ok().flatten()).flatten()
    };
    let Some(image) = writes(profile) else { return Ok(()) };
    let assigned = head.store.assignments().await?;
    let others = assigned.iter().filter(|other| !nodes.contains(&other.node) && writes(&other.profile).as_ref() == Some(&image));
    let all: Vec<NodeName> = others.map(|other| other.node.clone()).chain(nodes.iter().cloned()).collect();
    if all.len() < 2 {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "image `{image}` can be changed by one node at a time, and these would be {}: {}. `kickctl profile unassign` those that are done",
        all.len(),
        fold(&all)
    )))
}

/// Takes assignments away; the nodes boot their local disks.
///
/// # Errors
/// If the state cannot be written.
pub async fn unassign_profile(head: &Head, nodes: &[NodeName]) -> Result<()> {
    head.store.unassign(nodes).await.map_err(Error::from)
}
