//! Small loops without input that put right what is not so, and count what they did.

mod refresh;

use std::time::Duration;

use time::OffsetDateTime;

use crate::app::{Head, Result, expire_attempts::expire_attempts};

pub use refresh::due_mirrors;

/// How often overdue attempts are looked for. A deadline is late by this much at most.
pub const EVERY: Duration = Duration::from_secs(5);

/// Looks for overdue attempts for as long as it is polled. Time that passes while the head is not serving is not counted:
/// each turn counts the time since the last one, and the first one counts nothing.
pub async fn overdue_attempts(head: &Head) {
    loop {
        tokio::time::sleep(EVERY).await;
        match turn(head).await {
            Ok(0) => {}
            Ok(expired) => tracing::info!(expired, "attempts were overdue"),
            Err(error) => tracing::error!(%error, "overdue attempts could not be looked for"),
        }
    }
}

async fn turn(head: &Head) -> Result<usize> {
    expire_attempts(head, EVERY, OffsetDateTime::now_utc()).await
}
