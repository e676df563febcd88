//! Checksums of any kind that metadata uses.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// How a checksum is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChecksumKind {
    /// MD5: never made or trusted here, only told apart.
    Md5,
    /// SHA-1; metadata also calls it `sha`.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl ChecksumKind {
    const ALL: [(&'static str, Self, usize); 7] = [
        ("sha256", Self::Sha256, 64),
        ("sha512", Self::Sha512, 128),
        ("sha1", Self::Sha1, 40),
        ("sha", Self::Sha1, 40),
        ("sha384", Self::Sha384, 96),
        ("sha224", Self::Sha224, 56),
        ("md5", Self::Md5, 32),
    ];

    /// By the name that metadata uses, of any case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, ..)| name.eq_ignore_ascii_case(known)).map(|(_, kind, _)| kind)
    }

    /// Its name in metadata.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, kind, _)| *kind == self).map_or("", |(name, ..)| name)
    }

    fn digits(self) -> usize {
        Self::ALL.into_iter().find(|(_, kind, _)| *kind == self).map_or(0, |(.., digits)| digits)
    }

    /// What makes checksums of this kind; `None` for MD5.
    pub fn hasher(self) -> Option<Hasher> {
        Some(Hasher(match self {
            Self::Md5 => return None,
            Self::Sha1 => Inner::Sha1(Sha1::new()),
            Self::Sha224 => Inner::Sha224(Sha224::new()),
            Self::Sha256 => Inner::Sha256(Sha256::new()),
            Self::Sha384 => Inner::Sha384(Sha384::new()),
            Self::Sha512 => Inner::Sha512(Sha512::new()),
        }))
    }
}

/// A checksum: its kind and lower-case hexadecimal digits, as many as the kind has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Checksum {
    kind: ChecksumKind,
    hex: String,
}

/// What is not a checksum.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{value}` is not a checksum of kind `{kind}`")]
pub struct BadChecksum {
    /// The kind as written.
    pub kind: String,
    /// The digits as written, cut to 150 characters.
    pub value: String,
}

impl Checksum {
    /// From metadata: the kind's name and the digits.
    pub fn parse(kind: &str, digits: &str) -> Result<Self, BadChecksum> {
        let bad = || BadChecksum { kind: kind.chars().take(20).collect(), value: digits.chars().take(150).collect() };
        let known = ChecksumKind::of_name(kind).ok_or_else(bad)?;
        if digits.len() != known.digits() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad());
        }
        Ok(Self { kind: known, hex: digits.to_ascii_lowercase() })
    }

    /// How it is made.
    pub fn kind(&self) -> ChecksumKind {
        self.kind
    }

    /// Its digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// True if `bytes` have this checksum. Never for MD5.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.kind.hasher().is_some_and(|mut hasher| {
            hasher.update(bytes);
            hasher.finish() == *self
        })
    }
}

impl From<crate::domain::checksum::Sha256> for Checksum {
    fn from(digest: crate::domain::checksum::Sha256) -> Self {
        Self { kind: ChecksumKind::Sha256, hex: digest.to_string() }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.hex)
    }
}

/// Makes a checksum piece by piece.
#[derive(Clone)]
pub struct Hasher(Inner);

#[derive(Clone)]
enum Inner {
    Sha1(Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha1(hasher) => hasher.update(bytes),
            Inner::Sha224(hasher) => hasher.update(bytes),
            Inner::Sha256(hasher) => hasher.update(bytes),
            Inner::Sha384(hasher) => hasher.update(bytes),
            Inner::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The checksum of all bytes taken.
    pub fn finish(self) -> Checksum {
        let (kind, digest) = match self.0 {
            Inner::Sha1(hasher) => (ChecksumKind::Sha1, hasher.finalize().to_vec()),
            Inner::Sha224(hasher) => (ChecksumKind::Sha224, hasher.finalize().to_vec()),
            Inner::Sha256(hasher) => (ChecksumKind::Sha256, hasher.finalize().to_vec()),
            Inner::Sha384(hasher) => (ChecksumKind::Sha384, hasher.finalize().to_vec()),
            Inner::Sha512(hasher) => (ChecksumKind::Sha512, hasher.finalize().to_vec()),
        };
        Checksum { kind, hex: digest.iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha_means_sha1_and_case_does_not_matter() {
        let checksum = Checksum::parse("sha", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709").unwrap();
        assert_eq!(checksum.kind(), ChecksumKind::Sha1);
        assert!(checksum.matches(b""));
        assert!(!checksum.matches(b"x"));
        assert_eq!(checksum.to_string(), "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }

    #[test]
    fn every_kind_has_its_length_and_md5_is_never_trusted() {
        for (name, kind, digits) in ChecksumKind::ALL {
            let made = kind.hasher().map(Hasher::finish);
            assert_eq!(made.as_ref().map(|made| made.hex().len()), (kind != ChecksumKind::Md5).then_some(digits), "{name}");
            assert!(Checksum::parse(name, &"0".repeat(digits - 1)).is_err());
            assert!(Checksum::parse(name, &"g".repeat(digits)).is_err());
        }
        assert!(!Checksum::parse("md5", "d41d8cd98f00b204e9800998ecf8427e").unwrap().matches(b""));
        assert!(Checksum::parse("crc32", "00000000").is_err());
    }
}
