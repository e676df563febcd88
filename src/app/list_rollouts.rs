//! What is known of rollouts.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::{Error, Result};
use crate::domain::name::NodeName;
use crate::domain::nodeset::fold;
use crate::domain::rollout::{Histories, Phase, Rollout, RolloutState};
use crate::store::Store;

/// A rollout in short. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolloutReport {
    /// Unique within the head.
    pub id: u64,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it is paused or aborted.
    pub why: Option<String>,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    pub begun_at: OffsetDateTime,
    /// How many nodes come first, alone.
    pub canary: usize,
    /// Most nodes that are out of work at the same time.
    pub max_parallel: usize,
    /// How many nodes.
    pub count: usize,
    /// Which, folded to a node set.
    pub nodes: String,
    /// The nodes of each phase, in the order of the phases.
    pub phases: Vec<PhaseLine>,
    /// The nodes that could not be taken out of work or begun, and why.
    pub refused: BTreeMap<NodeName, String>,
}

/// The nodes of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseLine {
    /// The phase.
    pub phase: Phase,
    /// How many nodes.
    pub count: usize,
    /// Which, folded to a node set.
    pub nodes: String,
}

impl RolloutReport {
    /// From a rollout.
    pub fn of(rollout: &Rollout) -> Self {
        let mut phases: BTreeMap<Phase, Vec<&NodeName>> = BTreeMap::new();
        rollout.nodes.iter().for_each(|own| phases.entry(own.phase).or_default().push(&own.node));
        let line = |(phase, nodes): (Phase, Vec<&NodeName>)| PhaseLine { phase, count: nodes.len(), nodes: fold(nodes) };
        Self {
            id: rollout.id,
            state: rollout.state,
            why: rollout.why.clone(),
            begun_at: rollout.begun_at,
            canary: rollout.canary,
            max_parallel: rollout.max_parallel,
            count: rollout.nodes.len(),
            nodes: fold(rollout.nodes.iter().map(|own| &own.node)),
            phases: phases.into_iter().map(line).collect(),
            refused: rollout.nodes.iter().filter_map(|own| Some((own.node.clone(), own.why.clone()?))).collect(),
        }
    }
}

/// All rollouts that are kept, the newest first.
///
/// # Errors
/// If the state cannot be read.
pub async fn list_rollouts(store: &dyn Store) -> Result<Vec<RolloutReport>> {
    Ok(store.rollouts().await?.iter().map(RolloutReport::of).collect())
}

/// The rollouts that are not over, the newest first.
///
/// # Errors
/// If the state cannot be read.
pub(super) async fn open_rollouts(store: &dyn Store) -> Result<Vec<Rollout>> {
    Ok(store.rollouts().await?.into_iter().filter(Rollout::is_open).collect())
}

/// The rollout of this number; without one the only one that is not over, or else the newest.
///
/// # Errors
/// [`Error::Missing`] if there is none, [`Error::Usage`] if several are not over.
pub async fn find_rollout(store: &dyn Store, id: Option<u64>) -> Result<Rollout> {
    let all = store.rollouts().await?;
    if let Some(id) = id {
        return all
            .into_iter()
            .find(|rollout| rollout.id == id)
            .ok_or_else(|| Error::Missing(format!("there is no rollout {id}: `kickctl rollout list` shows those there are")));
    }
    let open: Vec<u64> = all.iter().filter(|rollout| rollout.is_open()).map(|rollout| rollout.id).collect();
    let wanted = match open.as_slice() {
        [] => all.first().map(|rollout| rollout.id),
        [one] => Some(*one),
        several => {
            let several = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::Usage(format!("rollouts {several} are not over: say which one")));
        }
    };
    all.into_iter()
        .find(|rollout| Some(rollout.id) == wanted)
        .ok_or_else(|| Error::Missing("there is no rollout: `kickctl reinstall NODES --max-parallel N` begins one".into()))
}

/// The attempts of the nodes whose histories matter to a rollout. One that is no node any more is not among them.
///
/// # Errors
/// If the state cannot be read.
pub(super) async fn histories(store: &dyn Store, rollout: &Rollout) -> Result<Histories> {
    let watched: Vec<_> = rollout.nodes.iter().filter(|own| own.is_watched()).map(|own| own.node.clone()).collect();
    Ok(store.histories(&watched).await?)
}
