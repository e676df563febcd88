//! Keyrings of upstream archives.

use std::fs;
use std::path::PathBuf;

use super::{Error, Result};
use crate::repo::openpgp::Keyring;

/// Reads keyring files into one ring.
///
/// # Errors
/// [`Error::Keyring`], naming the file.
pub fn keyring(paths: &[PathBuf]) -> Result<Keyring> {
    let mut ring = Keyring::default();
    for path in paths {
        let failed = |problem: String| Error::Keyring { path: path.clone(), problem };
        let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
        ring.extend(Keyring::from_bytes(&bytes).map_err(|error| failed(super::error::chain(&error)))?);
    }
    Ok(ring)
}
