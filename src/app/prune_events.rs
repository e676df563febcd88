//! Forgets old events.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Head, Result};
use crate::store::MAX_EVENTS;

/// How long an event is kept.
pub const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// Forgets events that are older than [`KEPT`], and the oldest of more than [`MAX_EVENTS`]; returns how many.
///
/// # Errors
/// If the state cannot be written.
pub async fn prune_events(head: &Head, now: OffsetDateTime) -> Result<usize> {
    let pruned = head.store.prune_events(now - KEPT, MAX_EVENTS).await?;
    Ok(usize::try_from(pruned).unwrap_or(usize::MAX))
}
