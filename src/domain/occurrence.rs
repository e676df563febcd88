//! What has happened, for people and programs that want to be told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::name::NodeName;

/// Something that has happened. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// Grows with every one and is never given twice; 0 before the store has given it.
    pub seq: u64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// To which node, if it is about one.
    pub node: Option<NodeName>,
    /// In which of its attempts, by number.
    pub attempt: Option<u32>,
    /// What.
    pub what: What,
    /// The rest, for people.
    pub text: String,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// An attempt was armed.
    Armed,
    /// An attempt failed.
    Failed,
    /// A failure is not tried again; the node runs its fallback profile.
    Fallback,
    /// A failure is not tried again; a person is waited for.
    Held,
    /// An installed or diskless system called home.
    Verified,
    /// A rollout was stopped because nodes failed alike.
    Breaker,
    /// A rollout was started, paused, resumed, aborted or has ended.
    Rollout,
    /// A node was switched, or could not be.
    Power,
    /// A node sent what it knows of its own trouble.
    Rescue,
}

/// All kinds.
pub const ALL: [What; 9] =
    [What::Armed, What::Failed, What::Fallback, What::Held, What::Verified, What::Breaker, What::Rollout, What::Power, What::Rescue];

impl What {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Armed => "armed",
            Self::Failed => "failed",
            Self::Fallback => "fallback",
            Self::Held => "held",
            Self::Verified => "verified",
            Self::Breaker => "breaker",
            Self::Rollout => "rollout",
            Self::Power => "power",
            Self::Rescue => "rescue",
        }
    }

    /// True for what the notification hooks are told of unless the configuration says otherwise.
    pub const fn is_notable(self) -> bool {
        matches!(self, Self::Failed | Self::Fallback | Self::Held | Self::Verified | Self::Breaker)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for What {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words = || ALL.map(What::word).join(", ");
        ALL.into_iter().find(|what| what.word() == text).ok_or_else(|| format!("`{text}` is nothing that happens: allowed are {}", words()))
    }
}
