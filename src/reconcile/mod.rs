//! Small loops without input that put right what is not so, and count what they did.

mod outbox;
mod refresh;

use std::time::Duration;

use time::OffsetDateTime;

use crate::app::{
    Head, Result, advance_rollouts::advance_rollouts, expire_attempts::expire_attempts, prune_attempts::prune_attempts,
    prune_events::prune_events, settle_failures::settle_failures,
};
pub use outbox::outbox;

pub use refresh::due_mirrors;

/// How often overdue attempts are looked for. A deadline is late by this much at most.
pub const EVERY: Duration = Duration::from_secs(5);
/// How often what is kept for a time is looked through.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Looks for overdue attempts, and decides what follows those that failed, for as long as it is polled. Time that passes while the head is
/// not serving is not counted: each turn counts the time since the last one, and the first one counts nothing.
pub async fn attempts(head: &Head) {
    loop {
        tokio::time::sleep(EVERY).await;
        let now = OffsetDateTime::now_utc();
        told("attempts were overdue", expire_attempts(head, EVERY, now).await);
        told("failed attempts were taken further", settle_failures(head, now).await);
        told("rollouts were taken further", advance_rollouts(head, now).await);
    }
}

/// Forgets what is older than it is kept, for as long as it is polled.
pub async fn pruning(head: &Head) {
    loop {
        let now = OffsetDateTime::now_utc();
        told("events were forgotten", prune_events(head, now).await);
        told("attempts were forgotten", prune_attempts(head, now).await);
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}

fn told(what: &str, done: Result<usize>) {
    match done {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "{what}"),
        Err(error) => tracing::error!(%error, "not done: {what}"),
    }
}
