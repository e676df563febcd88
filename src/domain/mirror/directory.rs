//! A mirror of a site's own packages, from a plain directory.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is copied of a directory: all packages below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DirectoryMirror {
    /// Where it is; absolute.
    pub path: PathBuf,
    /// Which packages it holds.
    pub packages: PackageFormat,
    /// The suite that clients of Debian packages name; by default the mirror's name.
    pub publish_as: Option<String>,
}

/// A package format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageFormat {
    /// `.deb` and `.udeb`.
    Deb,
    /// `.rpm`.
    Rpm,
}

impl std::fmt::Display for PackageFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
        })
    }
}

impl std::str::FromStr for PackageFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Deb, Self::Rpm]
            .into_iter()
            .find(|format| format.to_string() == text)
            .ok_or_else(|| format!("`{text}` is neither deb nor rpm"))
    }
}
