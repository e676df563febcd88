//! Tokens: what opens an attempt's boot files, and what its reports are accepted by. Nothing is stored: a token is the
//! attempt's number and a keyed hash of it.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::attempt::AttemptId;
use crate::domain::name::NodeName;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Opens the boot files. It stands in loader scripts and kernel arguments, which every user of the node can read, and is
    /// accepted only until the installer has taken over.
    Boot,
    /// Opens the write gate, the secrets behind it, and every report. Handed over once, kept readable by root only.
    Report,
}

/// Bytes of the keyed hash that a token carries: 160 bits.
const HASH: usize = 20;

/// Makes the token of an attempt: `<attempt>-<40 hexadecimal digits>`. The same input makes the same token.
pub fn mint(secret: &[u8; 32], attempt: AttemptId, purpose: Purpose) -> String {
    let mut token = format!("{attempt}-");
    for byte in &keyed(secret, attempt, purpose)[..HASH] {
        // A write to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// Tells whose token this is and what it is good for; `None` if this head never made it. Takes the same time whichever digit is wrong.
pub fn check(secret: &[u8; 32], token: &str) -> Option<(AttemptId, Purpose)> {
    let (number, digits) = token.rsplit_once('-')?;
    let attempt: AttemptId = number.parse().ok()?;
    // One spelling per attempt: `+7` and `007` parse too.
    if attempt.to_string() != number || digits.len() != 2 * HASH {
        return None;
    }
    let matches = |purpose: Purpose| {
        let right = mint(secret, attempt, purpose);
        let differing = right.bytes().zip(token.bytes()).fold(right.len() ^ token.len(), |seen, (a, b)| seen | usize::from(a ^ b));
        differing == 0
    };
    // Both are always computed.
    let (boot, report) = (matches(Purpose::Boot), matches(Purpose::Report));
    match (boot, report) {
        (true, _) => Some((attempt, Purpose::Boot)),
        (_, true) => Some((attempt, Purpose::Report)),
        _ => None,
    }
}

/// A node's machine-id(5): the same at every boot, another one for each node and head. 32 hexadecimal digits.
pub fn machine_id(secret: &[u8; 32], node: &NodeName) -> String {
    digest(secret, b"kickctl machine-id ", node.as_str().as_bytes()).iter().take(16).fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// What the NFS server makes its file handles with: the same after a restart, or running nodes would lose every file.
pub fn handle_key(secret: &[u8; 32]) -> [u8; 32] {
    digest(secret, b"kickctl nfs handles", b"")
}

fn keyed(secret: &[u8; 32], attempt: AttemptId, purpose: Purpose) -> [u8; 32] {
    let what: &[u8] = match purpose {
        Purpose::Boot => b"kickctl boot ",
        Purpose::Report => b"kickctl report ",
    };
    digest(secret, what, &attempt.to_be_bytes())
}

fn digest(secret: &[u8; 32], what: &[u8], whose: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length (RFC 2104 section 2); a hash of the block size stands in for the error that cannot occur.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return [0; 32] };
    mac.update(what);
    mac.update(whose);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    #[test]
    fn a_token_tells_its_attempt_and_purpose() {
        for purpose in [Purpose::Boot, Purpose::Report] {
            let token = mint(&SECRET, 42, purpose);
            assert_eq!(check(&SECRET, &token), Some((42, purpose)));
            assert!(token.starts_with("42-") && token.len() == 43, "{token}");
        }
        assert_ne!(mint(&SECRET, 42, Purpose::Boot), mint(&SECRET, 42, Purpose::Report));
    }

    #[test]
    fn another_head_another_attempt_or_another_digit_opens_nothing() {
        let token = mint(&SECRET, 42, Purpose::Report);
        assert_eq!(check(&[8; 32], &token), None);
        assert_eq!(check(&SECRET, &token.replacen("42-", "43-", 1)), None);
        assert_eq!(check(&SECRET, &token.replacen("42-", "042-", 1)), None);
        assert_eq!(check(&SECRET, &token.to_uppercase()), if token == token.to_uppercase() { Some((42, Purpose::Report)) } else { None });
        for at in 3..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(check(&SECRET, &String::from_utf8(bytes).unwrap()), None, "digit {at}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_none_passes(text in ".*") {
            prop_assert_eq!(check(&SECRET, &text), None);
        }

        #[test]
        fn every_attempt_has_its_token(attempt: i64) {
            let token = mint(&SECRET, attempt, Purpose::Boot);
            prop_assert_eq!(check(&SECRET, &token), Some((attempt, Purpose::Boot)));
        }
    }
}
