//! Where the whole cluster stands.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::Result;
use super::list_attempts::AttemptSummary;
use super::list_nodes::{NodeReport, list_nodes};
use super::list_rollouts::{RolloutReport, open_rollouts};
use super::list_running::{RunningNode, list_running};
use super::refresh_mirror::last_refresh;
use crate::domain::attempt::Class;
use crate::domain::name::{MirrorName, NodeName};
use crate::domain::nodeset::fold;
use crate::mirror::layout;
use crate::store::Store;
use crate::sys::data_dir::DataDir;

/// Where the whole cluster stands. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The nodes of each state, in alphabetical order.
    pub states: Vec<StateLine>,
    /// The last attempts that are under way, or failed or held.
    pub attempts: Vec<AttemptSummary>,
    /// The diskless nodes that run.
    pub running: Vec<RunningNode>,
    /// The rollouts that are not over.
    pub rollouts: Vec<RolloutReport>,
    /// Mirrors that somebody should look at: held by a rollback, or not refreshed because it failed.
    pub mirrors: Vec<MirrorLine>,
    /// How many network-boot clients wait for `kickctl node approve`.
    pub discovered: usize,
}

impl Status {
    /// True if something other than a sign of life has come since `before`.
    pub fn differs(&self, before: &Self) -> bool {
        let boots = |status: &Self| status.running.iter().map(|own| (own.node.clone(), own.version.clone())).collect::<Vec<_>>();
        let all = |status: &Self| (status.states.clone(), status.attempts.clone(), status.discovered, boots(status));
        all(self) != all(before) || self.mirrors != before.mirrors || self.rollouts != before.rollouts
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

/// A mirror that somebody should look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MirrorLine {
    /// The mirror.
    pub name: MirrorName,
    /// True after a rollback: nothing newer is published until somebody does so by name.
    pub held: bool,
    /// When a refresh failed last, if none has succeeded since.
    #[serde(with = "time::serde::rfc3339::option")]
    pub failed_at: Option<OffsetDateTime>,
    /// Why.
    pub problem: Option<String>,
}

/// The mirrors that somebody should look at.
fn mirrors(data: &DataDir) -> Result<Vec<MirrorLine>> {
    let mut lines = Vec::new();
    for dir in layout::mirrors(data).map_err(crate::mirror::Error::from)? {
        let failed = last_refresh(&dir)?.filter(|refresh| refresh.problem.is_some());
        if dir.is_held() || failed.is_some() {
            let (failed_at, problem) = failed.map_or((None, None), |refresh| (Some(refresh.at), refresh.problem));
            lines.push(MirrorLine { name: dir.name().clone(), held: dir.is_held(), failed_at, problem });
        }
    }
    Ok(lines)
}

/// Tells where every node stands.
///
/// # Errors
/// If the state cannot be read.
pub async fn show_status(store: &dyn Store, data: &DataDir) -> Result<Status> {
    let nodes = list_nodes(store, None).await?;
    let mut states: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
    for node in &nodes {
        let state = node.state.split('/').next().unwrap_or_default();
        states.entry(state.to_owned()).or_default().push(node.node.name.clone());
    }
    let line = |(state, names): (String, Vec<NodeName>)| StateLine { state, count: names.len(), nodes: fold(&names) };
    Ok(Status {
        states: states.into_iter().map(line).collect(),
        attempts: nodes.into_iter().filter_map(awaiting).filter(|attempt| !attempt.over || attempt.why.is_some()).collect(),
        running: list_running(store, &store.last_attempts().await?).await?,
        rollouts: open_rollouts(store).await?.iter().map(RolloutReport::of).collect(),
        mirrors: mirrors(data)?,
        discovered: store.discovered().await?.len(),
    })
}

/// A node's attempt; where it waits for a hand, it says so.
fn awaiting(node: NodeReport) -> Option<AttemptSummary> {
    let attempt = node.attempt?;
    let hand = node.power == "none" && attempt.image.is_none();
    let why = match (attempt.state.as_str(), &attempt.why) {
        ("armed", None) if hand => Some("a hand is needed: have it boot over the network".to_owned()),
        ("failed", Some(why)) if hand && attempt.class != Some(Class::Aborted) => {
            Some(format!("{why} (a hand is needed for another try: have it boot over the network)"))
        }
        (_, why) => why.clone(),
    };
    Some(AttemptSummary { why, ..attempt })
}
