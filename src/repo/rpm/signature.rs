//! A package's own signature: over its header, whose payload digest stands for the rest. Nothing is loaded but the two headers.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// The most bytes that a header may have; kernel-debuginfo has 30 MB.
const MAX_HEADER: u32 = 256 << 20;
const MAX_ENTRIES: u32 = 64 << 10;
const LEAD: usize = 96;
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
/// `RPMSIGTAG_DSA` (EdDSA too) and `RPMSIGTAG_RSA`: OpenPGP signatures over the header alone.
const SIGNATURES: [u32; 2] = [267, 268];
/// `RPMTAG_PAYLOADSHA256` and its algorithm (8: SHA-256).
const PAYLOAD_DIGEST: u32 = 5092;
const PAYLOAD_ALGORITHM: u32 = 5093;

/// Why a package's signature cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// It is no package.
    #[error("it is no RPM package: {0}")]
    Malformed(&'static str),
    /// It has no signature over its header.
    #[error("it has no signature over its header")]
    Unsigned,
    /// The header does not vouch for the payload.
    #[error("its header has no SHA-256 of the payload, so that a signature over the header vouches for nothing else")]
    NoPayloadDigest,
    /// The payload is another than the header says.
    #[error("its payload has SHA-256 {got} where the signed header says {expected}")]
    Payload {
        /// What the header says.
        expected: String,
        /// What it is.
        got: String,
    },
}

/// A package's signed header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// The bytes that the signatures are over.
    pub header: Vec<u8>,
    /// OpenPGP signatures, binary.
    pub signatures: Vec<Vec<u8>>,
    payload_digest: String,
}

impl SignedHeader {
    /// Reads lead, signatures and header; the reader is then at the payload.
    ///
    /// Errors: no package, no signature, no payload digest.
    pub fn read(reader: &mut impl Read) -> Result<Self, SignatureError> {
        let mut lead = [0; LEAD];
        reader.read_exact(&mut lead).map_err(|_| SignatureError::Malformed("too short"))?;
        if lead[..4] != [0xed, 0xab, 0xee, 0xdb] {
            return Err(SignatureError::Malformed("another beginning"));
        }
        let signature = Section::read(reader)?;
        let padding = (8 - signature.bytes.len() % 8) % 8;
        reader.read_exact(&mut [0; 8][..padding]).map_err(|_| SignatureError::Malformed("cut short"))?;
        let header = Section::read(reader)?;
        let signatures: Vec<Vec<u8>> = SIGNATURES.iter().filter_map(|tag| signature.get(*tag)).map(<[u8]>::to_vec).collect();
        if signatures.is_empty() {
            return Err(SignatureError::Unsigned);
        }
        let is_sha256 = header.get(PAYLOAD_ALGORITHM).is_none_or(|bytes| bytes.starts_with(&8_u32.to_be_bytes()));
        let digest = header.get(PAYLOAD_DIGEST).and_then(|bytes| bytes.split(|byte| *byte == 0).next()).filter(|_| is_sha256);
        let digest = digest.and_then(|digest| std::str::from_utf8(digest).ok()).ok_or(SignatureError::NoPayloadDigest)?;
        Ok(Self { payload_digest: digest.to_ascii_lowercase(), header: header.bytes, signatures })
    }

    /// Compares the payload, which the reader is at, with what the header says of it.
    ///
    /// Errors: another payload; not readable.
    pub fn check_payload(&self, reader: &mut impl Read) -> Result<(), SignatureError> {
        let mut hasher = Sha256::new();
        io::copy(reader, &mut hasher)?;
        let got: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if got == self.payload_digest { Ok(()) } else { Err(SignatureError::Payload { expected: self.payload_digest.clone(), got }) }
    }
}

/// A header structure: magic, counts, index, store.
struct Section {
    bytes: Vec<u8>,
    entries: usize,
}

impl Section {
    fn read(reader: &mut impl Read) -> Result<Self, SignatureError> {
        let mut head = [0; 16];
        reader.read_exact(&mut head).map_err(|_| SignatureError::Malformed("cut short"))?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (entries, size) = (word(8), word(12));
        if head[..8] != MAGIC {
            return Err(SignatureError::Malformed("no header where one has to be"));
        }
        if entries > MAX_ENTRIES || size > MAX_HEADER {
            return Err(SignatureError::Malformed("a header larger than is allowed"));
        }
        let rest = u64::from(entries) * 16 + u64::from(size);
        let mut bytes = head.to_vec();
        // Grows with what comes, not with what is promised.
        let got = reader.take(rest).read_to_end(&mut bytes)?;
        if got as u64 != rest {
            return Err(SignatureError::Malformed("cut short"));
        }
        Ok(Self { bytes, entries: entries as usize })
    }

    /// The bytes of an entry: as many as its count for binary ones, up to the store's end for others.
    fn get(&self, tag: u32) -> Option<&[u8]> {
        let (index, store) = self.bytes.get(16..)?.split_at_checked(self.entries * 16)?;
        let entry = index.chunks_exact(16).find(|entry| entry[..4] == tag.to_be_bytes())?;
        let word = |at: usize| u32::from_be_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
        let (kind, offset, count) = (word(4), word(8) as usize, word(12) as usize);
        let value = store.get(offset..)?;
        if kind == 7 { value.get(..count) } else { Some(value) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_package_is_told() {
        for bytes in [&b"short"[..], &[0; 200]] {
            assert!(matches!(SignedHeader::read(&mut &bytes[..]), Err(SignatureError::Malformed(_))));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut package = vec![0xed, 0xab, 0xee, 0xdb];
            package.resize(LEAD, 0);
            package.extend(MAGIC);
            package.extend(bytes);
            let _ = SignedHeader::read(&mut package.as_slice());
        }
    }
}
