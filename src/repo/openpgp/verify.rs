//! Verifying signatures by our own policy.

use time::OffsetDateTime;

use super::{Keyring, Rejected, Verified};

/// Verifies an `InRelease` file. At least one signature must be good, by a key of the ring that was neither expired nor revoked, now and when it signed,
/// with a digest better than SHA-1. Only the signed bytes are returned.
pub fn verify_cleartext(bytes: &[u8], keyring: &Keyring, now: OffsetDateTime) -> Result<Verified, Rejected> {
    todo!()
}

/// Verifies `Release` with `Release.gpg` (binary or armoured), by the same policy.
pub fn verify_detached(text: &[u8], signature: &[u8], keyring: &Keyring, now: OffsetDateTime) -> Result<Verified, Rejected> {
    todo!()
}
