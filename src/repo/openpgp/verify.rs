//! Verifying signatures by our own policy.

use pgp::armor::BlockType;
use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Packet, Signature, SignatureType, SubpacketData};
use pgp::types::KeyDetails;
use time::{Duration, OffsetDateTime};

use super::cleartext::Cleartext;
use super::keyring::packets;
use super::policy::{after, check_primary, check_subkey, is_strong, made, name};
use super::{Keyring, Rejected, Verified, hex};

/// How far a signature may lie in the future: clocks differ.
const CLOCK_SKEW: Duration = Duration::minutes(10);
/// The most signatures that are looked at. Debian's InRelease has three.
const MAX_SIGNATURES: usize = 64;

/// Verifies an `InRelease` file. At least one signature must be good, by a key of the ring that was neither expired nor revoked, now and when it signed,
/// with a digest better than SHA-1. Only the signed bytes are returned.
pub fn verify_cleartext(bytes: &[u8], keyring: &Keyring, now: OffsetDateTime) -> Result<Verified, Rejected> {
    let message = Cleartext::parse(bytes)?;
    let (signers, made) = judge(&signatures(message.signature.as_bytes())?, &message.signed_bytes(), keyring, now)?;
    Ok(Verified { text: message.text(), signers, made })
}

/// Verifies `Release` with `Release.gpg` (binary or armoured), by the same policy.
pub fn verify_detached(text: &[u8], signature: &[u8], keyring: &Keyring, now: OffsetDateTime) -> Result<Verified, Rejected> {
    let (signers, made) = judge(&signatures(signature)?, text, keyring, now)?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| Rejected::Malformed("the signed text is not UTF-8".to_owned()))?;
    Ok(Verified { text, signers, made })
}

/// Verifies a signature over bytes that are no text, such as an RPM package's header. Returns the fingerprints of the signers' primary keys.
pub fn verify_bytes(bytes: &[u8], signature: &[u8], keyring: &Keyring, now: OffsetDateTime) -> Result<Vec<String>, Rejected> {
    Ok(judge(&signatures(signature)?, bytes, keyring, now)?.0)
}

fn signatures(bytes: &[u8]) -> Result<Vec<Signature>, Rejected> {
    let packets = packets(bytes, BlockType::Signature).map_err(Rejected::Malformed)?;
    let signatures =
        packets.into_iter().filter_map(|packet| if let Packet::Signature(signature) = packet { Some(signature) } else { None });
    let signatures: Vec<Signature> = signatures.take(MAX_SIGNATURES).collect();
    if signatures.is_empty() {
        return Err(Rejected::Malformed("it holds no signature".to_owned()));
    }
    Ok(signatures)
}

/// One good signature is enough. Otherwise the weightiest reason against them is told.
fn judge(signatures: &[Signature], text: &[u8], keyring: &Keyring, now: OffsetDateTime) -> Result<(Vec<String>, OffsetDateTime), Rejected> {
    let (mut signers, mut first, mut rejected) = (Vec::new(), None, Vec::new());
    for signature in signatures {
        match check(signature, text, keyring, now) {
            Ok((signer, made)) => {
                first = first.or(Some(made));
                if !signers.contains(&signer) {
                    signers.push(signer);
                }
            }
            Err(reason) => rejected.push(reason),
        }
    }
    if let Some(made) = first {
        return Ok((signers, made));
    }
    let unknown = |reason: &Rejected| if let Rejected::UnknownKey { ids } = reason { ids.clone() } else { Vec::new() };
    let ids: Vec<String> = rejected.iter().flat_map(unknown).collect();
    match rejected.into_iter().max() {
        None | Some(Rejected::UnknownKey { .. }) => Err(Rejected::UnknownKey { ids }),
        Some(reason) => Err(reason),
    }
}

/// Checks one signature. Returns the primary key's fingerprint and when it was made.
fn check(signature: &Signature, text: &[u8], keyring: &Keyring, now: OffsetDateTime) -> Result<(String, OffsetDateTime), Rejected> {
    let mut rejected = Rejected::UnknownKey { ids: issuers(signature) };
    for key in &keyring.keys {
        let subkeys = key.public_subkeys.iter().map(Some);
        for component in std::iter::once(None).chain(subkeys).filter(|component| is_issuer(signature, key, *component)) {
            match check_by(signature, text, key, component, now) {
                Ok(made) => return Ok((name(&key.primary_key), made)),
                Err(reason) => rejected = rejected.max(reason),
            }
        }
    }
    Err(rejected)
}

/// Checks a signature by one key: a subkey, or the primary key itself.
fn check_by(
    signature: &Signature,
    text: &[u8],
    key: &SignedPublicKey,
    subkey: Option<&SignedPublicSubKey>,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, Rejected> {
    let signer = subkey.map_or_else(|| name(&key.primary_key), |subkey| name(&subkey.key));
    match signature.hash_alg() {
        Some(hash) if is_strong(hash) => {}
        hash => return Err(Rejected::WeakDigest { alg: hash.map(|hash| hash.to_string()).unwrap_or_default() }),
    }
    if has_unknown_critical(signature) {
        return Err(Rejected::Malformed("the signature has a critical part that is not understood".to_owned()));
    }
    let is_document = matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text));
    let verified = match subkey {
        Some(subkey) => signature.verify(&subkey.key, text),
        None => signature.verify(&key.primary_key, text),
    };
    if !is_document || verified.is_err() {
        return Err(Rejected::BadSignature { key: signer });
    }
    match subkey {
        Some(subkey) => check_subkey(key, subkey, now)?,
        None => check_primary(key, true, now)?,
    }
    let made = made(signature).ok_or_else(|| Rejected::Malformed("a signature without a date".to_owned()))?;
    if made > now + CLOCK_SKEW {
        return Err(Rejected::NotYet { key: signer, made });
    }
    match after(made, signature.signature_expiration_time()) {
        Some(when) if when <= now => Err(Rejected::Expired { key: signer, when }),
        _ => Ok(made),
    }
}

/// RFC 9580, section 5.2.3.7: a critical subpacket that is not understood makes the signature an error.
fn has_unknown_critical(signature: &Signature) -> bool {
    let mut hashed = signature.config().into_iter().flat_map(|config| config.hashed_subpackets());
    let unknown =
        |data: &SubpacketData| matches!(data, SubpacketData::Notation(_) | SubpacketData::Experimental(..) | SubpacketData::Other(..));
    hashed.any(|packet| packet.is_critical && unknown(&packet.data))
}

fn is_issuer(signature: &Signature, key: &SignedPublicKey, subkey: Option<&SignedPublicSubKey>) -> bool {
    let (fingerprint, id) = match subkey {
        Some(subkey) => (subkey.key.fingerprint(), subkey.key.legacy_key_id()),
        None => (key.primary_key.fingerprint(), key.primary_key.legacy_key_id()),
    };
    let named = signature.issuer_fingerprint();
    if named.is_empty() { signature.issuer_key_id().contains(&&id) } else { named.contains(&&fingerprint) }
}

fn issuers(signature: &Signature) -> Vec<String> {
    let fingerprints: Vec<String> = signature.issuer_fingerprint().iter().map(|fingerprint| hex(fingerprint.as_bytes())).collect();
    if !fingerprints.is_empty() {
        return fingerprints;
    }
    let ids = signature.issuer_key_id();
    if ids.is_empty() { vec!["an unnamed key".to_owned()] } else { ids.iter().map(|id| hex(id.as_ref())).collect() }
}
