//! Which keys count: bindings, expiry, revocation, strength.
//!
//! The `pgp` crate checks none of these by itself. Self-signatures may still use SHA-1 (archive keys of 2013 do): to abuse that an attacker
//! would need the owner to sign a prepared collision. MD5 counts nowhere.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, PublicParams, Tag};
use time::{Duration, OffsetDateTime};

use super::{Rejected, hex};

/// A key's fingerprint as text.
pub(super) fn name(key: &impl KeyDetails) -> String {
    hex(key.fingerprint().as_bytes())
}

/// When a signature was made.
pub(super) fn made(signature: &Signature) -> Option<OffsetDateTime> {
    signature.created().map(|time| seconds(time.as_secs()))
}

fn seconds(since_1970: u32) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::seconds(i64::from(since_1970))
}

/// A moment and a span after it; no span, or an empty one, means never.
pub(super) fn after(start: OffsetDateTime, span: Option<pgp::types::Duration>) -> Option<OffsetDateTime> {
    let span = std::time::Duration::from(span?);
    if span.is_zero() { None } else { start.checked_add(span.try_into().ok()?) }
}

/// Refuses a primary key that may not certify or sign at `now`. `signs`: it made the signature itself.
pub(super) fn check_primary(key: &SignedPublicKey, signs: bool, now: OffsetDateTime) -> Result<(), Rejected> {
    let primary = &key.primary_key;
    let revoked = key.details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok());
    if revoked {
        return Err(Rejected::Revoked { key: name(primary) });
    }
    check_strength(primary)?;
    let Some(binding) = newest(own_signatures(key)) else {
        return Err(weak(primary, "it has no valid signature by itself"));
    };
    check_expiry(primary, binding, now)?;
    if signs && !may_sign(binding) {
        return Err(weak(primary, "it is not a signing key"));
    }
    Ok(())
}

/// Refuses a subkey that may not sign at `now`. Its primary key is checked too.
pub(super) fn check_subkey(key: &SignedPublicKey, subkey: &SignedPublicSubKey, now: OffsetDateTime) -> Result<(), Rejected> {
    check_primary(key, false, now)?;
    let of_type = |wanted: SignatureType| {
        let valid = move |signature: &&Signature| signature.verify_subkey_binding(&key.primary_key, &subkey.key).is_ok();
        subkey.signatures.iter().filter(move |signature| signature.typ() == Some(wanted)).filter(valid)
    };
    if of_type(SignatureType::SubkeyRevocation).next().is_some() {
        return Err(Rejected::Revoked { key: name(&subkey.key) });
    }
    check_strength(&subkey.key)?;
    let Some(binding) = newest(of_type(SignatureType::SubkeyBinding).filter(|signature| is_acceptable(signature))) else {
        return Err(weak(&subkey.key, "its primary key does not vouch for it"));
    };
    check_expiry(&subkey.key, binding, now)?;
    // RFC 9580, section 5.2.1.8: the subkey must vouch for its primary key, or anybody could adopt it.
    let adopted = binding.embedded_signature().is_some_and(|back| back.verify_primary_key_binding(&subkey.key, &key.primary_key).is_ok());
    if !may_sign(binding) || !adopted {
        return Err(weak(&subkey.key, "it is not a signing key"));
    }
    Ok(())
}

/// What a key says of itself: direct signatures and certifications of user ids that are not revoked. Those of third parties fail to verify.
fn own_signatures(key: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &key.primary_key;
    let direct = key
        .details
        .direct_signatures
        .iter()
        .filter(move |signature| signature.typ() == Some(SignatureType::Key) && signature.verify_key(primary).is_ok());
    let users = key.details.users.iter().flat_map(move |user| {
        let own = user.signatures.iter().filter(move |signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok());
        let (revocations, certifications): (Vec<_>, Vec<_>) =
            own.partition(|signature| signature.typ() == Some(SignatureType::CertRevocation));
        let revoked = newest(revocations.into_iter()).and_then(Signature::created);
        certifications.into_iter().filter(move |signature| signature.created() > revoked)
    });
    direct.chain(users).filter(|signature| is_acceptable(signature))
}

fn is_acceptable(signature: &Signature) -> bool {
    signature.hash_alg().is_some_and(|hash| hash == HashAlgorithm::Sha1 || is_strong(hash))
}

/// True for digests without known collisions.
pub(super) fn is_strong(hash: HashAlgorithm) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha224, Sha256, Sha384, Sha512};
    matches!(hash, Sha224 | Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512)
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.filter(|signature| signature.created().is_some()).max_by_key(|signature| signature.created())
}

/// The key's expiry (counted from its creation) and that of the signature which says so.
fn check_expiry(key: &impl KeyDetails, binding: &Signature, now: OffsetDateTime) -> Result<(), Rejected> {
    let key_ends = after(seconds(key.created_at().as_secs()), binding.key_expiration_time());
    let binding_ends = made(binding).and_then(|made| after(made, binding.signature_expiration_time()));
    match key_ends.into_iter().chain(binding_ends).min() {
        Some(when) if when <= now => Err(Rejected::Expired { key: name(key), when }),
        _ => Ok(()),
    }
}

/// Key flags (RFC 9580, section 5.2.3.29); a key without any may do what its algorithm can.
fn may_sign(binding: &Signature) -> bool {
    let mut hashed = binding.config().into_iter().flat_map(|config| config.hashed_subpackets());
    hashed.find_map(|packet| if let SubpacketData::KeyFlags(flags) = &packet.data { Some(flags.sign()) } else { None }).unwrap_or(true)
}

fn check_strength(key: &impl KeyDetails) -> Result<(), Rejected> {
    let why = match key.public_params() {
        PublicParams::RSA(rsa) => {
            // An MPI starts with its length in bits (RFC 9580, section 3.2); the modulus is the first.
            let bits = rsa.to_bytes().ok().and_then(|bytes| Some(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?])));
            match bits {
                Some(2048..) => return Ok(()),
                bits => format!("an RSA key of {} bits, fewer than 2048", bits.unwrap_or_default()),
            }
        }
        PublicParams::DSA(_) => "a DSA key".to_owned(),
        PublicParams::Unknown { .. } => "its algorithm is unknown".to_owned(),
        _ => return Ok(()),
    };
    Err(weak(key, &why))
}

fn weak(key: &impl KeyDetails, why: &str) -> Rejected {
    Rejected::WeakKey { key: name(key), why: why.to_owned() }
}
