//! A package of a distribution, as a mirror offers it or a node has it.

use serde::{Deserialize, Serialize};

/// A package in one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// As the distribution writes it: `1:2.3-4`, an epoch of 0 left out.
    pub version: String,
    /// Its architecture as the distribution names it: `amd64`, `x86_64`, `all`, `noarch`.
    pub arch: String,
}

/// A package that a node has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Installed {
    /// It.
    #[serde(flatten)]
    pub package: Package,
    /// RPM: the module stream that it was built for, such as `nodejs:18`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// What became of a package between two states: its versions before and after, `None` where it is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageStep {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// The highest version before.
    pub before: Option<String>,
    /// The highest version after.
    pub after: Option<String>,
}
