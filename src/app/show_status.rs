//! Where the whole cluster stands.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Result;
use super::list_attempts::AttemptSummary;
use super::list_nodes::list_nodes;
use super::list_running::{RunningNode, list_running};
use crate::domain::name::NodeName;
use crate::domain::nodeset::fold;
use crate::store::Store;

/// Where the whole cluster stands. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The nodes of each state, in alphabetical order.
    pub states: Vec<StateLine>,
    /// The last attempts that are under way, or failed or held.
    pub attempts: Vec<AttemptSummary>,
    /// The diskless nodes that run.
    pub running: Vec<RunningNode>,
    /// How many network-boot clients wait for `kickctl node approve`.
    pub discovered: usize,
}

impl Status {
    /// True if something other than a sign of life has come since `before`.
    pub fn differs(&self, before: &Self) -> bool {
        let boots = |status: &Self| status.running.iter().map(|own| (own.node.clone(), own.version.clone())).collect::<Vec<_>>();
        (&self.states, &self.attempts, self.discovered, boots(self)) != (&before.states, &before.attempts, before.discovered, boots(before))
    }
}

/// The nodes of one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateLine {
    /// The state without its detail: `installing`, not `installing/base-system`.
    pub state: String,
    /// How many nodes.
    pub count: usize,
    /// Which, folded to a node set.
    pub nodes: String,
}

/// Tells where every node stands.
///
/// # Errors
/// If the state cannot be read.
pub async fn show_status(store: &dyn Store) -> Result<Status> {
    let nodes = list_nodes(store, None).await?;
    let mut states: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
    for node in &nodes {
        let state = node.state.split('/').next().unwrap_or_default();
        states.entry(state.to_owned()).or_default().push(node.node.name.clone());
    }
    let line = |(state, names): (String, Vec<NodeName>)| StateLine { state, count: names.len(), nodes: fold(&names) };
    Ok(Status {
        states: states.into_iter().map(line).collect(),
        attempts: nodes.into_iter().filter_map(|node| node.attempt).filter(|attempt| !attempt.over || attempt.why.is_some()).collect(),
        running: list_running(store, &store.last_attempts().await?).await?,
        discovered: store.discovered().await?.len(),
    })
}
