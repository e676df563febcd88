//! The write gate: the installer asks whether it may write, and to which disk.

use std::net::Ipv4Addr;

use time::OffsetDateTime;

use super::authorize::authorize;
use super::change_attempt::update_attempt;
use super::head::Head;
use super::{Result, material};
use crate::domain::attempt::{Event, Gate, State};
use crate::provision::decide::Request;
use crate::provision::{choose_disk, gate, inventory};

/// The head's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes: the answers that let the installer's partitioner run on the one disk.
    Yes(String),
    /// No, and why; nothing may be written.
    No(String),
}

/// Answers the write gate with the inventory that the installer posted; `None` if the token does not open it now.
/// The same question gets the same answer, so that a lost one can be asked for again.
///
/// # Errors
/// If the state cannot be read or written, or the attempt's settings cannot be read back.
pub async fn answer_gate(head: &Head, token: &str, posted: &str, peer: Ipv4Addr, now: OffsetDateTime) -> Result<Option<Answer>> {
    let Some(granted) = authorize(head, token, Request::Gate, peer).await? else { return Ok(None) };
    let material = material::gather(head, &granted.node, &granted.attempt).await?;
    let machine = material.machine(inventory::memory(posted));
    let (disks, choice) = match inventory::parse(posted) {
        Ok(disks) => {
            let choice = choose_disk(material.settings(), machine, &disks);
            let choice = choice.map(|disk| disk.path()).map_err(|refusal| refusal.to_string());
            (disks, choice)
        }
        Err(error) => (vec![], Err(error.to_string())),
    };
    // Once open, the gate stays open for the disk it named, even if the inventory looks different by now: partitions are on it.
    let choice = match &granted.attempt.state {
        State::Installing { gate: Gate::Open { disk }, .. } => Ok(disk.clone()),
        _ => choice,
    };
    let event = match &choice {
        Ok(disk) => Event::GateOpened { disk: disk.clone() },
        Err(reason) => Event::GateRefused { reason: reason.clone() },
    };
    let attempt = update_attempt(&*head.store, granted.attempt.id, now, |attempt| {
        if attempt.progress.disks.is_empty() {
            attempt.progress.disks.clone_from(&disks);
        }
        attempt.advance(&event, now)
    })
    .await?;
    // What the store says counts: a question that came twice at the same moment must not get two answers.
    Ok(Some(match (&attempt.state, choice) {
        (State::Installing { gate: Gate::Open { disk }, .. }, _) => Answer::Yes(gate::answer(disk, material.settings(), machine)),
        (_, Err(reason)) => Answer::No(reason),
        (state, Ok(_)) => Answer::No(format!("the attempt is {}", state.name())),
    }))
}
