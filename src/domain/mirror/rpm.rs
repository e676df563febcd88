//! A mirror of RPM repositories.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is copied of RPM repositories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RpmMirror {
    /// Where the packages come from; at least one, names and paths differ.
    pub repositories: Vec<Repository>,
    /// Which packages are taken. `None`: all of them.
    pub filter: Option<RpmFilter>,
    /// True if all packages are published as one repository at the tree's root.
    pub merge: bool,
    /// The kickstart tree that the mirror carries.
    pub tree: Option<KickstartTree>,
}

/// One upstream repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repository {
    /// Its name, such as `BaseOS`.
    pub name: String,
    /// Its folder within the tree, such as `BaseOS/x86_64/os`; empty for the tree's root.
    pub path: String,
    /// Where it is.
    pub addresses: Addresses,
    /// OpenPGP key files (binary or armoured): of whom `repomd.xml`, and the packages, may be signed.
    pub keys: Vec<PathBuf>,
    /// `repomd.xml` must be signed by one of the keys.
    pub repo_gpgcheck: bool,
    /// Each package must be signed by one of the keys.
    pub gpgcheck: bool,
    /// Whether it brings updates; `None`: its name tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<bool>,
}

/// Where an RPM repository is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// Addresses of the folder that holds `repodata/`, without a trailing slash; the next is asked where one fails.
    BaseUrl(Vec<String>),
    /// A document that lists such addresses, one a line.
    MirrorList(String),
    /// A metalink document (RFC 5854 and its older form): addresses and checksums of `repomd.xml`.
    Metalink(String),
}

impl Addresses {
    /// What the definition names, for messages and records: the first address.
    pub fn named(&self) -> &str {
        match self {
            Self::BaseUrl(urls) => urls.first().map_or("", String::as_str),
            Self::MirrorList(url) | Self::Metalink(url) => url,
        }
    }
}

/// Which packages of RPM repositories are taken: those that pass every rule, then their dependency closure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RpmFilter {
    /// Architectures as packages name them (`x86_64`, `src`); `noarch` always belongs. Empty: all but `src`.
    pub architectures: Vec<String>,
    /// Package names and globs (`kernel-*`), matched against whole names; empty: all.
    pub names: Vec<String>,
    /// Names and globs that are never taken, not even by the closure.
    pub exclude: Vec<String>,
    /// How many versions of each name and architecture are kept, the newest; `None`: all.
    pub newest: Option<NonZeroU32>,
    /// Follow Requires.
    pub dependencies: bool,
    /// Follow Recommends too.
    pub recommends: bool,
}

/// Where the kickstart tree (`.treeinfo`, kernel, initrd, `install.img`) lies that a mirror carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KickstartTree {
    /// In the folder of the repository of this name.
    Repository(String),
    /// At an address of its own, as an installation medium has it.
    At {
        /// The address of the folder that holds `.treeinfo`, without a trailing slash.
        url: String,
        /// Its folder within the tree; empty for the tree's root.
        path: String,
    },
}
