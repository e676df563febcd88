//! Names of nodes, groups, mirrors, profiles and images.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a {what} name: {rule}")]
pub struct BadName {
    text: String,
    what: &'static str,
    rule: &'static str,
}

/// RFC 1123 section 2.1, one label, lower case: what DNS, DHCP option 12 and every installer accept as a host name.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A name that becomes a folder or a URL segment: a label that may also hold dots and underscores inside.
fn is_slug(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $accept:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                if $accept(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(BadName { text: text.chars().take(80).collect(), what: $what, rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A node's name, which is also its host name (RFC 1123, one label, lower case).
    NodeName, "node", is_label, "1 to 63 of a-z, 0-9 and -, neither first nor last a -"
);
name!(
    /// A group of nodes, written `@group` in node sets.
    GroupName, "group", is_slug, "1 to 63 of a-z, 0-9, -, . and _, the first a letter or digit"
);
name!(
    /// A mirror's name, which is also its folder and its URL segment.
    MirrorName, "mirror", is_slug, "1 to 63 of a-z, 0-9, -, . and _, the first a letter or digit"
);
name!(
    /// A profile's name, which is also its folder under `profiles/`.
    ProfileName, "profile", is_slug, "1 to 63 of a-z, 0-9, -, . and _, the first a letter or digit"
);
name!(
    /// A snapshot's name within its mirror: the UTC time of its making and the first digits of what it holds,
    /// such as `20261121T045300Z-3f9a2c41`. Snapshot names sort by age.
    SnapshotId, "snapshot", is_snapshot, "a time and eight hexadecimal digits, such as 20261121T045300Z-3f9a2c41"
);
name!(
    /// An image's name, which is also its folder under `images/`.
    ImageName, "image", is_slug, "1 to 63 of a-z, 0-9, -, . and _, the first a letter or digit"
);
name!(
    /// A version's name within its image, made as a snapshot's is; versions sort by age.
    VersionId, "version", is_snapshot, "a time and eight hexadecimal digits, such as 20261121T045300Z-3f9a2c41"
);

fn is_snapshot(text: &str) -> bool {
    let Some((time, content)) = text.split_once('-') else { return false };
    time.len() == 16
        && time.bytes().enumerate().all(|(at, b)| match at {
            8 => b == b'T',
            15 => b == b'Z',
            _ => b.is_ascii_digit(),
        })
        && content.len() == 8
        && content.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_name_is_a_host_name() {
        for good in ["node07", "a", "7", "rack-3-node-12"] {
            assert!(good.parse::<NodeName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Node", "a.b", "a_b", "a/b", "..", &"a".repeat(64)] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slug_cannot_leave_its_folder() {
        assert!("debian-13".parse::<MirrorName>().is_ok());
        for bad in ["..", ".", ".hidden", "a/b", "a\\b", "a b", ""] {
            assert!(bad.parse::<MirrorName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn snapshots_sort_by_age() {
        let older: SnapshotId = "20261121T045300Z-3f9a2c41".parse().unwrap();
        let newer: SnapshotId = "20261122T000000Z-00000000".parse().unwrap();
        assert!(older < newer);
        assert!("20261121-3f9a2c41".parse::<SnapshotId>().is_err());
        assert!("20261121T045300Z-3F9A2C41".parse::<SnapshotId>().is_err());
    }
}
