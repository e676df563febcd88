//! The head's own key, and signing with it.

use time::OffsetDateTime;

use super::KeyError;

/// The head's secret key: Ed25519, version 4, without a passphrase, without an expiry: what gpgv of Debian 12 and 13 accepts.
pub struct SigningKey {}

impl SigningKey {
    /// Makes a key. `user_id`: such as `kickctl head.example.org`.
    pub fn generate(user_id: &str, now: OffsetDateTime) -> Result<Self, KeyError> {
        todo!()
    }

    /// Reads what [`SigningKey::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }

    /// The secret key, armoured. To be kept readable by its owner only.
    pub fn to_bytes(&self) -> Result<Vec<u8>, KeyError> {
        todo!()
    }

    /// The public key as a binary keyring (`.gpg`), for apt's Signed-By, gpgv and debootstrap.
    pub fn public_bytes(&self) -> Result<Vec<u8>, KeyError> {
        todo!()
    }

    /// The public key, armoured (`.asc`).
    pub fn public_armoured(&self) -> Result<String, KeyError> {
        todo!()
    }

    /// The fingerprint, upper case hexadecimal.
    pub fn fingerprint(&self) -> String {
        todo!()
    }

    /// Signs a text as `InRelease`. Trailing blanks of lines are stripped first: other implementations differ on whether they count.
    pub fn sign_cleartext(&self, text: &str, now: OffsetDateTime) -> Result<String, KeyError> {
        todo!()
    }

    /// Signs a text as `Release.gpg`, armoured. The bytes are signed as they are.
    pub fn sign_detached(&self, text: &[u8], now: OffsetDateTime) -> Result<String, KeyError> {
        todo!()
    }
}
