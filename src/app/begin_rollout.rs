//! Begins a rollout: many nodes are installed in waves, a few first.

use time::OffsetDateTime;

use super::list_rollouts::open_rollouts;
use super::reinstall::reinstall;
use super::{Error, Head, Result};
use crate::domain::name::NodeName;
use crate::domain::nodeset::fold;
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::rollout::{Rollout, RolloutNode, RolloutState};
use crate::store::Along;

/// How many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waves {
    /// How many nodes come first, alone.
    pub canary: usize,
    /// Most nodes that are out of work at the same time.
    pub max_parallel: usize,
    /// True if nodes with power control are switched off and on.
    pub cycle: bool,
}

/// Begins a rollout over these nodes, in their order, after a preflight for all of them. With `dry_run` it is not kept.
///
/// # Errors
/// [`Error::Refused`] as for [`reinstall`](reinstall()), or if one of them belongs to a rollout that is not over.
pub async fn begin_rollout(head: &Head, nodes: &[NodeName], waves: Waves, dry_run: bool, now: OffsetDateTime) -> Result<Rollout> {
    for rollout in open_rollouts(&*head.store).await? {
        let taken: Vec<&NodeName> = nodes.iter().filter(|node| rollout.nodes.iter().any(|own| own.node == **node)).collect();
        if !taken.is_empty() {
            let (taken, id) = (fold(taken), rollout.id);
            return Err(Error::Refused(format!("{taken} belong to rollout {id}, which is not over: `kickctl rollout abort {id}` ends it")));
        }
    }
    reinstall(head, nodes, waves.cycle, true, now).await?;
    let mut own = Vec::with_capacity(nodes.len());
    for node in nodes {
        let before = head.store.last_attempt(node).await?.map_or(0, |last| last.number);
        own.push(RolloutNode::new(node.clone(), before));
    }
    let Waves { canary, max_parallel, cycle } = waves;
    let (state, why) = (RolloutState::Running, None);
    let rollout = Rollout { id: 0, revision: 0, begun_at: now, state, why, canary, max_parallel, cycle, nodes: own };
    if dry_run {
        return Ok(rollout);
    }
    let text = format!("a rollout over {} begins, {canary} first, then at most {max_parallel} at a time", fold(nodes));
    let event = Occurrence { seq: 0, at: now, node: None, attempt: None, what: What::Rollout, text };
    Ok(head.store.add_rollout(&rollout, &Along { events: vec![event], ..Along::default() }, now).await?)
}
