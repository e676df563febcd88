//! What follows failed attempts: once more, the fallback profile, the local disk, or a person. The decision is `domain::attempt::next`;
//! here it is carried into the state, with what is to be done outside, in one transaction.

use time::OffsetDateTime;

use super::change_attempt::update_and;
use super::fallback::fallback_order;
use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, Class, Event, Next, State, next};
use crate::domain::name::NodeName;
use crate::domain::outbox::{PowerStep, Work};
use crate::domain::power::BootFrom;
use crate::store::{self, Arming};

/// Who has the node boot for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    /// The head, by power control.
    Head,
    /// A person, who has not yet: the attempt waits.
    Awaited,
    /// Nobody needs to: it boots over the network at this moment.
    Boots,
}

/// Decides what follows for every failed attempt for which that is not decided yet; returns how many were taken further. Nodes that are
/// to run diskless decide at each boot by themselves.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn settle_failures(head: &Head, now: OffsetDateTime) -> Result<usize> {
    let failed: Vec<Attempt> = head.store.last_attempts().await?.into_iter().filter(is_open).collect();
    if failed.is_empty() {
        return Ok(0);
    }
    let power = head.store.power().await?;
    let mut settled = 0;
    for attempt in failed {
        let hand = if power.contains_key(&attempt.node) { Hand::Head } else { Hand::Awaited };
        settled += usize::from(settle(head, &attempt, hand, now).await?);
    }
    Ok(settled)
}

/// A node boots over the network: if another try waits for that, this is it.
///
/// # Errors
/// If the state cannot be read or written.
pub(super) async fn retry_at_boot(head: &Head, node: &NodeName, now: OffsetDateTime) -> Result<()> {
    let Some(last) = head.store.last_attempt(node).await?.filter(is_open) else { return Ok(()) };
    if head.store.power_of(node).await?.is_none() {
        settle(head, &last, Hand::Boots, now).await?;
    }
    Ok(())
}

fn is_open(attempt: &Attempt) -> bool {
    !attempt.order.kind.is_diskless() && matches!(&attempt.state, State::Failed(failure) if failure.class != Class::Aborted)
}

/// True if the attempt was taken further.
async fn settle(head: &Head, failed: &Attempt, hand: Hand, now: OffsetDateTime) -> Result<bool> {
    let history = head.store.attempts(Some(&failed.node)).await?;
    let fallback = fallback_order(head, failed).await?.is_some();
    let Some(verdict) = next(&history, fallback, &head.config.retry_pauses, now) else { return Ok(false) };
    let Some(event) = verdict.event() else {
        let due = match (hand, &verdict.next) {
            (Hand::Awaited, _) => false,
            // The pause is for machines: a person who has switched the node on has waited long enough.
            (Hand::Boots, _) => true,
            (Hand::Head, Next::Retry { after }) => after.is_zero(),
            (Hand::Head, _) => false,
        };
        return if due { retry(head, failed, hand, &verdict.why, now).await } else { Ok(false) };
    };
    let boot = match verdict.next {
        Next::Fallback => Some(BootFrom::Network),
        Next::LocalDisk => Some(BootFrom::Disk),
        Next::Held | Next::Retry { .. } => None,
    };
    let power = |boot| Work::Power { node: failed.node.clone(), attempt: failed.id, boot, step: PowerStep::Off };
    let works: Vec<Work> = boot.filter(|_| hand == Hand::Head).map(power).into_iter().collect();
    end(head, failed, &event, &works, now).await
}

/// Ends a failed attempt, unless a late word of its node has changed it in this moment.
async fn end(head: &Head, failed: &Attempt, event: &Event, works: &[Work], now: OffsetDateTime) -> Result<bool> {
    match update_and(&*head.store, failed.id, now, works, |attempt| attempt.advance(event, now)).await {
        Ok(_) => Ok(true),
        Err(Error::Rejected(_) | Error::Store(store::Error::Stale(_))) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn retry(head: &Head, failed: &Attempt, hand: Hand, why: &str, now: OffsetDateTime) -> Result<bool> {
    let assigned = head.store.assignment(&failed.node).await?.map(|own| own.profile);
    if assigned.as_ref() != Some(&failed.order.profile) {
        let reason = "its profile was changed: `kickctl reinstall` begins with the new one".into();
        return end(head, failed, &Event::Held { reason }, &[], now).await;
    }
    let why = format!("after attempt {}: {why}", failed.number);
    let arming = Arming { node: &failed.node, order: &failed.order, after: Some(failed), cycle: hand == Hand::Head, why };
    match head.store.arm_and(&arming, now).await {
        Ok(armed) => {
            tracing::info!(node = %armed.node, attempt = armed.number, "armed again");
            Ok(true)
        }
        // It called home after all, or somebody else has decided.
        Err(store::Error::Stale(_) | store::Error::Busy { .. } | store::Error::NoNode(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
