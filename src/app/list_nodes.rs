//! What is known of nodes.

use std::collections::HashMap;

use serde::Serialize;

use super::list_attempts::AttemptSummary;
use super::{Result, select_nodes};
use crate::domain::attempt::Attempt;
use crate::domain::facts::Facts;
use crate::domain::name::{NodeName, ProfileName, SnapshotId};
use crate::domain::node::Node;
use crate::domain::nodeset::NodeSet;
use crate::domain::power::Power;
use crate::domain::profile::Assignment;
use crate::store::Store;

/// A node with what it shall be and where it stands. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, Serialize)]
pub struct NodeReport {
    /// The node as it was described.
    #[serde(flatten)]
    pub node: Node,
    /// The profile assigned to it.
    pub profile: Option<ProfileName>,
    /// The snapshot that the assignment stays on.
    pub snapshot: Option<SnapshotId>,
    /// The last attempt's state, or `assigned` or `unassigned` before the first.
    pub state: String,
    /// The last attempt.
    pub attempt: Option<AttemptSummary>,
    /// How it is switched on and off: `redfish`, `ipmi`, `command` or `none`.
    pub power: &'static str,
    /// What is known of its hardware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
}

/// The nodes of a set, or all.
///
/// # Errors
/// As [`select_nodes()`].
pub async fn list_nodes(store: &dyn Store, set: Option<&NodeSet>) -> Result<Vec<NodeReport>> {
    let nodes = match set {
        Some(set) => select_nodes(store, set).await?,
        None => store.nodes().await?,
    };
    let assignments = store.assignments().await?.into_iter().map(|own| (own.node.clone(), own)).collect::<HashMap<_, _>>();
    let attempts = store.last_attempts().await?.into_iter().map(|own| (own.node.clone(), own)).collect::<HashMap<_, _>>();
    let power = store.power().await?;
    let report = |node: Node| {
        let name = node.name.clone();
        report(node, assignments.get(&name), attempts.get(&name), power.get(&name))
    };
    Ok(nodes.into_iter().map(report).collect())
}

/// One node, with its facts.
///
/// # Errors
/// If there is no such node.
pub async fn show_node(store: &dyn Store, name: &NodeName) -> Result<NodeReport> {
    let node = store.node(name).await?.ok_or_else(|| crate::store::Error::NoNode(name.clone()))?;
    let (assignment, attempt) = (store.assignment(name).await?, store.last_attempt(name).await?);
    let facts = Some(store.facts(name).await?);
    let power = store.power_of(name).await?;
    Ok(NodeReport { facts, ..report(node, assignment.as_ref(), attempt.as_ref(), power.as_ref()) })
}

fn report(node: Node, assignment: Option<&Assignment>, attempt: Option<&Attempt>, power: Option<&Power>) -> NodeReport {
    let before = if assignment.is_some() { "assigned" } else { "unassigned" };
    NodeReport {
        node,
        profile: assignment.map(|assignment| assignment.profile.clone()),
        snapshot: assignment.and_then(|assignment| assignment.snapshot.clone()),
        state: attempt.map_or_else(|| before.to_owned(), |attempt| AttemptSummary::of(attempt).state),
        attempt: attempt.map(AttemptSummary::of),
        power: power.map_or("none", Power::word),
        facts: None,
    }
}
