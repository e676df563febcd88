//! The release of kickstart's syntax that a distribution's installer understands.

use std::fmt;

use serde::Serialize;

/// A distribution's release, as far as kickstart's syntax follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub enum Release {
    /// Red Hat Enterprise Linux, its rebuilds and CentOS Stream, by major version.
    Rhel(u8),
    /// Fedora, by version.
    Fedora(u8),
}

/// Those that the syntax table has, the oldest first.
pub const KNOWN: [Release; 9] = [
    Release::Rhel(8),
    Release::Rhel(9),
    Release::Rhel(10),
    Release::Fedora(40),
    Release::Fedora(41),
    Release::Fedora(42),
    Release::Fedora(43),
    Release::Fedora(44),
    Release::Fedora(45),
];

impl Release {
    /// What a tree is taken for that does not say what it is.
    pub const NEWEST: Self = Self::Rhel(10);

    /// What a `.treeinfo` tells by `family` and `version` (`Rocky Linux` and `9.5`); everything that is not Fedora follows Red Hat.
    pub fn of_tree(family: &str, version: &str) -> Option<Self> {
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        Some(if family.contains("Fedora") { Self::Fedora(major) } else { Self::Rhel(major) })
    }

    /// The release of the table whose syntax is nearest: a newer one than the table's last is taken for the last.
    pub fn known(self) -> Self {
        let older = |known: &&Self| match (known, self) {
            (Self::Rhel(known), Self::Rhel(wanted)) | (Self::Fedora(known), Self::Fedora(wanted)) => *known <= wanted,
            _ => false,
        };
        let first = if matches!(self, Self::Rhel(_)) { Self::Rhel(8) } else { Self::Fedora(40) };
        KNOWN.iter().rfind(older).copied().unwrap_or(first)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rhel(major) => write!(f, "rhel{major}"),
            Self::Fedora(version) => write!(f, "fedora{version}"),
        }
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_tells_its_release() {
        for (family, version, release) in [
            ("Rocky Linux", "9.5", "rhel9"),
            ("AlmaLinux", "10.0", "rhel10"),
            ("CentOS Stream", "10-stream", "rhel10"),
            ("Red Hat Enterprise Linux", "8.10", "rhel8"),
            ("Fedora", "43", "fedora43"),
        ] {
            assert_eq!(Release::of_tree(family, version).unwrap().to_string(), release, "{family} {version}");
        }
        assert_eq!(Release::of_tree("Fedora", "rawhide"), None);
        assert_eq!(Release::of_tree("Rocky Linux", "900"), None);
    }

    #[test]
    fn a_release_that_the_table_does_not_have_is_taken_for_the_one_before_it() {
        assert_eq!(Release::Rhel(9).known(), Release::Rhel(9));
        assert_eq!(Release::Rhel(12).known(), Release::Rhel(10));
        assert_eq!(Release::Fedora(60).known(), Release::Fedora(45));
        assert_eq!(Release::Fedora(33).known(), Release::Fedora(40));
        assert_eq!(Release::Rhel(7).known(), Release::Rhel(8));
    }
}
