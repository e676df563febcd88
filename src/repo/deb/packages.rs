//! One stanza of a package index, or the control file of one package.

use super::paragraph::ParagraphError;
use super::path::{ArchivePath, BadPath};
use crate::domain::checksum::Sha256;

/// Why a stanza is not a package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not deb822.
    #[error(transparent)]
    Paragraph(#[from] ParagraphError),
    /// A field that every package has is missing.
    #[error("the stanza of `{package}` has no {field}")]
    Missing {
        /// The package, as far as it is known.
        package: String,
        /// The field.
        field: &'static str,
    },
    /// A value out of its form.
    #[error("the stanza of `{package}` has {field} `{value}`: expected {expected}")]
    Bad {
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
        /// Its value, cut to 80 characters.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A file name that leaves the archive.
    #[error("the stanza of `{package}`")]
    Path {
        /// The package.
        package: String,
        /// Why.
        #[source]
        source: BadPath,
    },
}

/// A package, as slices of its stanza. Relations are kept as text; [`super::relation::parse`] reads them when they are needed.
/// Absent text fields are empty.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The field's own names, as in deb-control(5).
pub struct Package<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub architecture: &'a str,
    pub multi_arch: &'a str,
    pub priority: &'a str,
    pub section: &'a str,
    pub essential: bool,
    /// The source package's name, without the `(version)` that may follow it (the binary's own name if the field is absent).
    pub source: &'a str,
    pub depends: &'a str,
    pub pre_depends: &'a str,
    pub recommends: &'a str,
    pub provides: &'a str,
    /// udebs: the kernel release that modules are for.
    pub kernel_version: &'a str,
    /// udebs: their place in the installer's menu.
    pub installer_menu_item: &'a str,
    filename: &'a str,
    size: &'a str,
    sha256: &'a str,
    /// The stanza, each line ending in `\n`.
    pub stanza: &'a str,
}

/// Where a package's file is and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// Relative to the archive's root.
    pub path: ArchivePath,
    /// Bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

impl<'a> Package<'a> {
    /// Reads a stanza. Name, version and architecture are required and checked for their form.
    pub fn parse(stanza: &'a str) -> Result<Self, PackageError> {
        todo!()
    }

    /// `Filename`, `Size` and `SHA256`: required in an index, absent in a control file. The path is checked by
    /// [`super::path::archive_path`].
    pub fn file(&self) -> Result<PackageFile, PackageError> {
        todo!()
    }
}
