//! What came of a sync.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::domain::checksum::Sha256;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::node::Arch;
use crate::domain::profile::Installer;

/// What is known of one snapshot; kept as `snapshot.json` beside its tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The mirror it belongs to.
    pub mirror: MirrorName,
    /// When it was assembled.
    #[serde(with = "time::serde::rfc3339")]
    pub made: OffsetDateTime,
    /// What each suite or repository of upstream was like.
    pub upstream: Vec<UpstreamState>,
    /// Distributions (suites) that a client can name under `dists/`.
    #[serde(default)]
    pub suites: Vec<PublishedSuite>,
    /// RPM repositories that a client can name.
    #[serde(default)]
    pub repositories: Vec<PublishedRepository>,
    /// Binary packages (.deb, .rpm).
    pub packages: u64,
    /// Installer packages (.udeb).
    pub udebs: u64,
    /// Files in the tree.
    pub files: u64,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
    /// The installer's kernel and initrd, if the mirror carries one.
    pub installers: Vec<InstallerFiles>,
    /// Packages that upstream named and did not have, left out by `--allow-missing`.
    pub left_out: Vec<String>,
    /// Identifies definition and upstream state together: equal means a new sync would make the same snapshot.
    pub input: String,
}

/// The state of one upstream suite or repository that a snapshot was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamState {
    /// The archive's root; of an RPM repository what its definition names (a base address, mirror list or metalink).
    pub url: String,
    /// The suite, or the RPM repository's name.
    pub suite: String,
    /// The Release file's Date; of an RPM repository the newest timestamp in repomd.xml.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// SHA-256 of InRelease (of Release where there is no InRelease), or of repomd.xml.
    pub release: Sha256,
}

/// A suite that the snapshot's tree offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedSuite {
    /// The folder under `dists/`.
    pub suite: String,
    /// Its code name, such as `trixie`.
    pub codename: String,
    /// Components a client can name.
    pub components: Vec<String>,
    /// True if the head signed it, false if it is upstream's own byte for byte.
    pub rebuilt: bool,
}

/// An RPM repository that the snapshot's tree offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedRepository {
    /// Its name, such as `BaseOS`.
    pub name: String,
    /// The folder that holds `repodata/`, as a path within the tree; empty for the tree's root.
    pub path: String,
    /// Packages.
    pub packages: u64,
    /// True if the head made and signed its metadata, false if it is upstream's own byte for byte.
    pub rebuilt: bool,
    /// True if its `repomd.xml` has a signature beside it (`repo_gpgcheck=1` works).
    pub signed: bool,
    /// Keys that its packages may be signed with, as paths within the tree: a client's `gpgkey=`.
    pub keys: Vec<String>,
}

/// An installer's kernel and initrd, as paths within the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstallerFiles {
    /// Their architecture.
    pub arch: Arch,
    /// Path of the kernel.
    pub kernel: String,
    /// Path of the initial RAM disk.
    pub initrd: String,
    /// The kernel's release, such as `6.12.94+deb13-amd64`; empty where it could not be read.
    pub kernel_release: String,
    /// The kickstart tree that they are part of; `None` for other installers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeFiles>,
    /// The live medium that they are part of; `None` for other installers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveFiles>,
}

impl InstallerFiles {
    /// Which installer it is.
    pub fn installer(&self) -> Installer {
        match (&self.tree, &self.live) {
            (Some(_), _) => Installer::Kickstart,
            (None, Some(_)) => Installer::Autoinstall,
            (None, None) => Installer::Preseed,
        }
    }
}

/// A live medium, as paths within the snapshot's tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveFiles {
    /// The image that the initial RAM disk fetches and runs from.
    pub image: String,
    /// What the medium calls itself, such as `Ubuntu-Server 24.04.2 LTS "Noble Numbat" - Release amd64 (20250215)`.
    pub title: String,
    /// Lists of the packages that the systems on the medium hold.
    pub manifests: Vec<String>,
}

/// A kickstart tree, as paths within the snapshot's tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TreeFiles {
    /// The folder that holds `.treeinfo`, for `inst.repo=` and `inst.stage2=`; empty for the tree's root.
    pub root: String,
    /// The installer's root file system (`images/install.img`), where the tree names one.
    pub image: Option<String>,
    /// Such as `Rocky Linux`.
    pub family: String,
    /// Such as `9.5`.
    pub version: String,
}
