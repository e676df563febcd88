//! The head's own key, and signing with it.

use pgp::composed::{ArmorOptions, Deserializable, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyVersion, Password, Timestamp};
use rand08::rngs::OsRng;
use time::OffsetDateTime;

use super::cleartext::{canonical, frame};
use super::{KeyError, hex};

/// The head's secret key: Ed25519, version 4, without a passphrase, without an expiry: what gpgv of Debian 12 and 13 accepts.
pub struct SigningKey {
    key: SignedSecretKey,
}

impl SigningKey {
    /// Makes a key. `user_id`: such as `kickctl head.example.org`.
    pub fn generate(user_id: &str, now: OffsetDateTime) -> Result<Self, KeyError> {
        // The legacy form of Ed25519 (RFC 9580, section 9.1, algorithm 22) is the one that GnuPG 2.2 knows.
        let params = SecretKeyParamsBuilder::default()
            .version(KeyVersion::V4)
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .can_certify(true)
            .created_at(timestamp(now)?)
            .primary_user_id(user_id.to_owned())
            .build()
            .map_err(|error| KeyError { problem: format!("cannot make a key for `{user_id}`: {error}"), source: None })?;
        let key = params.generate(OsRng).map_err(|error| KeyError::because("cannot make a key", error))?;
        Ok(Self { key })
    }

    /// Reads what [`SigningKey::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (key, _) = SignedSecretKey::from_armor_single(bytes).map_err(|error| KeyError::because("not a secret key", error))?;
        Ok(Self { key })
    }

    /// The secret key, armoured. To be kept readable by its owner only.
    pub fn to_bytes(&self) -> Result<Vec<u8>, KeyError> {
        self.key.to_armored_bytes(ArmorOptions::default()).map_err(|error| KeyError::because("cannot write the secret key", error))
    }

    /// The public key as a binary keyring (`.gpg`), for apt's Signed-By, gpgv and debootstrap.
    pub fn public_bytes(&self) -> Result<Vec<u8>, KeyError> {
        self.key.to_public_key().to_bytes().map_err(|error| KeyError::because("cannot write the public key", error))
    }

    /// The public key, armoured (`.asc`).
    pub fn public_armoured(&self) -> Result<String, KeyError> {
        let public = self.key.to_public_key();
        public.to_armored_string(ArmorOptions::default()).map_err(|error| KeyError::because("cannot write the public key", error))
    }

    /// The fingerprint, upper case hexadecimal.
    pub fn fingerprint(&self) -> String {
        hex(self.key.primary_key.fingerprint().as_bytes())
    }

    /// Signs a text as `InRelease`. Trailing blanks of lines are stripped first: other implementations differ on whether they count.
    pub fn sign_cleartext(&self, text: &str, now: OffsetDateTime) -> Result<String, KeyError> {
        let text = canonical(text);
        // The line end before the signature is not part of the text (RFC 9580, section 7.1).
        let signed = text.strip_suffix('\n').unwrap_or(&text).replace('\n', "\r\n");
        let signature = self.sign(SignatureType::Text, signed.as_bytes(), now)?;
        Ok(frame(&text, "SHA512", &armour(signature)?))
    }

    /// Signs a text as `Release.gpg`, armoured. The bytes are signed as they are.
    pub fn sign_detached(&self, text: &[u8], now: OffsetDateTime) -> Result<String, KeyError> {
        armour(self.sign(SignatureType::Binary, text, now)?)
    }

    fn sign(&self, kind: SignatureType, bytes: &[u8], now: OffsetDateTime) -> Result<Signature, KeyError> {
        let key = &self.key.primary_key;
        let failed = |error| KeyError::because("cannot sign", error);
        let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha512);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(timestamp(now)?)).map_err(failed)?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).map_err(failed)?,
        ];
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id())).map_err(failed)?];
        config.sign(key, &Password::empty(), bytes).map_err(failed)
    }
}

fn armour(signature: Signature) -> Result<String, KeyError> {
    let armoured = DetachedSignature::new(signature).to_armored_string(ArmorOptions::default());
    armoured.map_err(|error| KeyError::because("cannot write the signature", error))
}

fn timestamp(now: OffsetDateTime) -> Result<Timestamp, KeyError> {
    let seconds = u32::try_from(now.unix_timestamp());
    seconds.map(Timestamp::from_secs).map_err(|_| KeyError { problem: format!("{now} is no time that OpenPGP can name"), source: None })
}
