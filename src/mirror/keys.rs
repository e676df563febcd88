//! The head's own key: what filtered and merged mirrors are signed with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::{Error, Result};
use crate::repo::openpgp::{KeyError, Keyring, SigningKey};
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;

/// The secret key, 0600. Beside it `signing.gpg`... see [`public_path`].
pub fn secret_path(data: &DataDir) -> PathBuf {
    data.keys().join("signing.key")
}

/// The public key as a binary keyring, for apt's Signed-By, debootstrap and the installer.
pub fn public_path(data: &DataDir) -> PathBuf {
    data.keys().join("signing.pub")
}

/// The public key, armoured.
pub fn armoured_path(data: &DataDir) -> PathBuf {
    data.keys().join("signing.asc")
}

/// Reads the head's key, or makes it when there is none yet (`--data DIR` alone must do for a mirror). The public parts are written beside
/// it whenever they are missing.
///
/// # Errors
/// If the key does not read, or cannot be written.
pub fn signing_key(data: &DataDir, now: OffsetDateTime) -> Result<SigningKey> {
    let path = secret_path(data);
    let failed = |source: KeyError| Error::SigningKey { path: path.clone(), source };
    let key = match fs::read(&path) {
        Ok(bytes) => SigningKey::from_bytes(&bytes).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate("kickctl head node", now).map_err(failed)?;
            atomic::private_folder(&data.keys())?;
            atomic::write(&path, &key.to_bytes().map_err(failed)?, 0o600)?;
            key
        }
        Err(error) => return Err(atomic::named(error, "read", &path).into()),
    };
    write_missing(&public_path(data), &key.public_bytes().map_err(failed)?)?;
    write_missing(&armoured_path(data), key.public_armoured().map_err(failed)?.as_bytes())?;
    Ok(key)
}

fn write_missing(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::read(path) {
        Ok(there) if there == bytes => Ok(()),
        _ => atomic::write(path, bytes, 0o644),
    }
}

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
