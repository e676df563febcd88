//! Records what nodes shall be. Nothing is installed by it: that takes a word of its own (`reinstall`).

use super::preflight::preflight;
use super::{Error, Head, Result};
use crate::domain::name::{NodeName, ProfileName, SnapshotId};
use crate::domain::profile::Assignment;

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
    preflight(head, &assignments).await?;
    if !dry_run {
        head.store.assign(&assignments).await?;
    }
    Ok(assignments)
}

/// Takes assignments away; the nodes boot their local disks.
///
/// # Errors
/// If the state cannot be written.
pub async fn unassign_profile(head: &Head, nodes: &[NodeName]) -> Result<()> {
    head.store.unassign(nodes).await.map_err(Error::from)
}
