//! Mirrors and snapshots: what is copied from where, and what came of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::name::{MirrorName, SnapshotId};
use super::node::Arch;

/// A validated mirror definition. `config::mirror_file` reads it from TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mirror {
    /// Its name.
    pub name: MirrorName,
    /// Where the packages come from.
    pub sources: Vec<DebianSource>,
    /// Which packages are taken. `None`: all of them, and the suites are kept byte for byte with upstream's signature.
    pub filter: Option<Filter>,
    /// What a network installation needs beyond packages.
    pub installer: Option<Installer>,
    /// Directories of the site whose `.deb`, `.udeb` and `images/` files join the rebuilt index.
    pub local: Vec<PathBuf>,
    /// How many snapshots `prune` keeps besides those in use.
    pub keep: usize,
}

/// One archive and the suites taken from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DebianSource {
    /// The archive's root, without a trailing slash: `http://HOST/debian`.
    pub url: String,
    /// Suites, such as `trixie`, `trixie-updates`.
    pub suites: Vec<String>,
    /// Components, such as `main`, `main/debian-installer`.
    pub components: Vec<String>,
    /// Architectures; `all` is implied.
    pub architectures: Vec<Arch>,
    /// OpenPGP keyring files (binary or armoured) that its Release files must be signed by.
    pub keyring: Vec<PathBuf>,
    /// The name under which the merged index offers these packages, by default the first source's first suite.
    pub publish_as: Option<String>,
}

/// Which packages of the sources are taken: the union of the rules, then its dependency closure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Priorities, such as `required`, `important`, `standard`.
    pub priorities: Vec<String>,
    /// Sections, such as `admin`.
    pub sections: Vec<String>,
    /// Package names and globs (`linux-image-*-amd64`), matched against whole names.
    pub names: Vec<String>,
    /// Names and globs that are never taken, not even by the closure.
    pub exclude: Vec<String>,
    /// Follow Depends and Pre-Depends.
    pub dependencies: bool,
    /// Follow Recommends too.
    pub recommends: bool,
}

/// The network installer that a mirror carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Installer {
    /// The suite that the installer belongs to.
    pub suite: String,
    /// Architectures to carry it for.
    pub architectures: Vec<Arch>,
    /// Take kernel and initrd out of this `debian-installer-*-netboot-*` package when `installer-<arch>/` lacks them.
    pub package: Option<String>,
    /// udebs to take besides those that the installer loads by itself (names and globs).
    pub udebs: Vec<String>,
}

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
    /// Per source and suite: the Date of the Release file and the digest of its bytes.
    pub upstream: Vec<UpstreamState>,
    /// Distributions (suites) that a client can name under `dists/`.
    pub suites: Vec<PublishedSuite>,
    /// Binary packages (.deb).
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

/// The state of one upstream suite that a snapshot was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamState {
    /// The archive's root.
    pub url: String,
    /// The suite.
    pub suite: String,
    /// The Release file's Date.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// SHA-256 of InRelease, or of Release where there is no InRelease.
    pub release: super::checksum::Sha256,
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

/// An installer's kernel and initrd, as paths within the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstallerFiles {
    /// Their architecture.
    pub arch: Arch,
    /// Path of the kernel.
    pub kernel: String,
    /// Path of the initial RAM disk.
    pub initrd: String,
    /// The kernel's release, such as `6.12.94+deb13-amd64`, read from the initrd's module folder.
    pub kernel_release: String,
}
