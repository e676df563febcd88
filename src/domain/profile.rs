//! Profiles: what to make of a node.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::{ImageName, MirrorName, NodeName, ProfileName, SnapshotId, VersionId};
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
    /// The image that diskless nodes run from.
    pub image: Option<ImageName>,
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
    /// Installs to the local disk with Ubuntu's live server installer (subiquity) and an autoinstall file.
    Autoinstall,
    /// Runs from an image over NFS, read-only for all, with a tmpfs of its own laid over it.
    NfsRo,
    /// Runs from a copy of an image over NFS that it may change: one node at a time, to make the image's next version.
    NfsRw,
    /// Runs from an image in its memory; the head may go away.
    Ram,
    /// Runs from an image whose `/usr` is over NFS and whose rest is in its memory.
    RamUsr,
}

/// An installer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Installer {
    /// The Debian installer, which reads a preseed file.
    Preseed,
    /// Anaconda, which reads a kickstart file.
    Kickstart,
    /// Ubuntu's subiquity, which is given an autoinstall file as cloud-init's user data.
    Autoinstall,
}

impl Installer {
    /// The name under which the installer fetches its answers: a template of the profile, rendered without secrets.
    pub const fn answers(self) -> &'static str {
        match self {
            Self::Preseed => "preseed.cfg",
            Self::Kickstart => "ks.cfg",
            Self::Autoinstall => "user-data",
        }
    }

    /// All templates that are rendered for the boot token, so without secrets: the answers, and what cloud-init's NoCloud source asks for
    /// beside them.
    pub const fn boot_files(self) -> &'static [&'static str] {
        match self {
            Self::Preseed => &["preseed.cfg"],
            Self::Kickstart => &["ks.cfg"],
            Self::Autoinstall => &["user-data", "meta-data", "vendor-data"],
        }
    }
}

impl ProfileKind {
    /// What installs the node; `None` for one that runs from an image.
    pub const fn installer(self) -> Option<Installer> {
        match self {
            Self::Preseed => Some(Installer::Preseed),
            Self::Kickstart => Some(Installer::Kickstart),
            Self::Autoinstall => Some(Installer::Autoinstall),
            Self::NfsRo | Self::NfsRw | Self::Ram | Self::RamUsr => None,
        }
    }

    /// True if it writes to a disk, and so starts only on an explicit word.
    pub const fn is_destructive(self) -> bool {
        self.installer().is_some()
    }

    /// True if the node runs from an image instead of its disk.
    pub const fn is_diskless(self) -> bool {
        self.installer().is_none()
    }

    /// True if the running node reads from the head's NFS server.
    pub const fn needs_nfs(self) -> bool {
        matches!(self, Self::NfsRo | Self::NfsRw | Self::RamUsr)
    }

    /// The word for it in `profile.toml` and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preseed => "preseed",
            Self::Kickstart => "kickstart",
            Self::Autoinstall => "autoinstall",
            Self::NfsRo => "nfs-ro",
            Self::NfsRw => "nfs-rw",
            Self::Ram => "ram",
            Self::RamUsr => "ram-usr",
        }
    }
}

impl fmt::Display for ProfileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a node shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The node.
    pub node: NodeName,
    /// The profile.
    pub profile: ProfileName,
    /// A snapshot to stay on, or a version of the image; `None` follows what is published.
    pub snapshot: Option<SnapshotId>,
}

impl Assignment {
    /// The version of an image to stay on: versions are named as snapshots are, and kept in the same place.
    pub fn version(&self) -> Option<VersionId> {
        self.snapshot.as_ref().and_then(|pinned| pinned.as_str().parse().ok())
    }
}
