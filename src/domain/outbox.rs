//! What is to be done outside because of a new state. It is written with that state in one transaction and carried out at least once;
//! each of it is harmless when repeated.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::attempt::AttemptId;
use super::name::NodeName;
use super::occurrence::Occurrence;
use super::power::BootFrom;

/// Something to do, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Unique within the head.
    pub id: i64,
    /// What.
    pub work: Work,
    /// Not before this moment.
    pub due: OffsetDateTime,
    /// How often it was tried in vain.
    pub tries: u32,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do")]
pub enum Work {
    /// Have a node boot anew for one of its attempts. Two steps, each recorded: what was off and is to be off, or on and on, is a
    /// repetition that does nothing.
    Power {
        /// The node.
        node: NodeName,
        /// The attempt that wants it; once another has taken its place, or it has gone on, there is nothing to switch off for.
        attempt: AttemptId,
        /// From where the node is to boot.
        boot: BootFrom,
        /// What is to be done next.
        step: PowerStep,
    },
    /// Run the site's command that takes a node out of work for a rollout, or gives it back. Repeating it must do no harm.
    Hook {
        /// The node.
        node: NodeName,
        /// The rollout.
        rollout: u64,
        /// Which command.
        hook: Hook,
    },
    /// Tell the notification hooks.
    Notify {
        /// Of what.
        event: Occurrence,
        /// The hooks that were told already.
        told: Vec<String>,
    },
}

/// The half of a power cycle that is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerStep {
    /// Switch off.
    Off,
    /// Choose from where to boot, and switch on.
    On,
}

/// A site's command around a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Take the node out of work.
    Drain,
    /// Give it back.
    Undrain,
}

impl Hook {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Undrain => "undrain",
        }
    }
}

impl Work {
    /// The node it is about; with the node it is forgotten.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Power { node, .. } | Self::Hook { node, .. } => Some(node),
            Self::Notify { .. } => None,
        }
    }

    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Power { .. } => "power",
            Self::Hook { .. } => "hook",
            Self::Notify { .. } => "notify",
        }
    }
}
