//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A 48-bit Ethernet (MAC) address. Text form: lower case, colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// From the six octets in transmission order.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets in transmission order.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The form that PXELINUX and iPXE hand to a kernel as `BOOTIF=`: hardware type 01, then the octets with dashes.
    pub fn bootif(self) -> String {
        self.0.iter().fold(String::from("01"), |text, octet| format!("{text}-{octet:02x}"))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not an Ethernet address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a MAC address: write six pairs of hexadecimal digits, such as 52:54:00:00:00:07")]
pub struct BadMac(String);

impl FromStr for MacAddr {
    type Err = BadMac;

    /// Accepts `52:54:00:00:00:07`, `52-54-00-00-00-07`, `5254.0000.0007` and `525400000007`, in either case.
    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.chars().take(64).collect());
        let parts: Vec<&str> = text.split([':', '-', '.']).collect();
        let width = match parts.len() {
            6 => 2,
            3 => 4,
            1 => 12,
            _ => return Err(bad()),
        };
        if parts.iter().any(|part| part.len() != width || !part.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(bad());
        }
        let digits = parts.concat();
        let mut octets = [0; 6];
        for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(octets))
    }
}

impl TryFrom<String> for MacAddr {
    type Error = BadMac;
    fn try_from(text: String) -> Result<Self, BadMac> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_means_the_same() {
        let expected = MacAddr::new([0x52, 0x54, 0, 0, 0, 0xa7]);
        for text in ["52:54:00:00:00:a7", "52-54-00-00-00-A7", "5254.0000.00a7", "5254000000A7"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!(expected.to_string(), "52:54:00:00:00:a7");
        assert_eq!(expected.bootif(), "01-52-54-00-00-00-a7");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "52:54:00:00:00", "52:54:00:00:00:zz", "52:54:00:00:00:0", "5254000000070", "é2:54:00:00:00:07"] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }
}
