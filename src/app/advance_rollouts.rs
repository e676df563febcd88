//! Takes rollouts further. The decision is `domain::rollout`; here it is carried into the state. That a node is begun is written before it is
//! armed: whoever is killed in between finds it written and not done, and does it.

use time::OffsetDateTime;

use super::list_rollouts::{histories, open_rollouts};
use super::reinstall::reinstall;
use super::{Error, Head, Result};
use crate::domain::name::NodeName;
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::outbox::{Hook, Work};
use crate::domain::rollout::{Phase, Rollout, Turn};
use crate::store::{self, Along};

/// Takes every rollout that is not over further by what has become of its nodes; returns how many were changed.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn advance_rollouts(head: &Head, now: OffsetDateTime) -> Result<usize> {
    let mut changed = 0;
    for rollout in open_rollouts(&*head.store).await? {
        match advance(head, rollout, now).await {
            Ok(moved) => changed += usize::from(moved),
            // Somebody paused, resumed or aborted it in this moment: the next turn sees that.
            Err(Error::Store(store::Error::StaleRollout(_))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(changed)
}

async fn advance(head: &Head, held: Rollout, now: OffsetDateTime) -> Result<bool> {
    let histories = histories(&*head.store, &held).await?;
    let mut rollout = held.clone();
    for own in held.nodes.iter().filter(|own| own.is_watched() && own.phase != Phase::Failed && !histories.contains_key(&own.node)) {
        rollout.put(&own.node, Phase::Failed, Some("it is no node any more".into()));
    }
    let turn = rollout.turn(&histories, !head.config.drains.drain.is_empty());
    if rollout != held {
        head.store.save_rollout(&rollout, &along(head, &rollout, &turn, now), now).await?;
        rollout.revision += 1;
    }
    let mut refused = vec![];
    // All of them with one preflight, or, if one is refused or busy, each with its own.
    let together = match turn.begin.len() {
        0 | 1 => false,
        _ => reinstall(head, &turn.begin, rollout.cycle, false, now).await.is_ok(),
    };
    for node in turn.begin.iter().filter(|_| !together) {
        if let Some(why) = begin(head, &rollout, node, now).await? {
            tracing::warn!(%node, rollout = rollout.id, "it could not be begun: {why}");
            rollout.put(node, Phase::Failed, Some(why));
            refused.push(node);
        }
    }
    if !refused.is_empty() {
        head.store.save_rollout(&rollout, &Along::default(), now).await?;
    }
    Ok(rollout != held)
}

/// Arms a node; tells why it cannot be, if so. One that is under way for another reason is tried again in the next turn.
async fn begin(head: &Head, rollout: &Rollout, node: &NodeName, now: OffsetDateTime) -> Result<Option<String>> {
    match reinstall(head, std::slice::from_ref(node), rollout.cycle, false, now).await {
        Ok(_) | Err(Error::Store(store::Error::Busy { .. })) => Ok(None),
        Err(Error::Store(error)) => Err(error.into()),
        Err(why) => Ok(Some(why.to_string())),
    }
}

/// What is told, and what is to be done outside.
fn along(head: &Head, rollout: &Rollout, turn: &Turn, now: OffsetDateTime) -> Along {
    let id = rollout.id;
    let event = |what, text| Occurrence { seq: 0, at: now, node: None, attempt: None, what, text };
    let mut events = vec![];
    if turn.tripped {
        let why = rollout.why.as_deref().unwrap_or_default();
        events.push(event(What::Breaker, format!("rollout {id} is paused: {why}; `kickctl rollout resume {id}` goes on, `abort` ends it")));
    }
    if turn.ended {
        let (verified, failed) = (rollout.count(&[Phase::Verified]), rollout.count(&[Phase::Failed]));
        events.push(event(What::Rollout, format!("rollout {id} has ended: {verified} verified, {failed} failed")));
    }
    let hook = |nodes: &[NodeName], hook| nodes.iter().map(|node| Work::Hook { node: node.clone(), rollout: id, hook }).collect::<Vec<_>>();
    let back = if head.config.drains.undrain.is_empty() { &[] } else { turn.undrain.as_slice() };
    Along { events, works: [hook(&turn.drain, Hook::Drain), hook(back, Hook::Undrain)].concat(), ..Along::default() }
}
