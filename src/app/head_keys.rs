//! The head's two secrets: the OpenPGP key that signs rebuilt mirrors, and what tokens are derived from. Each is made at
//! its first use, so that a run with `--data DIR` that only mirrors needs no `kickctl init`.

use std::io;
use std::path::Path;

use time::OffsetDateTime;

use super::{Error, Result};
use crate::repo::openpgp::{KeyError, SigningKey};
use crate::sys::data_dir::DataDir;
use crate::sys::private_file;

/// The key that signs what this head rebuilds: `keys/signing.key` (0600). Beside it lies its public half, as a keyring for
/// apt's Signed-By (`signing.gpg`) and as text (`signing.asc`).
///
/// # Errors
/// [`Error::Io`] if a file cannot be read or made, or does not hold a key.
pub fn signing_key(data: &DataDir) -> Result<SigningKey> {
    let keys = data.keys();
    let secret = keys.join("signing.key");
    let key = folder(&keys).and_then(|()| {
        let bytes = private_file::read_or_create(&secret, 0o600, || {
            SigningKey::generate(&user_id(), OffsetDateTime::now_utc()).and_then(|key| key.to_bytes()).map_err(refused)
        })?;
        SigningKey::from_bytes(&bytes).map_err(refused)
    });
    let key = key.map_err(|source| unusable(&secret, source))?;
    let public: [(&str, &dyn Fn() -> _); 2] =
        [("signing.gpg", &|| key.public_bytes()), ("signing.asc", &|| key.public_armoured().map(String::into_bytes))];
    for (name, bytes) in public {
        let file = keys.join(name);
        private_file::read_or_create(&file, 0o644, || bytes().map_err(refused)).map_err(|source| unusable(&file, source))?;
    }
    Ok(key)
}

/// What boot and report tokens are derived from: `keys/token.secret` (0600), 32 random bytes. Without it every token that
/// was handed out is void.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read or made, or has another length.
pub fn token_secret(data: &DataDir) -> Result<[u8; 32]> {
    let file = data.keys().join("token.secret");
    let bytes = folder(&data.keys()).and_then(|()| private_file::read_or_create(&file, 0o600, || Ok(rand::random::<[u8; 32]>().to_vec())));
    let bytes = bytes.map_err(|source| unusable(&file, source))?;
    bytes.try_into().map_err(|bytes: Vec<u8>| {
        let told = format!("has {} bytes instead of 32; remove it, and attempts under way will have to be armed again", bytes.len());
        unusable(&file, io::Error::new(io::ErrorKind::InvalidData, told))
    })
}

fn folder(keys: &Path) -> io::Result<()> {
    private_file::folder(keys, 0o700)
}

fn user_id() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("kickctl {}", name.trim()).trim_end().to_owned()
}

fn refused(error: KeyError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn unusable(file: &Path, source: io::Error) -> Error {
    Error::Io { what: format!("cannot use {}", file.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_kept_to_their_owner() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDir::new(place.path().join("data"));
        let first = signing_key(&data).unwrap().fingerprint();
        assert_eq!(signing_key(&data).unwrap().fingerprint(), first);
        assert_eq!(token_secret(&data).unwrap(), token_secret(&data).unwrap());
        let mode = |name: &str| fs::metadata(data.keys().join(name)).unwrap().permissions().mode() & 0o777;
        let modes = ["", "signing.key", "token.secret", "signing.gpg", "signing.asc"].map(mode);
        assert_eq!(modes, [0o700, 0o600, 0o600, 0o644, 0o644]);
    }

    #[test]
    fn a_damaged_secret_is_told_and_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDir::new(place.path());
        fs::create_dir(data.keys()).unwrap();
        for name in ["signing.key", "token.secret"] {
            fs::write(data.keys().join(name), "short").unwrap();
        }
        assert!(token_secret(&data).unwrap_err().to_string().contains("token.secret"));
        assert!(signing_key(&data).is_err_and(|error| error.to_string().contains("signing.key")));
        assert_eq!(fs::read(data.keys().join("signing.key")).unwrap(), b"short");
    }
}
