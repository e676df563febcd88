//! OpenPGP for archives: whom to believe, and the head's own signature.
//!
//! The `pgp` crate does the arithmetic; which keys and digests count is decided here (RFC 9580, and what apt's gpgv and sqv refuse).

mod cleartext;
mod keyring;
mod policy;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use keyring::Keyring;
pub use sign::SigningKey;
pub use verify::{verify_bytes, verify_cleartext, verify_detached};

use time::OffsetDateTime;

/// A signed text that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The signed text, and nothing around it. Lines end in `\n`; escapes and trailing blanks of a cleartext signature are removed.
    pub text: String,
    /// Fingerprints of the primary keys whose signatures are good, upper case hexadecimal.
    pub signers: Vec<String>,
    /// When the first good signature was made.
    pub made: OffsetDateTime,
}

/// Why a signed text is not believed.
///
/// Where several signatures are rejected for different reasons, the weightiest (last in this list) is told.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejected {
    /// No key of the ring made it.
    #[error("signed by {} only, which the keyring does not hold: add the archive's key if you trust it", ids.join(", "))]
    UnknownKey {
        /// Key ids or fingerprints that the signatures name.
        ids: Vec<String>,
    },
    /// A signature from the future.
    #[error("signed by {key} at {made}, which is yet to come: check the head's clock")]
    NotYet {
        /// Fingerprint of the signing key.
        key: String,
        /// When the signature claims to be made.
        made: OffsetDateTime,
    },
    /// A key that can be forged, or that may not sign.
    #[error("signed by {key}, which is not accepted: {why}")]
    WeakKey {
        /// Fingerprint of the signing key.
        key: String,
        /// Why.
        why: String,
    },
    /// A digest that can be forged.
    #[error("signed with the weak digest {alg}: refused; the archive must sign with SHA-256 or better")]
    WeakDigest {
        /// Its name.
        alg: String,
    },
    /// The key (or signature) has expired.
    #[error("signed by {key}, which expired at {when}: get the archive's newer keyring")]
    Expired {
        /// Fingerprint of the signing key.
        key: String,
        /// When.
        when: OffsetDateTime,
    },
    /// The key was revoked.
    #[error("signed by {key}, which its owner has revoked: get the archive's newer keyring")]
    Revoked {
        /// Fingerprint of the signing key.
        key: String,
    },
    /// The text is not what the key signed.
    #[error("bad signature by {key}: the text was changed after it was signed")]
    BadSignature {
        /// Fingerprint of the signing key.
        key: String,
    },
    /// Not an OpenPGP signature at all.
    #[error("not an OpenPGP signed text: {0}")]
    Malformed(String),
    /// Something before or after the signed text.
    #[error("there is text outside the signature: refused, since nobody vouches for it")]
    TextOutsideSignature,
}

/// Why a key cannot be read, made or used.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct KeyError {
    /// What failed.
    pub problem: String,
    /// Why.
    #[source]
    pub source: Option<pgp::errors::Error>,
}

impl KeyError {
    fn because(problem: &str, source: pgp::errors::Error) -> Self {
        Self { problem: problem.to_owned(), source: Some(source) }
    }
}

/// Upper case hexadecimal, as gpg prints fingerprints and key ids.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()));
        }
        text
    })
}
