//! Images and versions: what the root of a diskless node is made from, and what came of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::checksum::Sha256;
pub use super::name::{ImageName, VersionId};
use super::name::{MirrorName, SnapshotId};
use super::node::Arch;
pub use super::package::Package;

/// What an image is made from, validated. `config::recipe_file` reads it from TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The mirror whose snapshot gives the packages.
    pub mirror: MirrorName,
    /// The suite to take them from; the snapshot's first without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// What its nodes' processors run.
    pub arch: Arch,
    /// Packages besides the essential ones, apt and what every image needs to boot.
    pub packages: Vec<String>,
    /// The kernel's package, such as `linux-image-amd64`.
    pub kernel: String,
    /// IANA time zone, such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Users to make, `root` among them where it gets keys or a password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// Files to lay over the root once packages are installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LaidFile>,
    /// systemd units to enable.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub enable: BTreeSet<String>,
    /// systemd units to disable.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub disable: BTreeSet<String>,
    /// Shell commands, run inside one after the other as the last step before the initial RAM disk is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// How many versions `prune` keeps besides those in use.
    pub keep: usize,
}

/// A user of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Log-in name.
    pub name: String,
    /// Numeric id; the next free one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Groups besides its own; made where they are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Log-in shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<PathBuf>,
    /// The password as crypt(5) text; without it no password opens the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Lines of `~/.ssh/authorized_keys`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
}

/// A file, or a folder with all below it, that is laid over the root. All belongs to root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaidFile {
    /// Where it goes: absolute, within the image.
    pub path: PathBuf,
    /// What it holds.
    #[serde(flatten)]
    pub content: Content,
    /// Permissions such as `0o644`; without them 0644 for text, and those of the original for a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// What a laid file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// This text.
    Content(String),
    /// A copy of this file or folder of the head.
    Source(PathBuf),
}

/// What is known of one version; kept as `version.json` beside its root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageVersion {
    /// The image it belongs to.
    pub image: ImageName,
    /// Its name.
    pub id: VersionId,
    /// When it was finished.
    #[serde(with = "time::serde::rfc3339")]
    pub made: OffsetDateTime,
    /// How it came about.
    pub origin: Origin,
    /// The mirror its packages came from.
    pub mirror: MirrorName,
    /// The snapshot of that mirror.
    pub snapshot: SnapshotId,
    /// The recipe it was built by. For a version that was changed by hand: that of the version it began as.
    pub recipe: Recipe,
    /// Identifies recipe, snapshot and every file put in: equal means a new build would make the same version.
    pub input: Sha256,
    /// Its packages by name.
    pub packages: Vec<Package>,
    /// The kernel's release, such as `6.12.94+deb13-amd64`.
    pub kernel_release: String,
    /// Digest of the list of all files (`files.list`): equal means the same tree.
    pub tree: Sha256,
    /// Files of the root, of any type.
    pub files: u64,
    /// Sum of the sizes of its regular files in bytes.
    pub bytes: u64,
    /// The kernel, `vmlinuz`.
    pub kernel: Artefact,
    /// The initial RAM disk, `initrd.img`.
    pub initrd: Artefact,
    /// The whole root as a squashfs, `root.squashfs`.
    pub root_squashfs: Artefact,
    /// The root without what is below `/usr`, `base.squashfs`.
    pub base_squashfs: Artefact,
}

/// How a version came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Origin {
    /// Built from a recipe.
    Build,
    /// Changed by hand, on the head or from a running node.
    Change {
        /// The version it began as.
        from: VersionId,
    },
}

/// A file made beside the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}
