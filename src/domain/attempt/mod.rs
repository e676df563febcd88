//! Attempts: one try at making a node what its assignment says, and its life cycle.
//!
//! [`State`] says where an attempt stands, [`step`](step::step) is the only way from one state to the next, and
//! [`deadline`] tells when a state has lasted too long. All three are pure; `docs/lifecycle.md` is printed from them.

pub mod boot;
pub mod deadline;
pub mod retry;
#[cfg(test)]
mod retry_tests;
pub mod signature;
pub mod state;
pub mod step;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::checksum::Sha256;
use super::disk::Disk;
use super::mac::MacAddr;
use super::name::{ImageName, MirrorName, NodeName, ProfileName, SnapshotId, VersionId};
use super::node::Firmware;
use super::profile::ProfileKind;
use super::variables::Merged;
pub use deadline::{Clocks, Limits};
pub use retry::{Next, PAUSES, Pauses, Verdict, next};
pub use signature::Signature;
pub use state::{BootStage, Class, Ending, Failure, Gate, Stage, State};
pub use step::{Effect, Event, Rejected, step};

/// Identifies an attempt within a head, over all nodes.
pub type AttemptId = i64;

/// Everything that arming freezes: what is installed cannot change under a running attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What to make of the node.
    pub profile: ProfileName,
    /// The profile's kind.
    pub kind: ProfileKind,
    /// SHA-256 over the profile's files and those it extends.
    pub profile_digest: Sha256,
    /// The mirror to install from; for a diskless node the one that its image was made from.
    pub mirror: MirrorName,
    /// The snapshot to install; for a diskless node the one that its image was made from.
    pub snapshot: SnapshotId,
    /// What a diskless node runs from; `None` where one is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// The number of the attempt that failed for good, if this is what its node runs instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_of: Option<u32>,
    /// The merged variables and where each came from.
    pub variables: Merged,
}

/// A version of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageRef {
    /// The image.
    pub name: ImageName,
    /// Its version.
    pub version: VersionId,
}

impl std::fmt::Display for ImageRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// One attempt as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Unique within the head.
    pub id: AttemptId,
    /// The node.
    pub node: NodeName,
    /// Counts from 1 for each node.
    pub number: u32,
    /// What was ordered.
    pub order: Arc<Order>,
    /// Where it stands.
    pub state: State,
    /// What has been learned on the way.
    pub progress: Progress,
    /// How long it has stood there, in time during which the head was serving.
    pub clocks: Clocks,
    /// When it was armed.
    #[serde(with = "time::serde::rfc3339")]
    pub armed_at: OffsetDateTime,
    /// Grows with every change; a writer that has read an older revision is refused.
    pub revision: i64,
}

/// What an attempt has learned on its way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The interface it booted from.
    pub booted_mac: Option<MacAddr>,
    /// The address it was given.
    pub address: Option<Ipv4Addr>,
    /// The firmware it booted with.
    pub firmware: Option<Firmware>,
    /// When each stage was first entered, in order.
    pub passed: Vec<Passed>,
    /// The disks that the installer reported at the write gate.
    pub disks: Vec<Disk>,
    /// A digest over what the loader told of the machine. Another one is other hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// True once a node that runs its fallback profile has sent what it knows of its trouble.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rescued: bool,
    /// True once the head has switched the node on for it: from then on it may be late.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub powered: bool,
    /// What the installed system told when it called home.
    pub home: Option<Value>,
}

/// The moment at which an attempt first entered a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// The stage's name, such as `booting/kernel` or `installing/gate`.
    pub stage: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Attempt {
    /// When it came to where it is, or was armed.
    pub fn ended_at(&self) -> OffsetDateTime {
        self.progress.passed.last().map_or(self.armed_at, |passed| passed.at)
    }

    /// Takes the attempt one event further: the new state, with clocks and passed stages brought up to date.
    ///
    /// # Errors
    /// [`Rejected`] if the event cannot happen in this state; the attempt is unchanged then.
    pub fn advance(&mut self, event: &Event, now: OffsetDateTime) -> Result<Vec<Effect>, Rejected> {
        let (next, effects) = step(&self.state, event)?;
        if next.progressed_since(&self.state) {
            self.clocks.restart_stage();
        }
        if next.rank() > self.state.rank() || next.is_over() {
            let name = next.name();
            if self.progress.passed.last().is_none_or(|last| last.stage != name) {
                self.progress.passed.push(Passed { stage: name, at: now });
            }
        }
        self.state = next;
        Ok(effects)
    }
}
