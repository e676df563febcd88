//! All packages that a selection can choose from, held small.
//!
//! A whole Debian main has 64,000 stanzas in 53 MB. What a closure looks at for every package (name, version, flags, provides) is
//! held unpacked; the stanzas themselves in blocks of zstd, read back when a package is selected.

use std::io::BufRead;

use super::packages::PackageError;

/// A package's place in its [`Universe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub(super) u32);

/// Where stanzas came from: a number of the caller's choosing (an index file, a local directory). Where two origins offer the same
/// name, version and architecture, the lowest origin is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(pub u16);

/// What is known of a package without unpacking its stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Summary<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub architecture: &'a str,
    pub priority: &'a str,
    pub section: &'a str,
    pub provides: &'a str,
    /// The kernel release that a module udeb is for, else empty.
    pub kernel_version: &'a str,
    pub essential: bool,
    pub origin: Origin,
}

/// All packages that a selection can choose from.
#[derive(Default)]
pub struct Universe {}

/// Why an index could not be taken in.
#[derive(Debug, thiserror::Error)]
#[error("package index, line {line}")]
pub struct IndexError {
    /// The first line of the stanza.
    pub line: u64,
    /// Why.
    #[source]
    pub source: PackageError,
}

impl Universe {
    /// An empty universe.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in every stanza of a decompressed `Packages` file. Returns how many. Each must name a valid file
    /// ([`super::packages::Package::file`]), so that nothing later can be led out of the archive.
    pub fn read_index(&mut self, reader: impl BufRead, origin: Origin) -> Result<usize, IndexError> {
        todo!()
    }

    /// Takes in one stanza (of a local file: see [`super::control::index_stanza`]).
    pub fn add(&mut self, stanza: &str, origin: Origin) -> Result<PackageId, PackageError> {
        todo!()
    }

    /// How many packages it holds.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All packages, in the order they came in.
    pub fn ids(&self) -> impl Iterator<Item = PackageId> + '_ {
        std::iter::empty()
    }

    /// What is known of a package without unpacking. Panics never: an id of another universe gives an empty summary.
    pub fn summary(&self, id: PackageId) -> Summary<'_> {
        todo!()
    }

    /// A package's stanza, verbatim. Read it with [`super::packages::Package::parse`].
    pub fn stanza(&self, id: PackageId) -> String {
        todo!()
    }

    /// The packages of that name, any version and architecture, oldest version first.
    pub fn named(&self, name: &str) -> Vec<PackageId> {
        todo!()
    }
}
