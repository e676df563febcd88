//! `.deb` and `.udeb` files: an ar archive of `debian-binary`, `control.tar*` and `data.tar*` (deb(5)).

use std::io::Read;

use super::path::ArchivePath;
use crate::domain::checksum::Sha256;

/// Why a file is not a Debian package, or not one that is read.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Not an ar archive with the members of a package.
    #[error("not a Debian package: {0}")]
    NotAPackage(String),
    /// A member or file beyond its bound.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// The member or file.
        what: String,
        /// Bytes.
        limit: u64,
    },
    /// Damaged, or the reader failed.
    #[error("cannot read {what}")]
    Read {
        /// The member.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The control file is not a package's.
    #[error("the control file")]
    Control(#[from] super::packages::PackageError),
}

/// The control paragraph of a package, each line ending in `\n`. Reads the file's first members only.
pub fn control(deb: impl Read) -> Result<String, ControlError> {
    todo!()
}

/// Hands the regular files of `data.tar*` that `wanted` accepts (paths without a leading `./` or `/`) to `sink`, with a reader of their
/// contents. Links are not followed. Returns how many were handed over. At most `limit` bytes of data.tar are decompressed.
pub fn extract(
    deb: impl Read,
    wanted: &dyn Fn(&str) -> bool,
    limit: u64,
    sink: &mut dyn FnMut(&str, &mut dyn Read) -> std::io::Result<()>,
) -> Result<usize, ControlError> {
    todo!()
}

/// An index stanza of a package file: its control paragraph with `Filename`, `Size` and `SHA256`.
pub fn index_stanza(control: &str, path: &ArchivePath, size: u64, sha256: Sha256) -> Result<String, ControlError> {
    todo!()
}
