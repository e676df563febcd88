//! Paths within an archive, as an index or Release file names them.

use std::fmt;

/// A path relative to an archive's root that cannot leave it: no leading `/`, no empty, `.` or `..` segment, no control character,
/// no backslash, at most 1024 bytes and 255 a segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchivePath(String);

impl ArchivePath {
    /// The path as text, such as `pool/main/b/bash/bash_5.2.37-2_amd64.deb`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl AsRef<std::path::Path> for ArchivePath {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl fmt::Display for ArchivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ArchivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path that an archive may not name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the archive names the file `{path}`, which is refused: {why}")]
pub struct BadPath {
    /// The path, escaped and cut to 200 characters.
    pub path: String,
    /// The rule it breaks.
    pub why: &'static str,
}

/// The one check that a path from the network passes before anything is fetched or written by it.
pub fn archive_path(path: &str) -> Result<ArchivePath, BadPath> {
    let refuse = |why| Err(BadPath { path: path.chars().take(200).flat_map(char::escape_default).collect(), why });
    if path.len() > 1024 {
        return refuse("longer than 1024 bytes");
    }
    if path.starts_with('/') {
        return refuse("not relative to the archive");
    }
    for segment in path.split('/') {
        match segment {
            "" => return refuse("an empty segment"),
            "." | ".." => return refuse("a `.` or `..` segment"),
            _ if segment.len() > 255 => return refuse("a segment longer than 255 bytes"),
            _ if segment.contains(|c: char| c.is_control() || c == '\\') => return refuse("a control character or backslash"),
            _ => {}
        }
    }
    Ok(ArchivePath(path.to_owned()))
}

impl std::str::FromStr for ArchivePath {
    type Err = BadPath;
    fn from_str(path: &str) -> Result<Self, BadPath> {
        archive_path(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_archive() {
        for bad in ["../../etc/passwd", "/etc/passwd", "", "pool//a", "pool/./a", "pool/..", "pool/", "a\\..\\b", "a\nb", "a\0b", "a\u{7f}"]
        {
            assert!(archive_path(bad).is_err(), "{bad:?}");
        }
        assert!(archive_path(&"a".repeat(256)).is_err());
        assert!(archive_path(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn names_with_dots_tildes_and_epochs_are_ordinary() {
        for good in ["pool/main/b/bash/bash_5.2.37-2~bpo12+1_amd64.deb", "...", "..a/b", "a_1%3a2.deb", "dists/trixie/main"] {
            assert_eq!(archive_path(good).unwrap().as_str(), good);
        }
    }
}
