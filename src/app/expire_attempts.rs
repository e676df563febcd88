//! Lets served time pass for the attempts under way and ends those that are overdue.

use std::time::Duration;

use time::OffsetDateTime;

use super::change_attempt::change_attempt;
use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, Event, Limits, deadline};

/// Counts `served` time for every unfinished attempt; returns how many had to be ended.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn expire_attempts(head: &Head, served: Duration, now: OffsetDateTime) -> Result<usize> {
    let mut expired = 0;
    for mut attempt in head.store.last_attempts().await?.into_iter().filter(|attempt| !attempt.state.is_over()) {
        attempt.clocks.pass(served, &attempt.state);
        match head.store.save_attempt(&attempt, &[]).await {
            // It moved in this very moment: its clocks count from the next turn on.
            Err(crate::store::Error::Stale(_)) => continue,
            other => other?,
        }
        let Some(reason) = overdue(&attempt, &head.config.limits) else { continue };
        match change_attempt(&*head.store, attempt.id, &Event::Overdue { reason }, now).await {
            Ok(_) => expired += 1,
            Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(expired)
}

fn overdue(attempt: &Attempt, limits: &Limits) -> Option<String> {
    deadline::overdue(&attempt.state, attempt.progress.powered, &attempt.clocks, limits)
}
