//! Profiles: what to make of a node.

use serde::{Deserialize, Serialize};

use super::name::{MirrorName, NodeName, ProfileName, SnapshotId};
use super::variables::Variables;

/// A validated `profile.toml`; `config::profile_file` reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name, the folder's name.
    pub name: ProfileName,
    /// One sentence for `profile list`.
    pub summary: String,
    /// The profile that this one extends; its variables are a layer below, its templates are found when this one has none.
    pub extends: Option<ProfileName>,
    /// What it makes of a node. `None`: a base that only others extend.
    pub kind: Option<ProfileKind>,
    /// The mirror that nodes install from, unless the assignment names another.
    pub mirror: Option<MirrorName>,
    /// The profile's layer of variables.
    pub variables: Variables,
}

/// What a profile makes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// Installs to the local disk with the Debian installer and a preseed file.
    Preseed,
    /// Installs to the local disk with Anaconda, the installer of Fedora and of Red Hat Enterprise Linux and its rebuilds, and a kickstart file.
    Kickstart,
}

impl ProfileKind {
    /// True if it writes to a disk, and so starts only on an explicit word.
    pub const fn is_destructive(self) -> bool {
        match self {
            Self::Preseed | Self::Kickstart => true,
        }
    }

    /// The name under which the installer fetches its answers: a template of the profile, rendered without secrets.
    pub const fn answers(self) -> &'static str {
        match self {
            Self::Preseed => "preseed.cfg",
            Self::Kickstart => "ks.cfg",
        }
    }

    /// The word for it in `profile.toml` and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preseed => "preseed",
            Self::Kickstart => "kickstart",
        }
    }
}

/// What a node shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The node.
    pub node: NodeName,
    /// The profile.
    pub profile: ProfileName,
    /// A snapshot to stay on; `None` follows what is published.
    pub snapshot: Option<SnapshotId>,
}
