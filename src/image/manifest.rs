//! A list of every file of a tree: what identifies it, what two versions differ in, and what a version is verified against.
//!
//! One line a file, ordered by path: `PATH TYPE MODE UID GID WHAT`. PATH begins with `/`, and bytes other than printable ASCII (and `%`
//! itself) are written as `%XX`. TYPE is a letter as of ls(1). MODE is octal. WHAT is the SHA-256 of a file's content, a link's target
//! (written as a path is), a device's `MAJOR:MINOR`, or `-`. Times are no part of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde::Serialize;
use walkdir::WalkDir;

use crate::domain::checksum::Sha256;
use crate::sys::atomic::named;
use crate::sys::objects::digest_of;

/// All files of a tree: path to the rest of its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest(BTreeMap<String, String>);

/// Sums over a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Files of any type, folders among them.
    pub files: u64,
    /// Sizes of regular files together, each once however many names it has.
    pub bytes: u64,
}

/// What became of a file between two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the second tree has it.
    Added,
    /// Only the first tree has it.
    Removed,
    /// Its content, type, owner or permissions differ.
    Changed,
}

impl Manifest {
    /// Reads a whole tree.
    ///
    /// # Errors
    /// If a file does not read.
    pub fn of(root: &Path) -> io::Result<(Self, Sums)> {
        let (mut files, mut sums) = (BTreeMap::new(), Sums::default());
        // Names of one file are told by device and inode, and read once.
        let mut hashed: BTreeMap<(u64, u64), Sha256> = BTreeMap::new();
        for entry in WalkDir::new(root).min_depth(1) {
            let entry = entry?;
            let metadata = entry.metadata()?;
            sums.files += 1;
            let what = if metadata.is_file() {
                let id = (metadata.dev(), metadata.ino());
                let digest = match hashed.get(&id) {
                    Some(digest) => *digest,
                    None => {
                        sums.bytes += metadata.len();
                        let digest = digest_of(entry.path())?;
                        if metadata.nlink() > 1 {
                            hashed.insert(id, digest);
                        }
                        digest
                    }
                };
                digest.to_string()
            } else if metadata.is_symlink() {
                escaped(fs::read_link(entry.path())?.as_os_str().as_bytes())
            } else if metadata.file_type().is_block_device() || metadata.file_type().is_char_device() {
                format!("{}:{}", rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()))
            } else {
                "-".to_owned()
            };
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let line = format!("{} {:o} {} {} {what}", letter(&metadata), metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
            files.insert(format!("/{}", escaped(path.as_os_str().as_bytes())), line);
        }
        Ok((Self(files), sums))
    }

    /// As text.
    pub fn to_text(&self) -> String {
        self.0.iter().fold(String::new(), |text, (path, rest)| text + path + " " + rest + "\n")
    }

    /// Reads what [`Manifest::to_text`] wrote.
    ///
    /// # Errors
    /// If the file is missing, or a line is none.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| named(error, "read", path))?;
        let line = |line: &str| line.split_once(' ').map(|(path, rest)| (path.to_owned(), rest.to_owned()));
        let files: Option<BTreeMap<String, String>> = text.lines().map(line).collect();
        files.map(Self).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display())))
    }

    /// What differs in `newer`, by path.
    pub fn changes(&self, newer: &Self) -> Vec<(String, Change)> {
        let mut changes = Vec::new();
        for (path, line) in &self.0 {
            match newer.0.get(path) {
                None => changes.push((path.clone(), Change::Removed)),
                Some(other) if other != line => changes.push((path.clone(), Change::Changed)),
                Some(_) => {}
            }
        }
        changes.extend(newer.0.keys().filter(|path| !self.0.contains_key(*path)).map(|path| (path.clone(), Change::Added)));
        changes.sort();
        changes
    }
}

fn letter(metadata: &Metadata) -> char {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => 'd',
        () if kind.is_file() => '-',
        () if kind.is_symlink() => 'l',
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () if kind.is_fifo() => 'p',
        () => 's',
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_graphic() && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn two_trees_differ_in_content_owner_mode_and_names_and_not_in_times() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        for name in ["same", "content", "mode", "gone", "with blank %"] {
            fs::write(root.join("etc").join(name), name).unwrap();
        }
        fs::hard_link(root.join("etc/same"), root.join("etc/again")).unwrap();
        symlink("../x y", root.join("link")).unwrap();
        let (first, sums) = Manifest::of(&root).unwrap();
        let sizes = ["same", "content", "mode", "gone", "with blank %"].map(str::len).iter().sum::<usize>();
        assert_eq!((sums.files, sums.bytes), (8, sizes as u64));
        assert!(first.to_text().contains("/link l 777 "), "{}", first.to_text());
        assert!(first.to_text().contains(" ../x%20y\n") && first.to_text().contains("/etc/with%20blank%20%25 - "), "{}", first.to_text());
        fs::write(root.join("etc/content"), "CONTENT").unwrap();
        fs::set_permissions(root.join("etc/mode"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(root.join("etc/gone")).unwrap();
        fs::write(root.join("etc/new"), "").unwrap();
        fs::write(root.join("etc/same"), "same").unwrap();
        let (second, _) = Manifest::of(&root).unwrap();
        let changes: Vec<String> = first.changes(&second).into_iter().map(|(path, change)| format!("{path} {change:?}")).collect();
        assert_eq!(changes, ["/etc/content Changed", "/etc/gone Removed", "/etc/mode Changed", "/etc/new Added"]);
        let file = folder.path().join("files.list");
        fs::write(&file, second.to_text()).unwrap();
        assert_eq!(Manifest::read(&file).unwrap(), second);
    }
}
