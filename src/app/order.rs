//! Draws up what an attempt shall do: profile, snapshot and variables, frozen together.

use std::collections::BTreeMap;

use super::{Error, Head, Result};
use crate::domain::attempt::Order;
use crate::domain::mirror::{InstallerFiles, Snapshot};
use crate::domain::name::{GroupName, MirrorName, SnapshotId};
use crate::domain::node::Node;
use crate::domain::profile::Assignment;
use crate::domain::variables::{Merged, Variables, merge};
use crate::mirror::layout::MirrorDir;
use crate::provision::Settings;
use crate::provision::library::Library;
use crate::sys::data_dir::DataDir;

/// Draws up the order for a node.
///
/// # Errors
/// If the profile or the mirror does not exist, or nothing is published yet.
pub(super) async fn draw_up(head: &Head, library: &Library, node: &Node, assignment: &Assignment) -> Result<Order> {
    let profile = &assignment.profile;
    let kind = library.kind(profile)?;
    let mirror = library.mirror(profile)?.ok_or_else(|| {
        Error::Refused(format!("profile {profile} names no mirror to install from: write `mirror = \"NAME\"` into its profile.toml"))
    })?;
    let snapshot = match &assignment.snapshot {
        Some(snapshot) => snapshot.clone(),
        None => published(&head.data, &mirror)?,
    };
    let variables = merged(head, library, node, assignment).await?;
    Ok(Order { profile: profile.clone(), kind, profile_digest: library.digest(profile)?, mirror, snapshot, variables })
}

/// The merged variables of a node under an assignment, each with the layer that set it.
///
/// # Errors
/// If the profile does not exist.
pub(super) async fn merged(head: &Head, library: &Library, node: &Node, assignment: &Assignment) -> Result<Merged> {
    let mut groups: BTreeMap<GroupName, Variables> = BTreeMap::new();
    for group in &node.groups {
        groups.insert(group.clone(), head.store.group_variables(group).await?);
    }
    Ok(merge(&library.layers(&assignment.profile, &groups, Some(node))?))
}

/// Validates merged variables.
///
/// # Errors
/// [`Error::Refused`] with every bad value, its layer and what is allowed.
pub(super) fn settings(merged: &Merged) -> Result<Settings> {
    Settings::read(merged).map_err(|bad| Error::Refused(bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// The record of a snapshot.
///
/// # Errors
/// [`Error::Refused`] if it is not there.
pub(super) fn snapshot_of(data: &DataDir, mirror: &MirrorName, id: &SnapshotId) -> Result<Snapshot> {
    let read = MirrorDir::new(data, mirror).read(id);
    let found = read.map_err(|source| Error::Io { what: format!("snapshot {id} of mirror {mirror} cannot be read"), source })?;
    found.ok_or_else(|| Error::Refused(format!("mirror {mirror} has no snapshot {id}: `kickctl mirror snapshots {mirror}` lists them")))
}

fn published(data: &DataDir, mirror: &MirrorName) -> Result<SnapshotId> {
    MirrorDir::new(data, mirror).published().ok_or_else(|| {
        Error::Refused(format!(
            "mirror {mirror} has nothing published: `kickctl mirror add {mirror} --from-host` and `kickctl mirror sync {mirror}`"
        ))
    })
}

/// The installer for a node's architecture.
///
/// # Errors
/// [`Error::Refused`] if the snapshot has none.
pub(super) fn installer_of<'a>(snapshot: &'a Snapshot, node: &Node) -> Result<&'a InstallerFiles> {
    snapshot.installers.iter().find(|files| files.arch == node.arch).ok_or_else(|| {
        Error::Refused(format!(
            "snapshot {} of {} carries no installer for {} ({}): add `[installer]` with this architecture to the mirror's definition and sync it",
            snapshot.id, snapshot.mirror, node.arch, node.name
        ))
    })
}
