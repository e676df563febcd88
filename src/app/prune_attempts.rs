//! Forgets old attempts, and their logs.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Head, Result};
use crate::store::Kept;

/// How long an attempt is kept.
pub const KEPT: Duration = Duration::from_secs(180 * 86_400);
/// What is kept of each node however old it is, and at most.
pub const EACH: Kept = Kept { least: 5, most: 50 };

/// Forgets attempts that are older than [`KEPT`], but for the last few of each node, and the oldest of too many; returns how many.
///
/// # Errors
/// If the state cannot be written.
pub async fn prune_attempts(head: &Head, now: OffsetDateTime) -> Result<usize> {
    let pruned = head.store.prune_attempts(now - KEPT, EACH).await?;
    Ok(usize::try_from(pruned).unwrap_or(usize::MAX))
}
