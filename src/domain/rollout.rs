//! Rollouts: many nodes are installed in waves, a few first; a breaker stops the rest when they fail alike. All decisions are in
//! [`Rollout::turn`], a pure function of what has become of the nodes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::attempt::{Attempt, State};
use super::name::NodeName;
use super::nodeset::fold;

/// How many nodes must have failed alike before the breaker stops a rollout.
pub const BREAKER_NODES: usize = 3;
/// And what share of those begun so far, in percent: a large fleet always has a few bad machines.
pub const BREAKER_PERCENT: usize = 10;

/// A rollout, as the store keeps it. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Unique within the head, from 1; 0 before the store has given it.
    pub id: u64,
    /// Grows with every change; a writer that has read an older revision is refused.
    pub revision: i64,
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
}

/// A node of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutNode {
    /// The node.
    pub node: NodeName,
    /// Where it stands.
    pub phase: Phase,
    /// The number of its last attempt when the rollout was begun; 0 if it had none. What came later belongs to the rollout.
    pub before: u32,
    /// Failures of attempts up to this number count no more: somebody has looked at them and resumed the rollout.
    #[serde(default)]
    pub excused: u32,
    /// Why it could not be taken out of work or begun.
    #[serde(default)]
    pub why: Option<String>,
}

/// Where a node of a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its turn has not come.
    Waiting,
    /// The site's command takes it out of work.
    Draining,
    /// It is out of work, and begun next.
    Drained,
    /// It is being installed, or about to be.
    Begun,
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

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Begun => "begun",
            Self::Verified => "verified",
            Self::Failed => "failed",
        })
    }
}

/// What has become of nodes: their attempts, the newest first.
pub type Histories = BTreeMap<NodeName, Vec<Attempt>>;

/// What a turn leads to besides the rollout's new state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Nodes to take out of work now.
    pub drain: Vec<NodeName>,
    /// Nodes to begin now; they are [`Phase::Begun`] already, so that what is armed is known to belong to the rollout.
    pub begin: Vec<NodeName>,
    /// Nodes to give back to work now.
    pub undrain: Vec<NodeName>,
    /// True if the breaker, or one of the first nodes, has stopped it in this turn.
    pub tripped: bool,
    /// True if the last node has come to its end in this turn.
    pub ended: bool,
}

impl RolloutNode {
    /// A node whose turn has not come.
    pub fn new(node: NodeName, before: u32) -> Self {
        Self { node, phase: Phase::Waiting, before, excused: 0, why: None }
    }

    /// True if its histories matter: it is out of work, or a late word of it may still come.
    pub fn is_watched(&self) -> bool {
        !matches!(self.phase, Phase::Waiting | Phase::Verified)
    }

    /// True if what was ordered is under way or done.
    fn is_begun(&self, history: &[Attempt]) -> bool {
        history.iter().any(|attempt| attempt.number > self.before && attempt.order.fallback_of.is_none())
    }

    /// The end that it has come to, if it has.
    fn ended(&self, history: &[Attempt]) -> Option<Phase> {
        let last = history.first().filter(|last| last.number > self.before)?;
        match &last.state {
            _ if last.order.fallback_of.is_some() => Some(Phase::Failed),
            State::Verified => Some(Phase::Verified),
            // Its next boot is another try, and nothing waits for that.
            State::Failed(_) if last.order.kind.is_diskless() => Some(Phase::Failed),
            state if state.is_settled() => Some(Phase::Failed),
            _ => None,
        }
    }

    /// In which ways it has failed in this rollout and not got over it.
    fn failures(&self, history: &[Attempt]) -> Vec<String> {
        if self.phase == Phase::Failed && self.why.is_some() {
            return if self.excused == u32::MAX { vec![] } else { vec!["it could not be begun".into()] };
        }
        let counts = |attempt: &&Attempt| attempt.number > self.before.max(self.excused);
        let failed = history.iter().filter(counts).filter_map(|attempt| attempt.state.failure());
        let mut alike: Vec<String> = failed.map(|failure| failure.signature().to_string()).collect();
        alike.sort();
        alike.dedup();
        alike
    }
}

impl Rollout {
    /// How many nodes are in one of these phases.
    pub fn count(&self, phases: &[Phase]) -> usize {
        self.nodes.iter().filter(|own| phases.contains(&own.phase)).count()
    }

    /// True if turns may still change something.
    pub fn is_open(&self) -> bool {
        match self.state {
            RolloutState::Running | RolloutState::Paused => true,
            RolloutState::Aborted => self.count(&[Phase::Begun]) > 0,
            RolloutState::Done => false,
        }
    }

    /// Puts a node into a phase.
    pub fn put(&mut self, node: &NodeName, phase: Phase, why: Option<String>) {
        if let Some(own) = self.nodes.iter_mut().find(|own| own.node == *node) {
            (own.phase, own.why) = (phase, why);
        }
    }

