//! A file that is hashed while it is written, and gets its name when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256 as Hasher};
use tempfile::NamedTempFile;

use super::atomic::named;
use crate::domain::checksum::Sha256;

/// A file without its final name; it vanishes when it is dropped.
#[derive(Debug)]
pub struct HashedFile {
    out: BufWriter<NamedTempFile>,
    hasher: Hasher,
    size: u64,
}

impl HashedFile {
    /// Begins a file in `folder`; `prefix` tells to whom it belongs if the process is killed.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn create(folder: &Path, prefix: &str) -> io::Result<Self> {
        let file = NamedTempFile::with_prefix_in(prefix, folder).map_err(|error| named(error, "write in", folder))?;
        Ok(Self { out: BufWriter::with_capacity(1 << 16, file), hasher: Hasher::new(), size: 0 })
    }

    /// The digest of what was written so far.
    pub fn sha256(&self) -> Sha256 {
        Sha256::new(self.hasher.clone().finalize().into())
    }

    /// How much was written so far, bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the writing: the file, its digest and its size in bytes.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn finish(self) -> io::Result<(NamedTempFile, Sha256, u64)> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, Sha256::new(self.hasher.finalize().into()), self.size))
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Gives a file its name, readable for all. There is no fsync.
///
/// # Errors
/// What the system said, with the path.
pub fn persist(file: NamedTempFile, path: &Path, mode: u32) -> io::Result<File> {
    let attempt = || {
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.persist(path).map_err(|error| error.error)
    };
    attempt().map_err(|error| named(error, "write", path))
}
