//! Nodes: the machines to provision.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::mac::MacAddr;
use super::name::{GroupName, NodeName};
use super::variables::Variables;

/// A machine to provision, as the administrator described it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name and host name.
    pub name: NodeName,
    /// The addresses of the interfaces it may boot from, the preferred one first. Never empty in the store.
    pub macs: Vec<MacAddr>,
    /// The address that DHCP gives to each of `macs`; without one the node gets an address of the pool.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// What its processor runs.
    #[serde(default)]
    pub arch: Arch,
    /// How its firmware boots; learned from its first network boot when not given.
    #[serde(default)]
    pub firmware: Option<Firmware>,
    /// SMBIOS UUID, as firmware sends it in DHCP option 97.
    #[serde(default)]
    pub uuid: Option<Uuid>,
    /// SMBIOS serial number.
    #[serde(default)]
    pub serial: Option<String>,
    /// The groups it belongs to; their variables apply in alphabetical order.
    #[serde(default)]
    pub groups: BTreeSet<GroupName>,
    /// Variables of this node alone; the last layer.
    #[serde(default)]
    pub variables: Variables,
}

/// A processor architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86 (`amd64` in Debian, `x86_64` in RPM distributions).
    #[default]
    Amd64,
    /// 64-bit Arm (`arm64` in Debian, `aarch64` in RPM distributions).
    Arm64,
}

impl Arch {
    /// Debian's name, also the text form.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What RPM packages call it.
    pub const fn rpm(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

/// How a machine's firmware boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// Legacy PC BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident = $word:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }

        impl FromStr for $type {
            type Err = BadWord;
            fn from_str(text: &str) -> Result<Self, BadWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(BadWord { text: text.chars().take(40).collect(), what: $what, allowed: &[$($word),+] }),
                }
            }
        }
    };
}

words!(Arch, "an architecture", Amd64 = "amd64", Arm64 = "arm64");
words!(Firmware, "a firmware", Bios = "bios", Uefi = "uefi");

/// A word that is not one of a closed set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not {what}: allowed are {}", allowed.join(", "))]
pub struct BadWord {
    text: String,
    what: &'static str,
    allowed: &'static [&'static str],
}

/// An SMBIOS UUID in its usual text form, lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uuid(String);

impl Uuid {
    /// From DHCP option 97 (RFC 4578 section 2.3): the first three fields are little-endian on the wire, as in SMBIOS 2.6.
    pub fn from_wire(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        let tail: String = rest[2..].iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{d:02x}{c:02x}{b:02x}{a:02x}-{f:02x}{e:02x}-{h:02x}{g:02x}-{:02x}{:02x}-{tail}", rest[0], rest[1]))
    }

    /// True for the placeholders that boards ship with (all zeros, all ones): they identify nothing.
    pub fn is_placeholder(&self) -> bool {
        let mut digits = self.0.bytes().filter(|b| *b != b'-');
        let Some(first) = digits.next() else { return true };
        (first == b'0' || first == b'f') && digits.all(|b| b == first)
    }
}

/// Text that is not a UUID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a UUID: write it as 8-4-4-4-12 hexadecimal digits")]
pub struct BadUuid(String);

impl FromStr for Uuid {
    type Err = BadUuid;
    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let groups: Vec<&str> = text.split('-').collect();
        let right = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
        if right { Ok(Self(text.to_ascii_lowercase())) } else { Err(BadUuid(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for Uuid {
    type Error = BadUuid;
    fn try_from(text: String) -> Result<Self, BadUuid> {
        text.parse()
    }
}

impl From<Uuid> for String {
    fn from(uuid: Uuid) -> String {
        uuid.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network-boot client that no node's addresses name. It waits for `kickctl node approve` and boots its own disk until then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discovered {
    /// The address it asked from.
    pub mac: MacAddr,
    /// From DHCP option 97 or from iPXE.
    pub uuid: Option<Uuid>,
    /// From DHCP option 93.
    pub arch: Arch,
    /// From DHCP option 93.
    pub firmware: Firmware,
    /// The address it was given from the pool.
    pub address: Option<Ipv4Addr>,
    /// What iPXE told of it.
    pub facts: super::facts::Facts,
    /// When it was first seen.
    #[serde(with = "time::serde::rfc3339")]
    pub first_seen: OffsetDateTime,
    /// When it was last seen.
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uuid_of_option_97_reads_as_dmidecode_prints_it() {
        let wire = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(Uuid::from_wire(wire).to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn placeholders_identify_nothing() {
        assert!("00000000-0000-0000-0000-000000000000".parse::<Uuid>().unwrap().is_placeholder());
        assert!("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF".parse::<Uuid>().unwrap().is_placeholder());
        assert!(!"00112233-4455-6677-8899-aabbccddeeff".parse::<Uuid>().unwrap().is_placeholder());
    }
}
