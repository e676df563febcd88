//! Rollouts: many nodes are installed in waves, a few first; a breaker stops the rest when they fail alike. All decisions are in
//! [`Rollout::turn`], a pure function of what has become of the nodes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::attempt::{Attempt, Signature, State};
use super::name::NodeName;

/// How many nodes must have failed alike before the breaker stops a rollout.
pub const BREAKER_NODES: usize = 3;
/// And what share of those begun so far, in percent: a large fleet always has a few bad machines.
pub const BREAKER_PERCENT: usize = 10;

/// A rollout, as the store keeps it. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Unique within the head, from 1.
    pub id: u64,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    pub begun_at: OffsetDateTime,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it is paused or aborted.
    pub why: Option<String>,
    /// How many nodes come first, alone.
    pub canary: usize,
    /// Most nodes that are out of work at the same time.
    pub max_parallel: usize,
    /// True if nodes with power control are switched off and on.
    pub cycle: bool,
    /// The nodes in their order, and where each stands.
    pub nodes: Vec<RolloutNode>,
    /// True once somebody resumed it: what the breaker or the first nodes said by then counts no more.
    pub forgiven: Vec<NodeName>,
}

/// A node of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutNode {
    /// The node.
    pub node: NodeName,
    /// Where it stands.
    #[serde(flatten)]
    pub phase: Phase,
}

/// Where a node of a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "phase")]
pub enum Phase {
    /// Its turn has not come.
    Waiting,
    /// The site's command takes it out of work.
    Draining,
    /// It is out of work.
    Drained,
    /// It is being installed.
    Begun {
        /// The number of its first attempt in this rollout.
        attempt: u32,
    },
    /// It has called home.
    Verified,
    /// It runs its fallback profile, is held, or could not be begun.
    Failed,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RolloutState {
    /// It goes on.
    Running,
    /// No further node is begun until somebody resumes it.
    Paused,
    /// No further node is begun.
    Aborted,
    /// Every node has come to its end.
    Done,
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Aborted => "aborted",
            Self::Done => "done",
        })
    }
}

/// What has become of the nodes that were begun: their attempts, the newest first.
pub type Histories = BTreeMap<NodeName, Vec<Attempt>>;

/// What a turn leads to besides the rollout's new state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Nodes to take out of work now.
    pub drain: Vec<NodeName>,
    /// Nodes to begin now.
    pub begin: Vec<NodeName>,
    /// Nodes to give back to work now.
    pub undrain: Vec<NodeName>,
    /// True if the breaker or the first nodes have stopped it in this turn.
    pub tripped: bool,
}

impl Rollout {
    /// Nodes in this phase.
    fn count(&self, is: impl Fn(&Phase) -> bool) -> usize {
        self.nodes.iter().filter(|own| is(&own.phase)).count()
    }

    /// Takes the rollout further by what has become of its nodes. `drains`: the site has a command that takes nodes out of work.
    pub fn turn(&mut self, histories: &Histories, drains: bool) -> Turn {
        let mut turn = Turn::default();
        for own in &mut self.nodes {
            if let Phase::Begun { attempt } = own.phase
                && let Some(phase) = ended(histories.get(&own.node), attempt)
            {
                if phase == Phase::Verified {
                    turn.undrain.push(own.node.clone());
                }
                own.phase = phase;
            }
        }
        if self.state != RolloutState::Running {
            return turn;
        }
        if let Some(why) = self.trouble(histories) {
            (self.state, self.why, turn.tripped) = (RolloutState::Paused, Some(why), true);
            return turn;
        }
        let out = self.count(|phase| matches!(phase, Phase::Draining | Phase::Drained | Phase::Begun { .. }));
        let verified = self.count(|phase| *phase == Phase::Verified);
        let first = verified + self.forgiven.len() < self.canary && self.canary < self.nodes.len();
        // Until the first nodes are well nobody else's turn comes.
        let reach = if first { self.canary } else { self.nodes.len() };
        let mut room = self.max_parallel.saturating_sub(out);
        for own in self.nodes.iter_mut().take(reach) {
            if own.phase == Phase::Waiting && room > 0 {
                room -= 1;
                own.phase = if drains { Phase::Draining } else { Phase::Drained };
                if drains {
                    turn.drain.push(own.node.clone());
                }
            }
            if own.phase == Phase::Drained {
                turn.begin.push(own.node.clone());
            }
        }
        if self.count(|phase| matches!(phase, Phase::Verified | Phase::Failed)) == self.nodes.len() {
            self.state = RolloutState::Done;
        }
        turn
    }

    /// Why no further node may be begun, if so.
    fn trouble(&self, histories: &Histories) -> Option<String> {
        let forgiven = |node: &NodeName| self.forgiven.contains(node);
        if self.canary < self.nodes.len()
            && let Some(own) = self.nodes.iter().take(self.canary).find(|own| own.phase == Phase::Failed && !forgiven(&own.node))
        {
            return Some(format!("{}, one of the first {}, has failed", own.node, self.canary));
        }
        let mut alike: BTreeMap<Signature, Vec<&NodeName>> = BTreeMap::new();
        let mut begun = 0;
        for own in self.nodes.iter().filter(|own| !forgiven(&own.node)) {
            let Some(history) = histories.get(&own.node) else { continue };
            begun += 1;
            let mut seen: Vec<Signature> = history.iter().filter_map(|attempt| Some(attempt.state.failure()?.signature())).collect();
            seen.sort();
            seen.dedup();
            seen.into_iter().for_each(|signature| alike.entry(signature).or_default().push(&own.node));
        }
        let trips = |nodes: &Vec<&NodeName>| nodes.len() >= BREAKER_NODES && nodes.len() * 100 >= begun * BREAKER_PERCENT;
        let (signature, nodes) = alike.into_iter().find(|(_, nodes)| trips(nodes))?;
        Some(format!("{} of {begun} nodes have failed alike ({signature}): {}", nodes.len(), super::nodeset::fold(nodes)))
    }

    /// Somebody has looked at what stopped it and wants it to go on: the failures so far count no more.
    pub fn resume(&mut self) {
        (self.state, self.why) = (RolloutState::Running, None);
        self.forgiven = self.nodes.iter().filter(|own| own.phase != Phase::Waiting).map(|own| own.node.clone()).collect();
    }
}

/// The end that a node has come to since its attempt of this number, if it has.
fn ended(history: Option<&Vec<Attempt>>, since: u32) -> Option<Phase> {
    let last = history?.first().filter(|last| last.number >= since)?;
    if last.order.fallback_of.is_some() {
        return Some(Phase::Failed);
    }
    match &last.state {
        State::Verified => Some(Phase::Verified),
        state if state.is_settled() => Some(Phase::Failed),
        _ => None,
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
