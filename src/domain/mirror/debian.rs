//! A mirror of Debian archives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::node::Arch;

/// What is copied of Debian archives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DebianMirror {
    /// Where the packages come from.
    pub sources: Vec<DebianSource>,
    /// Which packages are taken. `None`: all of them, and the suites are kept byte for byte with upstream's signature.
    pub filter: Option<Filter>,
    /// What a network installation needs beyond packages.
    pub installer: Option<Installer>,
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
    /// Whether its suites bring updates; `None`: their names tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<bool>,
    /// A file that tells of advisories: a security tracker's JSON (Debian) or a USN data base (Ubuntu).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories: Option<PathBuf>,
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
