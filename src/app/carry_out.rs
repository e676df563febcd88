//! Carries out what the state wants done outside: at least once, each of it harmless when repeated.

use std::time::Duration;

use time::OffsetDateTime;

use super::change_attempt::update_attempt;
use super::notify::notify;
use super::run_hook::{give_up_hook, run_hook};
use super::{Error, Head, Result};
use crate::domain::attempt::{AttemptId, State};
use crate::domain::name::NodeName;
use crate::domain::node::{Firmware, Node};
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::outbox::{Outgoing, PowerStep, Work};
use crate::domain::power::{BootFrom, PowerState};
use crate::sys::power::Switch;

/// How often something is tried before it is given up.
const MAX_TRIES: u32 = 8;
/// The pause after the first vain try; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What came of one try.
pub(super) enum Outcome {
    /// It is done, or not wanted any more.
    Done(Vec<Occurrence>),
    /// A part is done; the rest is due after this time.
    Further(Work, Duration),
    /// It was tried in vain; what is left, and why.
    Failed(Work, String),
}

/// What is due now, the oldest first.
///
/// # Errors
/// If the state cannot be read.
pub async fn due_work(head: &Head, now: OffsetDateTime) -> Result<Vec<Outgoing>> {
    Ok(head.store.outbox(now, 64).await?)
}

/// Carries one of it out, and records what came of it. Whoever is killed in between does it again.
///
/// # Errors
/// If the state cannot be read or written. That something could not be done is no error: it is tried again later, and given up at last.
pub async fn carry_out(head: &Head, outgoing: Outgoing) -> Result<()> {
    let outcome = match outgoing.work.clone() {
        Work::Power { node, attempt, boot, step } => power(head, &node, attempt, boot, step).await?,
        Work::Hook { node, rollout, hook } => run_hook(head, &node, rollout, hook).await?,
        Work::Notify { event, told } => match notify(&head.config.notify, &event, told).await {
            Ok(()) => Outcome::Done(vec![]),
            Err((told, problem)) => Outcome::Failed(Work::Notify { event, told }, problem),
        },
    };
    let now = OffsetDateTime::now_utc();
    match outcome {
        Outcome::Done(events) => head.store.end_work(outgoing.id, &events, now).await?,
        Outcome::Further(work, after) => head.store.keep_work(&Outgoing { work, due: now + after, tries: 0, ..outgoing }).await?,
        Outcome::Failed(work, problem) if outgoing.tries + 1 < MAX_TRIES => {
            tracing::warn!(tries = outgoing.tries + 1, "{} failed, and will be tried again: {problem}", work.kind());
            let pause = LONGEST_PAUSE.min(PAUSE * 2u32.saturating_pow(outgoing.tries));
            head.store.keep_work(&Outgoing { work, due: now + pause, tries: outgoing.tries + 1, ..outgoing }).await?;
        }
        Outcome::Failed(work, problem) => {
            tracing::error!("{} failed {MAX_TRIES} times and is given up: {problem}", work.kind());
            let events = given_up(head, &work, &problem, now).await?;
            head.store.end_work(outgoing.id, &events, now).await?;
        }
    }
    Ok(())
}

async fn given_up(head: &Head, work: &Work, problem: &str, now: OffsetDateTime) -> Result<Vec<Occurrence>> {
    Ok(match work {
        Work::Power { node, .. } => vec![happened(node, format!("could not be switched, a hand is needed: {problem}"), now)],
        Work::Hook { node, rollout, hook } => vec![give_up_hook(head, node, *rollout, *hook, problem, now).await?],
        Work::Notify { .. } => vec![],
    })
}

fn happened(node: &NodeName, text: String, at: OffsetDateTime) -> Occurrence {
    Occurrence { seq: 0, at, node: Some(node.clone()), attempt: None, what: What::Power, text }
}

async fn power(head: &Head, name: &NodeName, attempt: AttemptId, boot: BootFrom, step: PowerStep) -> Result<Outcome> {
    let (Some(node), Some(power)) = (head.store.node(name).await?, head.store.power_of(name).await?) else {
        return Ok(Outcome::Done(vec![]));
    };
    let switch = Switch { node: name, power: &power, uefi: firmware(head, &node).await? == Some(Firmware::Uefi) };
    let work = |step| Work::Power { node: name.clone(), attempt, boot, step };
    match step {
        PowerStep::Off if !is_wanted(head, name, attempt, boot).await? => Ok(Outcome::Done(vec![])),
        PowerStep::Off => Ok(match switch.turn(PowerState::Off).await {
            Ok(()) => Outcome::Further(work(PowerStep::On), head.config.off_time),
            Err(error) => Outcome::Failed(work(PowerStep::Off), error.to_string()),
        }),
        // What was switched off is switched on again, whatever has become of the attempt.
        PowerStep::On => {
            // A firmware that is on reads the choice only at its next boot, so this comes first.
            if let Err(error) = switch.boot_once(boot).await {
                return Ok(Outcome::Failed(work(PowerStep::On), error.to_string()));
            }
            match switch.turn(PowerState::On).await {
                Ok(()) => {
                    note_powered(head, attempt).await?;
                    let text = format!("switched off and on by {}, to boot from {boot}", power.word());
                    Ok(Outcome::Done(vec![happened(name, text, OffsetDateTime::now_utc())]))
                }
                Err(error) => Ok(Outcome::Failed(work(PowerStep::On), error.to_string())),
            }
        }
    }
}

/// What the node boots with: by its own description, or as it was last seen.
pub(super) async fn firmware(head: &Head, node: &Node) -> Result<Option<Firmware>> {
    if node.firmware.is_some() {
        return Ok(node.firmware);
    }
    let attempts = head.store.attempts(Some(&node.name)).await?;
    Ok(attempts.iter().find_map(|attempt| attempt.progress.firmware))
}

/// A node that is under way must not be switched off: the cycle was for an attempt that stands where it stood then.
async fn is_wanted(head: &Head, node: &NodeName, attempt: AttemptId, boot: BootFrom) -> Result<bool> {
    let last = head.store.last_attempt(node).await?.filter(|last| last.id == attempt);
    Ok(last.is_some_and(|last| match (&last.state, boot) {
        (State::Armed, BootFrom::Network) => !last.progress.powered,
        (State::Fallback(_), BootFrom::Network) | (State::Held(_), BootFrom::Disk) => true,
        _ => false,
    }))
}

/// From now on the attempt may be late.
async fn note_powered(head: &Head, attempt: AttemptId) -> Result<()> {
    let now = OffsetDateTime::now_utc();
    let noted = update_attempt(&*head.store, attempt, now, |attempt| {
        if attempt.state == State::Armed && !attempt.progress.powered {
            attempt.progress.powered = true;
            attempt.clocks.restart_stage();
        }
        Ok(vec![])
    });
    match noted.await {
        Ok(_) | Err(Error::Store(crate::store::Error::NoAttempt(_))) => Ok(()),
        Err(error) => Err(error),
    }
}
