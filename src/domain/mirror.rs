//! Mirrors and snapshots: what is copied from where, and what came of it.

mod debian;
mod directory;
mod medium;
mod rpm;
mod snapshot;
mod updates;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use debian::{DebianMirror, DebianSource, Filter, Installer};
pub use directory::{DirectoryMirror, PackageFormat};
pub use medium::MediumMirror;
pub use rpm::{Addresses, KickstartTree, Repository, RpmFilter, RpmMirror};
pub use snapshot::{InstallerFiles, LiveFiles, PublishedRepository, PublishedSuite, Snapshot, TreeFiles, UpstreamState};
pub use updates::{is_security, is_updates};

use super::name::MirrorName;
use super::schedule::Schedule;

/// A validated mirror definition. `config::mirror_file` reads it from TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mirror {
    /// Its name.
    pub name: MirrorName,
    /// What is copied, by format.
    #[serde(flatten)]
    pub upstream: Upstream,
    /// Directories of the site whose packages join the rebuilt index.
    pub local: Vec<PathBuf>,
    /// How many snapshots `prune` keeps besides those in use.
    pub keep: usize,
    /// When `serve` refreshes it; `None`: when the head's configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Schedule>,
}

/// What a mirror copies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum Upstream {
    /// Debian archives.
    Debian(DebianMirror),
    /// RPM repositories.
    Rpm(RpmMirror),
    /// A directory of packages.
    Directory(DirectoryMirror),
    /// An installation medium that runs from itself.
    Medium(MediumMirror),
}

impl Upstream {
    /// The format of its packages; `None` where it has none that could be installed by themselves.
    pub fn packages(&self) -> Option<PackageFormat> {
        match self {
            Self::Debian(_) => Some(PackageFormat::Deb),
            Self::Rpm(_) => Some(PackageFormat::Rpm),
            Self::Directory(directory) => Some(directory.packages),
            Self::Medium(_) => None,
        }
    }
}

impl Mirror {
    /// True if upstream's metadata is kept byte for byte with upstream's signature; false if the head rebuilds and signs it.
    pub fn is_whole(&self) -> bool {
        let is_whole = match &self.upstream {
            Upstream::Debian(debian) => debian.filter.is_none(),
            Upstream::Rpm(rpm) => rpm.filter.is_none() && !rpm.merge,
            Upstream::Directory(_) => false,
            Upstream::Medium(_) => true,
        };
        is_whole && self.local.is_empty()
    }
}
