//! The shapes that single variables have: words of a closed set, swap, partitions, accounts, mounts.

use serde::{Deserialize, Serialize};

use super::values::{FilesystemPath, Line, PasswordHash, Size, SshKey, Token, UserName};
use crate::domain::name::ProfileName;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$inner])* $variant),+ }
    };
}

choice!(
    /// A partition table.
    Label {
        /// GUID partition table, with a BIOS boot partition where the firmware needs one.
        #[default]
        Gpt,
        /// The old one: BIOS only, up to 2 TiB.
        Msdos,
    }
);
choice!(
    /// A file system for data.
    Filesystem {
        /// ext4.
        #[default]
        Ext4,
        /// XFS.
        Xfs,
        /// Btrfs.
        Btrfs,
    }
);
/// What a node runs when its installation has failed for good: a diskless profile, or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fallback(pub Option<ProfileName>);

impl TryFrom<String> for Fallback {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "none" => Ok(Self(None)),
            name => name.parse().map(|profile| Self(Some(profile))).map_err(|error| format!("{error}; or write \"none\"")),
        }
    }
}

impl From<Fallback> for String {
    fn from(fallback: Fallback) -> Self {
        fallback.0.map_or_else(|| "none".to_owned(), |profile| profile.to_string())
    }
}

choice!(
    /// What the initial RAM disk holds.
    Initramfs {
        /// The drivers that this machine needs: small and quick.
        #[default]
        Dep,
        /// Most drivers: the disk may move to another machine.
        Most,
    }
);
choice!(
    /// Whether the base system is upgraded during the installation.
    Upgrade {
        /// No.
        None,
        /// Without removing packages.
        Safe,
        /// All that there is.
        Full,
        /// `safe` if the mirror has an updates or a security suite of its own, else `none`.
        #[default]
        WhenUpdated,
    }
);
choice!(
    /// What follows the installation.
    WhenDone {
        /// Boot the installed system.
        #[default]
        Reboot,
        /// Switch off.
        PowerOff,
    }
);

/// How much swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SwapWritten", into = "String")]
pub enum Swap {
    /// No swap partition.
    #[default]
    None,
    /// As much as there is memory, divided by this.
    Memory(u8),
    /// This many bytes.
    Bytes(u64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SwapWritten {
    Bytes(u64),
    Text(String),
}

impl TryFrom<SwapWritten> for Swap {
    type Error = String;

    fn try_from(written: SwapWritten) -> Result<Self, String> {
        let text = match written {
            SwapWritten::Bytes(0) => return Ok(Self::None),
            SwapWritten::Bytes(bytes) => return Ok(Self::Bytes(bytes)),
            SwapWritten::Text(text) => text,
        };
        match text.as_str() {
            "none" => Ok(Self::None),
            "ram" => Ok(Self::Memory(1)),
            "ram/2" => Ok(Self::Memory(2)),
            "ram/4" => Ok(Self::Memory(4)),
            size => size
                .parse::<Size>()
                .map(|size| Self::Bytes(size.0))
                .map_err(|_| format!("`{size}` is no amount of swap: allowed are none, ram, ram/2, ram/4 or a size such as \"4 GiB\"")),
        }
    }
}

impl From<Swap> for String {
    fn from(swap: Swap) -> String {
        match swap {
            Swap::None => "none".into(),
            Swap::Memory(1) => "ram".into(),
            Swap::Memory(part) => format!("ram/{part}"),
            Swap::Bytes(bytes) => bytes.to_string(),
        }
    }
}

/// A partition beside root and swap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Where it is mounted.
    pub mount: FilesystemPath,
    /// Its size.
    pub size: Size,
    /// Its file system.
    #[serde(default)]
    pub filesystem: Filesystem,
}

/// An account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct User {
    /// The person's name.
    pub full_name: Line,
    /// In crypt(3) form; without one the user cannot log in by password.
    #[serde(skip_serializing)]
    pub password_hash: Option<PasswordHash>,
    /// Public keys.
    pub ssh_keys: Vec<SshKey>,
    /// May become root; without a password where the account has none.
    pub sudo: bool,
    /// More groups; they are made if they do not exist.
    pub groups: Vec<UserName>,
    /// The login shell.
    pub shell: Option<FilesystemPath>,
    /// A fixed number, for shared file systems.
    pub uid: Option<u32>,
}

/// A network file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// `server:/path`.
    pub source: Token,
    /// Where it is mounted.
    pub target: FilesystemPath,
    /// The type.
    #[serde(rename = "type", default = "nfs")]
    pub kind: Token,
    /// The options.
    #[serde(default = "network")]
    pub options: Token,
}

fn nfs() -> Token {
    Token::known("nfs")
}

/// A server that is away must not keep the node from booting.
fn network() -> Token {
    Token::known("defaults,_netdev,nofail")
}
