//! The values that variables may have: text that was looked at before it goes into a script or onto a command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that a variable cannot have. Never repeats the text of a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{shown} is not {what}: {rule}")]
pub struct BadValue {
    shown: String,
    what: &'static str,
    rule: &'static str,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $secret:literal, $accept:expr) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadValue;
            fn from_str(text: &str) -> Result<Self, BadValue> {
                let accept: fn(&str) -> bool = $accept;
                if accept(text) {
                    return Ok(Self(text.to_owned()));
                }
                let shown = if $secret { "the value".into() } else { format!("`{}`", text.chars().take(80).collect::<String>()) };
                Err(BadValue { shown, what: $what, rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadValue;
            fn try_from(text: String) -> Result<Self, BadValue> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(if $secret { "********" } else { &self.0 })
            }
        }
    };
}

fn made_of(text: &str, first: fn(u8) -> bool, more: &[u8]) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(first) && bytes.all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
}

text!(
    /// A user or group, as `useradd` takes it.
    UserName, "a user or group name", "a lower-case letter or _, then up to 31 of a-z, 0-9, - and _", false,
    |text| text.len() <= 32 && made_of(text, |b| b.is_ascii_lowercase() || b == b'_', b"-_") && !text.bytes().any(|b| b.is_ascii_uppercase())
);
text!(
    /// A package by name alone, as Debian (policy 5.6.1) or an RPM distribution spells it; for a kickstart also a group (`@core`, `@^minimal`)
    /// or a package that is left out (`-plymouth`). Whether the snapshot has it is looked up before a node reboots.
    PackageName, "a package name", "letters, digits, +, -, . and _, at least two; in a kickstart @ begins a group, - what is left out", false,
    |text| {
        let name = text.strip_prefix("@^").or_else(|| text.strip_prefix(['@', '-'])).unwrap_or(text);
        (2..=128).contains(&name.len()) && made_of(name, |b| b.is_ascii_alphanumeric(), b"+-._")
    }
);
text!(
    /// A password hash in crypt(3) form, or one of the marks that no password matches.
    PasswordHash, "a password hash", "make one with `mkpasswd -m yescrypt`, and write it in single quotes", true,
    |text| text == "!" || text == "*" || (text.starts_with('$') && text.len() > 12 && text.split('$').count() >= 4
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"$./,=-_+".contains(&b)))
);
text!(
    /// One line of an `authorized_keys` file.
    SshKey, "an ssh public key", "one line as in `~/.ssh/id_ed25519.pub`, beginning with its type", false,
    |text| text.len() <= 16_384 && !text.chars().any(char::is_control)
        && ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind)) && text.split(' ').filter(|word| !word.is_empty()).count() >= 2
);
text!(
    /// An absolute path.
    FilesystemPath, "an absolute path", "begin with /, without .., white space or a / at the end", false,
    |text| text.len() <= 1024 && text.starts_with('/') && (text == "/" || !text.ends_with('/')) && !text.split('/').any(|part| part == "..")
        && !text.contains("//") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@".contains(&b))
);
text!(
    /// A time zone by the name of its file.
    TimeZone, "a time zone", "a name such as Europe/Berlin or Etc/UTC", false,
    |text| text.len() <= 64 && made_of(text, |b| b.is_ascii_alphabetic(), b"/_+-") && !text.ends_with('/')
);
text!(
    /// A word without white space, quotes or anything that a shell or the installer's answers take apart.
    Token, "a word", "printable, without white space, quotes, backslash, $, `, & ; | < > ( ) #", false,
    |text| (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\$`&;|<>()#".contains(&b))
);
text!(
    /// One line of printable text.
    Line, "one line of text", "no control characters, no quotes, backslash, $, ` or #, up to 1,000 characters", false,
    |text| text.chars().count() <= 1000 && !text.chars().any(|c| c.is_control() || "\"'\\$`#".contains(c)) && text.trim() == text
);
text!(
    /// A host name or an address.
    HostOrAddress, "a host name or an address", "letters, digits, - . and :", false,
    |text| text.len() <= 253 && made_of(text, |b| b.is_ascii_alphanumeric() || b == b':', b"-.:")
);

impl Token {
    /// A word that is known to be one.
    pub(super) fn known(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

/// A number of bytes, written as such or with a unit: `"20 GiB"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SizeWritten", into = "u64")]
pub struct Size(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum SizeWritten {
    Bytes(u64),
    Text(String),
}

impl TryFrom<SizeWritten> for Size {
    type Error = BadValue;
    fn try_from(written: SizeWritten) -> Result<Self, BadValue> {
        match written {
            SizeWritten::Bytes(bytes) => Ok(Self(bytes)),
            SizeWritten::Text(text) => text.parse(),
        }
    }
}

impl From<Size> for u64 {
    fn from(size: Size) -> u64 {
        size.0
    }
}

impl FromStr for Size {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            _ => 0,
        };
        match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).filter(|bytes| *bytes > 0) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(BadValue {
                shown: format!("`{}`", text.chars().take(80).collect::<String>()),
                what: "a size",
                rule: "a whole number of bytes, or one with a unit: \"512 MiB\", \"20 GiB\", \"2 TB\"",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!("20 GiB".parse(), Ok(Size(20 << 30)));
        assert_eq!("512MiB".parse(), Ok(Size(512 << 20)));
        assert_eq!("2 TB".parse(), Ok(Size(2_000_000_000_000)));
        for bad in ["", "GiB", "1.5 GiB", "-1", "0", "99999999999999999 TiB", "20 GIB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_the_clear_is_refused_without_being_repeated() {
        let problem = "correct horse".parse::<PasswordHash>().unwrap_err().to_string();
        assert!(!problem.contains("horse") && problem.contains("mkpasswd"), "{problem}");
        for good in ["!", "*", "$6$saltsalt$abcdefgh./XYZ0", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"] {
            assert!(good.parse::<PasswordHash>().is_ok(), "{good}");
        }
        assert_eq!(format!("{:?}", "!".parse::<PasswordHash>().unwrap()), "********");
    }

    #[test]
    fn nothing_gets_through_that_a_shell_would_take_apart() {
        for bad in ["a b", "a;b", "$(x)", "`x`", "a'b", "a\nb", "", "#x"] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
            assert!(bad.parse::<PackageName>().is_err(), "{bad}");
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
            assert!(bad.parse::<FilesystemPath>().is_err(), "{bad}");
        }
        for bad in ["/a/../b", "/a/", "a", "//"] {
            assert!(bad.parse::<FilesystemPath>().is_err(), "{bad}");
        }
        assert!("ssh-ed25519 AAAA me@x\nroot".parse::<SshKey>().is_err());
        assert!("ssh-ed25519 AAAA me@x".parse::<SshKey>().is_ok());
    }
}
