//! What diskless nodes run, and when they were heard of last.

use std::collections::HashMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::Result;
use crate::domain::attempt::{Attempt, AttemptId};
use crate::domain::image::{ImageName, VersionId};
use crate::domain::name::NodeName;
use crate::store::Store;

/// A diskless node that has called home since its last boot. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunningNode {
    /// The node.
    pub node: NodeName,
    /// Its image.
    pub image: ImageName,
    /// The version that it booted.
    pub version: VersionId,
    /// When it booted, by its own account.
    #[serde(with = "time::serde::rfc3339::option")]
    pub up_since: Option<OffsetDateTime>,
    /// When it was heard of last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_seen: Option<OffsetDateTime>,
    /// Seconds between two signs of life.
    pub heartbeat: u64,
}

impl RunningNode {
    /// True if three signs of life in a row did not come.
    pub fn is_silent(&self, now: OffsetDateTime) -> bool {
        self.last_seen.is_none_or(|seen| (now - seen).whole_seconds() > i64::try_from(self.heartbeat).unwrap_or(i64::MAX).saturating_mul(3))
    }
}

/// The diskless nodes among those whose last attempts these are.
///
/// # Errors
/// If the state cannot be read.
pub(super) async fn list_running(store: &dyn Store, last: &[Attempt]) -> Result<Vec<RunningNode>> {
    let seen: HashMap<AttemptId, _> = store.sightings().await?.into_iter().map(|seen| (seen.attempt, seen)).collect();
    let running = |attempt: &Attempt| {
        let image = attempt.order.image.clone().filter(|_| attempt.state == crate::domain::attempt::State::Verified)?;
        let seen = seen.get(&attempt.id);
        Some(RunningNode {
            node: attempt.node.clone(),
            image: image.name,
            version: image.version,
            up_since: seen.map(|seen| seen.at - time::Duration::seconds(i64::try_from(seen.uptime).unwrap_or(0))),
            last_seen: seen.map(|seen| seen.at),
            heartbeat: attempt.order.variables.values.0.get("heartbeat").and_then(serde_json::Value::as_u64).unwrap_or(60),
        })
    };
    Ok(last.iter().filter_map(running).collect())
}
