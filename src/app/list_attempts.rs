//! What is known of attempts.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{Error, Result, select_nodes};
use crate::domain::attempt::{Attempt, AttemptId, Class, Failure, Signature, State};
use crate::domain::disk::Disk;
use crate::domain::name::{ImageName, MirrorName, NodeName, ProfileName, SnapshotId, VersionId};
use crate::domain::nodeset::NodeSet;
use crate::store::{self, Store};

/// An attempt in short. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptSummary {
    /// Unique within the head.
    pub id: AttemptId,
    /// The node.
    pub node: NodeName,
    /// Counts from 1 for each node.
    pub number: u32,
    /// Where it stands, such as `installing/base-system`.
    pub state: String,
    /// True once nothing but a late report can change it.
    pub over: bool,
    /// How much of the installation is done, while that is known.
    pub percent: Option<u8>,
    /// When it entered the stage it is in.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Why it failed or is held.
    pub why: Option<String>,
    /// What kind of failure it was.
    pub class: Option<Class>,
    /// The same for failures of the same stage, class and reason.
    pub signature: Option<Signature>,
    /// What is made of the node.
    pub profile: ProfileName,
    /// The mirror it installs from.
    pub mirror: MirrorName,
    /// The snapshot it installs.
    pub snapshot: SnapshotId,
    /// The image that a diskless node runs from.
    pub image: Option<ImageName>,
    /// The image's version.
    pub version: Option<VersionId>,
    /// When it was armed.
    #[serde(with = "time::serde::rfc3339")]
    pub armed_at: OffsetDateTime,
}

/// An attempt in full.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptReport {
    /// In short.
    #[serde(flatten)]
    pub summary: AttemptSummary,
    /// The stages it went through.
    pub stages: Vec<PassedStage>,
    /// What was seen of its failure: where it stood, and the last lines of its log.
    pub evidence: Vec<String>,
    /// The disks that the installer reported.
    pub disks: Vec<Disk>,
    /// What the installed system told when it called home.
    pub home: Option<Value>,
}

/// A stage that an attempt entered.
#[derive(Clone, Debug, Serialize)]
pub struct PassedStage {
    /// Its name, such as `booting/kernel`.
    pub stage: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Seconds since the attempt was armed.
    pub seconds: f64,
}

impl AttemptSummary {
    /// From an attempt.
    pub fn of(attempt: &Attempt) -> Self {
        let (why, class) = match &attempt.state {
            State::Failed(failure) => (Some(failure.reason.clone()), Some(failure.class)),
            State::Held(ending) | State::Fallback(ending) => {
                (Some(format!("{} ({})", ending.failure.reason, ending.reason)), Some(ending.failure.class))
            }
            _ => (attempt.order.fallback_of.map(|number| format!("attempt {number} failed, it runs its fallback profile")), None),
        };
        let percent = match attempt.state {
            State::Installing { percent, .. } => Some(percent),
            _ => None,
        };
        Self {
            id: attempt.id,
            node: attempt.node.clone(),
            number: attempt.number,
            state: match (&attempt.state, attempt.order.fallback_of) {
                // What it was to be is something else.
                (State::Verified, Some(_)) => "fallback".into(),
                (state, _) => state.name(),
            },
            over: attempt.state.is_over(),
            percent,
            since: attempt.progress.passed.last().map_or(attempt.armed_at, |passed| passed.at),
            why,
            class,
            signature: attempt.state.failure().map(Failure::signature),
            profile: attempt.order.profile.clone(),
            mirror: attempt.order.mirror.clone(),
            snapshot: attempt.order.snapshot.clone(),
            image: attempt.order.image.as_ref().map(|image| image.name.clone()),
            version: attempt.order.image.as_ref().map(|image| image.version.clone()),
            armed_at: attempt.armed_at,
        }
    }
}

impl AttemptReport {
    /// From an attempt.
    pub fn of(attempt: &Attempt) -> Self {
        let armed = PassedStage { stage: State::Armed.name(), at: attempt.armed_at, seconds: 0.0 };
        let passed = attempt.progress.passed.iter().map(|passed| PassedStage {
            stage: passed.stage.clone(),
            at: passed.at,
            seconds: (passed.at - attempt.armed_at).as_seconds_f64(),
        });
        Self {
            summary: AttemptSummary::of(attempt),
            stages: std::iter::once(armed).chain(passed).collect(),
            evidence: attempt.state.failure().map(|failure| failure.evidence.clone()).unwrap_or_default(),
            disks: attempt.progress.disks.clone(),
            home: attempt.progress.home.clone(),
        }
    }
}

/// The attempts of a set's nodes, or everybody's, the newest first.
///
/// # Errors
/// As [`select_nodes()`].
pub async fn list_attempts(store: &dyn Store, set: Option<&NodeSet>) -> Result<Vec<AttemptSummary>> {
    let mut attempts = store.attempts(None).await?;
    if let Some(set) = set {
        let names: std::collections::BTreeSet<_> = select_nodes(store, set).await?.into_iter().map(|node| node.name).collect();
        attempts.retain(|attempt| names.contains(&attempt.node));
    }
    Ok(attempts.iter().map(AttemptSummary::of).collect())
}

/// A node's attempt of a number, or its last.
///
/// # Errors
/// [`Error::Missing`] if the node has no attempt, or none of that number.
pub async fn find_attempt(store: &dyn Store, node: &NodeName, number: Option<u32>) -> Result<Attempt> {
    if store.node(node).await?.is_none() {
        return Err(store::Error::NoNode(node.clone()).into());
    }
    let attempts = store.attempts(Some(node)).await?;
    let last = attempts.first().map(|attempt| attempt.number);
    match (attempts.into_iter().find(|attempt| number.is_none_or(|number| number == attempt.number)), last) {
        (Some(attempt), _) => Ok(attempt),
        (None, Some(last)) => Err(Error::Missing(format!("{node} has no attempt {}: its last one is {last}", number.unwrap_or_default()))),
        (None, None) => Err(Error::Missing(format!("{node} has no attempt yet: `kickctl reinstall {node}` starts one"))),
    }
}
