//! Lets served time pass for the attempts under way and ends those that are overdue.

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use time::OffsetDateTime;

use super::change_attempt::change_attempt;
use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, Event, Limits, State, deadline};

/// How many attempts are looked at together.
const TOGETHER: usize = 64;

/// Counts `served` time for every unfinished attempt; returns how many had to be ended.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn expire_attempts(head: &Head, served: Duration, now: OffsetDateTime) -> Result<usize> {
    let runs = |attempt: &Attempt| !attempt.state.is_over() && !waits(attempt);
    let under_way = head.store.last_attempts().await?.into_iter().filter(runs);
    // Many at once: they are committed together.
    let passed = stream::iter(under_way.map(|attempt| pass(head, attempt, served, now))).buffer_unordered(TOGETHER);
    passed.try_fold(0, async |expired, ended| Ok(expired + usize::from(ended))).await
}

/// No deadline is set to an attempt that waits for somebody to switch its node on.
fn waits(attempt: &Attempt) -> bool {
    attempt.state == State::Armed && !attempt.progress.powered
}

/// Counts the time for one attempt; true if it had to be ended.
async fn pass(head: &Head, mut attempt: Attempt, served: Duration, now: OffsetDateTime) -> Result<bool> {
    attempt.clocks.pass(served, &attempt.state);
    match head.store.save_attempt(&attempt, &[]).await {
        // It moved in this very moment: its clocks count from the next turn on.
        Err(crate::store::Error::Stale(_)) => return Ok(false),
        other => other?,
    }
    let Some(reason) = overdue(&attempt, &head.config.limits) else { return Ok(false) };
    match change_attempt(&*head.store, attempt.id, &Event::Overdue { reason }, now).await {
        Ok(_) => Ok(true),
        Err(Error::Rejected(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn overdue(attempt: &Attempt, limits: &Limits) -> Option<String> {
    deadline::overdue(&attempt.state, attempt.progress.powered, &attempt.clocks, limits)
}
