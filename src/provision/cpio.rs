//! Writes newc cpio archives, the only form that Linux unpacks as an initial RAM disk
//! (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// What it holds.
        content: Vec<u8>,
    },
    /// A symbolic link to this.
    Link(String),
}

/// An archive: files and links by their paths, which are relative and have no `.` or `..` in them. All belongs to root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive(BTreeMap<String, Entry>);

/// `S_IFREG`, `S_IFLNK`, `S_IFDIR` (inode(7)).
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;

impl Archive {
    /// Puts a file in, or another one in its place.
    pub fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.put(path, Entry::File { mode: mode & 0o7777, content: content.into() });
    }

    /// Puts a symbolic link in.
    pub fn link(&mut self, path: &str, target: &str) {
        self.put(path, Entry::Link(target.to_owned()));
    }

    /// All entries by path, without the folders that they need.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    fn put(&mut self, path: &str, entry: Entry) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..").collect();
        if !parts.is_empty() {
            self.0.insert(parts.join("/"), entry);
        }
    }

    /// The archive's bytes: every folder (0755) before what is in it, all with the time 0, so that the same content makes the same bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut inode = 1;
        let mut made = BTreeSet::new();
        for (path, entry) in &self.0 {
            for (at, _) in path.match_indices('/') {
                if made.insert(&path[..at]) {
                    member(&mut out, inode, FOLDER | 0o755, &path[..at], &[]);
                    inode += 1;
                }
            }
            match entry {
                Entry::File { mode, content } => member(&mut out, inode, FILE | mode, path, content),
                Entry::Link(target) => member(&mut out, inode, LINK | 0o777, path, target.as_bytes()),
            }
            inode += 1;
        }
        member(&mut out, 0, 0, "TRAILER!!!", &[]);
        // As cpio(1) does: whatever is appended begins on a boundary, and Linux passes over the zeros.
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }
}

/// A header is 110 bytes: the magic and thirteen fields of eight hexadecimal digits. Name and content are each padded to four bytes.
fn member(out: &mut Vec<u8>, inode: u32, mode: u32, name: &str, content: &[u8]) {
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
    let links = if mode & FOLDER == FOLDER { 2 } else { 1 };
    out.extend_from_slice(b"070701");
    // inode, mode, uid, gid, links, time, size, device (2), device that it is (2), size of the name with its NUL, check (unused here)
    for field in [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0] {
        // A write to a Vec cannot fail.
        let _ = write!(out, "{field:08x}");
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(content);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn gnu_cpio_unpacks_it_with_folders_modes_and_links() {
        let mut archive = Archive::default();
        archive.file("kickctl/env", 0o600, "KICKCTL_NODE='node07'\n");
        archive.file("/kickctl/files/etc/hosts", 0o644, "127.0.0.1 localhost\n");
        archive.file("kickctl/../x", 0o4755, vec![0_u8; 70_001]);
        archive.link("kickctl/files/etc/localtime", "/usr/share/zoneinfo/Etc/UTC");
        let place = tempfile::tempdir().unwrap();
        let mut cpio = Command::new("cpio")
            .args(["-idm", "--quiet", "--no-absolute-filenames"])
            .current_dir(place.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(&archive.bytes()).unwrap();
        assert!(cpio.wait().unwrap().success());
        let read = |path: &str| std::fs::read(place.path().join(path)).unwrap();
        let mode = |path: &str| std::fs::metadata(place.path().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(read("kickctl/env"), b"KICKCTL_NODE='node07'\n");
        assert_eq!(read("kickctl/x").len(), 70_001);
        let modes = ["kickctl", "kickctl/env", "kickctl/files/etc/hosts"].map(mode);
        assert_eq!(modes, [0o755, 0o600, 0o644]);
        let link = std::fs::read_link(place.path().join("kickctl/files/etc/localtime")).unwrap();
        assert_eq!(link.to_str(), Some("/usr/share/zoneinfo/Etc/UTC"));
    }

    #[test]
    fn the_same_content_makes_the_same_bytes_in_whatever_order_it_came() {
        let (mut one, mut two) = (Archive::default(), Archive::default());
        for (archive, names) in [(&mut one, ["a/b", "a/c"]), (&mut two, ["a/c", "a/b"])] {
            names.iter().for_each(|name| archive.file(name, 0o644, *name));
        }
        assert_eq!(one.bytes(), two.bytes());
        assert_eq!(one.bytes().len() % 512, 0);
    }
}
