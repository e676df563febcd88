//! Keyrings: which keys an archive may sign with.

use std::io::{Cursor, Read};

use pgp::armor::{BlockType, Dearmor, DearmorOptions};
use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::packet::{Packet, PacketParser};
use pgp::types::KeyDetails;

use super::{KeyError, hex};

/// The most that is read of a keyring or a signature, bytes. Debian's has 60 KB.
const MAX_RING: usize = 16 << 20;
/// The most packets that are read of one.
const MAX_PACKETS: usize = 100_000;

/// Public keys.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    pub(super) keys: Vec<SignedPublicKey>,
}

impl Keyring {
    /// Reads a keyring: binary or armoured, one key or several, one after another. Keys that this version cannot read are passed over;
    /// a ring without a single readable key is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let no = |problem: &str| KeyError { problem: problem.to_owned(), source: None };
        let packets = packets(bytes, BlockType::PublicKey).map_err(|problem| no(&format!("not a keyring: {problem}")))?;
        // Packets of a key that cannot be read end up behind another key, whose bindings they then fail to prove: `policy` checks each.
        let packets = packets.into_iter().map(Ok).collect::<Vec<_>>().into_iter().peekable();
        let keys: Vec<SignedPublicKey> = SignedPublicKey::from_packets(packets).take(MAX_PACKETS).flatten().collect();
        if keys.is_empty() {
            return Err(no("not a keyring: it holds no OpenPGP public key (expected a binary or armoured keyring)"));
        }
        Ok(Self { keys })
    }

    /// Joins another ring's keys.
    pub fn extend(&mut self, other: Keyring) {
        self.keys.extend(other.keys);
    }

    /// How many (primary) keys it holds.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The primary keys' fingerprints, upper case hexadecimal.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| hex(key.primary_key.fingerprint().as_bytes())).collect()
    }
}

/// The readable packets of binary or armoured data; of armoured data all blocks are read.
pub(super) fn packets(bytes: &[u8], kind: BlockType) -> Result<Vec<Packet>, String> {
    if bytes.len() > MAX_RING {
        return Err(format!("larger than {MAX_RING} bytes"));
    }
    let binary = match armoured_blocks(bytes) {
        blocks if blocks.is_empty() => bytes.to_vec(),
        blocks => {
            let mut binary = Vec::new();
            for block in blocks {
                let mut dearmor = Dearmor::with_options(Cursor::new(block), DearmorOptions::new().set_limit(MAX_RING));
                dearmor.read_to_end(&mut binary).map_err(|error| format!("damaged armour: {error}"))?;
                if dearmor.into_parts().0.is_some_and(|found| found != kind) {
                    return Err(format!("armour of another kind than {kind}"));
                }
            }
            binary
        }
    };
    Ok(PacketParser::new(Cursor::new(binary)).take(MAX_PACKETS).flatten().collect())
}

/// Armoured data starts a line with `-----BEGIN PGP`; several blocks may follow one another, with comments between them.
fn armoured_blocks(bytes: &[u8]) -> Vec<&[u8]> {
    const BEGIN: &[u8] = b"-----BEGIN PGP ";
    // The first bit of every binary packet is set (RFC 9580, section 4.2), that of text is not.
    if bytes.first().is_none_or(|byte| byte & 0x80 != 0) {
        return Vec::new();
    }
    let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(BEGIN) && (*at == 0 || bytes[at - 1] == b'\n'));
    let mut starts: Vec<usize> = starts.collect();
    starts.push(bytes.len());
    starts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}