    /// Takes the rollout further by what has become of its nodes; `histories` has those that are [watched](RolloutNode::is_watched).
    /// `drains`: the site has a command that takes nodes out of work.
    pub fn turn(&mut self, histories: &Histories, drains: bool) -> Turn {
        let mut turn = Turn::default();
        self.learn(histories, &mut turn);
        if matches!(self.state, RolloutState::Running | RolloutState::Paused)
            && self.count(&[Phase::Verified, Phase::Failed]) == self.nodes.len()
        {
            (self.state, self.why, turn.ended) = (RolloutState::Done, None, true);
        }
        if self.state != RolloutState::Running {
            return turn;
        }
        if let Some(why) = self.trouble(histories) {
            (self.state, self.why, turn.tripped) = (RolloutState::Paused, Some(why), true);
            return turn;
        }
        // Until the first nodes are well nobody else's turn comes.
        let well = |own: &RolloutNode| own.phase == Phase::Verified || own.phase == Phase::Failed && own.excused == u32::MAX;
        let reach = if self.first().iter().all(well) { self.nodes.len() } else { self.canary };
        let mut room = self.max_parallel.saturating_sub(self.count(&[Phase::Draining, Phase::Drained, Phase::Begun]));
        for own in self.nodes.iter_mut().take(reach) {
            if own.phase == Phase::Waiting && room > 0 {
                room -= 1;
                own.phase = if drains { Phase::Draining } else { Phase::Drained };
                if drains {
                    turn.drain.push(own.node.clone());
                }
            }
            if own.phase == Phase::Drained {
                own.phase = Phase::Begun;
                turn.begin.push(own.node.clone());
            }
        }
        turn
    }

    /// The nodes that come first, alone; none if that would be all.
    fn first(&self) -> &[RolloutNode] {
        if self.canary < self.nodes.len() { &self.nodes[..self.canary] } else { &[] }
    }

    /// What has become of the nodes that were begun. One that failed may call home late.
    fn learn(&mut self, histories: &Histories, turn: &mut Turn) {
        for own in self.nodes.iter_mut().filter(|own| matches!(own.phase, Phase::Begun | Phase::Failed)) {
            let begun = histories.get(&own.node).is_some_and(|history| own.is_begun(history));
            if own.phase == Phase::Begun && !begun {
                // It was said, and not done yet: whoever was to do it was stopped in between.
                if self.state == RolloutState::Aborted {
                    own.phase = Phase::Waiting;
                    turn.undrain.push(own.node.clone());
                } else {
                    turn.begin.push(own.node.clone());
                }
                continue;
            }
            let phase = histories.get(&own.node).and_then(|history| own.ended(history));
            match phase {
                Some(Phase::Verified) => {
                    turn.undrain.push(own.node.clone());
                    (own.phase, own.why) = (Phase::Verified, None);
                }
                Some(phase) => own.phase = phase,
                None => {}
            }
        }
    }

    /// Why no further node may be begun, if so.
    fn trouble(&self, histories: &Histories) -> Option<String> {
        if let Some(own) = self.first().iter().find(|own| own.phase == Phase::Failed && own.excused < u32::MAX) {
            return Some(format!("{}, one of the first {}, has failed", own.node, self.canary));
        }
        let none = vec![];
        let mut alike: BTreeMap<String, Vec<&NodeName>> = BTreeMap::new();
        for own in self.nodes.iter().filter(|own| own.is_watched()) {
            for failure in own.failures(histories.get(&own.node).unwrap_or(&none)) {
                alike.entry(failure).or_default().push(&own.node);
            }
        }
        let begun = self.count(&[Phase::Begun, Phase::Verified, Phase::Failed]);
        let trips = |nodes: &Vec<&NodeName>| nodes.len() >= BREAKER_NODES && nodes.len() * 100 >= begun * BREAKER_PERCENT;
        let (failure, nodes) = alike.into_iter().find(|(_, nodes)| trips(nodes))?;
        Some(format!("{} of {begun} nodes have failed alike ({failure}): {}", nodes.len(), fold(nodes)))
    }

    /// Somebody has looked at what stopped it and wants it to go on: the failures so far count no more.
    pub fn resume(&mut self, histories: &Histories) {
        (self.state, self.why) = (RolloutState::Running, None);
        for own in &mut self.nodes {
            own.excused = match own.phase {
                Phase::Failed => u32::MAX,
                _ => histories.get(&own.node).and_then(|history| history.first()).map_or(own.excused, |last| last.number),
            };
        }
    }

    /// No further node is begun; those that are out of work and not begun are given back: these.
    pub fn abort(&mut self, why: &str) -> Vec<NodeName> {
        (self.state, self.why) = (RolloutState::Aborted, Some(why.to_owned()));
        let back = self.nodes.iter_mut().filter(|own| matches!(own.phase, Phase::Draining | Phase::Drained));
        back.map(|own| {
            own.phase = Phase::Waiting;
            own.node.clone()
        })
        .collect()
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
