//! Keyrings: which keys an archive may sign with.

use super::KeyError;

/// Public keys.
#[derive(Clone, Debug, Default)]
pub struct Keyring {}

impl Keyring {
    /// Reads a keyring: binary or armoured, one key or several, one after another. Keys that this version cannot read are passed over;
    /// a ring without a single readable key is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }

    /// Joins another ring's keys.
    pub fn extend(&mut self, other: Keyring) {
        todo!()
    }

    /// How many (primary) keys it holds.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The primary keys' fingerprints, upper case hexadecimal.
    pub fn fingerprints(&self) -> Vec<String> {
        todo!()
    }
}
