//! `.deb` and `.udeb` files: an ar archive of `debian-binary`, `control.tar*` and `data.tar*` (deb(5)).

use std::io::{self, Read};

use super::early_control::{LONGEST, early_control};
use super::index::with_fields;
use super::packages::Package;
use super::paragraph::{MAX_PARAGRAPH, Paragraphs};
use super::path::ArchivePath;
use crate::domain::checksum::Sha256;
use crate::repo::compress::{Compression, decompress_bounded, is_bomb};
use crate::repo::short_xz::Stream;

/// The largest decompressed control.tar that is read, bytes (maintainer scripts, md5sums).
const MAX_CONTROL: u64 = 64 << 20;

/// Why a file is not a Debian package, or not one that is read.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Not an ar archive with the members of a package.
    #[error("not a Debian package: {0}")]
    NotAPackage(String),
    /// A member or file beyond its bound.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// The member or file.
        what: String,
        /// Bytes.
        limit: u64,
    },
    /// Damaged, or the reader failed.
    #[error("cannot read {what}")]
    Read {
        /// The member.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The control file is not a package's.
    #[error("the control file")]
    Control(#[from] super::packages::PackageError),
}

/// So much of a compressed control.tar is read at once, bytes: the whole of nearly every one. That of keyboard-configuration has 400,000.
pub(super) const AT_ONCE: u64 = 1 << 20;

/// The control paragraph of a package, each line ending in `\n`. Reads the file's first members only, and the second no further than it must.
pub fn control(mut deb: impl Read) -> Result<String, ControlError> {
    let (name, size) = find_member(&mut deb, "control.tar")?;
    let mut bytes = Vec::new();
    if name.ends_with(".xz") {
        bytes.reserve(size.min(AT_ONCE) as usize);
        let mut start = deb.by_ref().take(size.min(AT_ONCE));
        start.read_to_end(&mut bytes).map_err(|source| ControlError::Read { what: name.clone(), source })?;
        if let Some(text) = Stream::open(&bytes, LONGEST).and_then(early_control) {
            return paragraph_of(&text);
        }
    }
    let rest = size - bytes.len() as u64;
    control_of(bytes.as_slice().chain(deb.take(rest)), &name)
}

/// The control paragraph out of a control.tar of this name.
fn control_of(tar: impl Read, name: &str) -> Result<String, ControlError> {
    let mut found = None;
    let mut take = |path: &str, file: &mut dyn Read| {
        if path == "control" && found.is_none() {
            let mut text = Vec::new();
            file.take(MAX_PARAGRAPH as u64 + 1).read_to_end(&mut text)?;
            found = Some(text);
        }
        Ok(())
    };
    walk(tar, name, "control.tar", MAX_CONTROL, &|path| path == "control", &mut take)?;
    paragraph_of(&found.ok_or_else(|| ControlError::NotAPackage("control.tar holds no control file".to_owned()))?)
}

fn paragraph_of(text: &[u8]) -> Result<String, ControlError> {
    let mut paragraphs = Paragraphs::new(text);
    let paragraph = paragraphs.next().map_err(super::packages::PackageError::from)?;
    Ok(paragraph.map(|paragraph| paragraph.text().to_owned()).unwrap_or_default())
}

/// Hands the regular files of `data.tar*` that `wanted` accepts (paths without a leading `./` or `/`) to `sink`, with a reader of their
/// contents. Links are not followed. Returns how many were handed over. At most `limit` bytes of data.tar are decompressed.
pub fn extract(
    mut deb: impl Read,
    wanted: &dyn Fn(&str) -> bool,
    limit: u64,
    sink: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<usize, ControlError> {
    let (name, size) = find_member(&mut deb, "data.tar")?;
    walk(deb.take(size), &name, "data.tar", limit, wanted, sink)
}

/// An index stanza of a package file: its control paragraph with `Filename`, `Size` and `SHA256`. [`Package::parse`] takes it.
pub fn index_stanza(control: &str, path: &ArchivePath, size: u64, sha256: Sha256) -> Result<String, ControlError> {
    let (size, sha256) = (size.to_string(), sha256.to_string());
    let stanza = with_fields(control, [("Filename", path.as_str()), ("Size", &size), ("SHA256", &sha256)]);
    Package::parse(&stanza)?.file()?;
    Ok(stanza)
}

/// Hands the wanted regular files of a tar member called `name` (`member` and a suffix) to `sink`.
fn walk(
    member_bytes: impl Read,
    name: &str,
    member: &str,
    limit: u64,
    wanted: &dyn Fn(&str) -> bool,
    sink: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<usize, ControlError> {
    let failed = |source: io::Error| {
        if is_bomb(&source) {
            ControlError::TooLarge { what: name.to_owned(), limit }
        } else {
            ControlError::Read { what: name.to_owned(), source }
        }
    };
    let compression = Compression::of_name(name);
    if compression.suffix() != &name[member.len()..] {
        return Err(ControlError::NotAPackage(format!("`{name}` has an unknown compression")));
    }
    let tar = decompress_bounded(member_bytes, compression, limit).map_err(failed)?;
    let mut count = 0;
    for entry in tar::Archive::new(tar).entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.trim_start_matches("./").trim_start_matches('/');
        if entry.header().entry_type().is_file() && wanted(path) {
            sink(path, &mut entry).map_err(failed)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Reads up to the contents of the first member whose name starts with `wanted`. Returns its name and size.
fn find_member(deb: &mut impl Read, wanted: &str) -> Result<(String, u64), ControlError> {
    let failed = |source: io::Error| ControlError::Read { what: "the ar archive".to_owned(), source };
    let no = |problem: String| ControlError::NotAPackage(problem);
    let mut magic = [0; 8];
    deb.read_exact(&mut magic).map_err(failed)?;
    if &magic != b"!<arch>\n" {
        return Err(no("no ar archive: it does not start with `!<arch>`".to_owned()));
    }
    loop {
        // ar(5): name 16, time 12, owner 6, group 6, mode 8, size 10, then a back-quote and a line feed; contents padded to even.
        let mut header = [0; 60];
        deb.read_exact(&mut header).map_err(|_| no(format!("it has no {wanted} member")))?;
        let text =
            |range: std::ops::Range<usize>| header.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default().trim();
        let name = text(0..16).trim_end_matches('/').to_owned();
        let size: u64 = text(48..58).parse().map_err(|_| no(format!("the size of its member `{name}` is no number")))?;
        if !header.ends_with(b"`\n") {
            return Err(no(format!("the header of its member `{name}` is damaged")));
        }
        if name.starts_with(wanted) {
            return Ok((name, size));
        }
        io::copy(&mut deb.by_ref().take(size + size % 2), &mut io::sink()).map_err(failed)?;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::super::path::archive_path;
    use super::*;

    /// A package that the real dpkg-deb built.
    fn dpkg_deb(folder: &Path, compression: &str) -> Vec<u8> {
        let root = folder.join("root");
        std::fs::create_dir_all(root.join("DEBIAN")).unwrap();
        std::fs::create_dir_all(root.join("usr/lib/ipxe")).unwrap();
        let control = "Package: loader\nVersion: 1:2.0~rc1-3\nArchitecture: all\nMaintainer: A <a@example.org>\nDepends: a,\n b\nDescription: x\n long\n";
        std::fs::write(root.join("DEBIAN/control"), control).unwrap();
        std::fs::write(root.join("usr/lib/ipxe/undionly.kpxe"), vec![7; 100_000]).unwrap();
        std::os::unix::fs::symlink("undionly.kpxe", root.join("usr/lib/ipxe/link.kpxe")).unwrap();
        let file = folder.join("loader.deb");
        let status = Command::new("dpkg-deb").args(["--root-owner-group", compression, "-b"]).args([&root, &file]).output().unwrap();
        assert!(status.status.success(), "{status:?}");
        std::fs::read(file).unwrap()
    }

    #[test]
    fn control_and_files_come_out_of_what_dpkg_deb_built() {
        for compression in ["-Zxz", "-Zgzip", "-Zzstd", "-Znone"] {
            let folder = tempfile::tempdir().unwrap();
            let deb = dpkg_deb(folder.path(), compression);
            let control = control(deb.as_slice()).unwrap();
            assert_eq!(Package::parse(&control).unwrap().depends, "a,\n b", "{compression}");
            let mut found = Vec::new();
            let mut sink = |path: &str, file: &mut dyn Read| {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                found.push((path.to_owned(), bytes.len()));
                Ok(())
            };
            let count = extract(deb.as_slice(), &|path| path.ends_with(".kpxe"), 1 << 20, &mut sink).unwrap();
            assert_eq!((count, found), (1, vec![("usr/lib/ipxe/undionly.kpxe".to_owned(), 100_000)]), "links are left out, {compression}");
            let error = extract(deb.as_slice(), &|_| false, 10_000, &mut |_, _| Ok(())).unwrap_err();
            assert!(matches!(error, ControlError::TooLarge { limit: 10_000, .. }), "{compression}: {error:?}");
        }
    }

    #[test]
    fn a_stanza_for_the_index_is_that_of_dpkg_scanpackages() {
        let folder = tempfile::tempdir().unwrap();
        let deb = dpkg_deb(folder.path(), "-Zxz");
        let path = archive_path("pool/loader.deb").unwrap();
        let stanza = index_stanza(&control(deb.as_slice()).unwrap(), &path, deb.len() as u64, Sha256::of(&deb)).unwrap();
        assert_eq!(Package::parse(&stanza).unwrap().file().unwrap().path, path);
        std::fs::create_dir(folder.path().join("pool")).unwrap();
        std::fs::write(folder.path().join("pool/loader.deb"), &deb).unwrap();
        let Ok(output) = Command::new("dpkg-scanpackages").arg("pool").current_dir(folder.path()).output() else {
            eprintln!("skipped: dpkg-scanpackages is not installed");
            return;
        };
        let theirs = String::from_utf8(output.stdout).unwrap();
        for field in ["Filename:", "Size:", "SHA256:"] {
            let line = |text: &str| text.lines().find(|line| line.starts_with(field)).unwrap().to_owned();
            assert_eq!(line(&stanza), line(&theirs));
        }
    }

    #[test]
    fn what_is_no_package_is_told_apart() {
        assert!(matches!(control(&b"hello world, this is text"[..]), Err(ControlError::NotAPackage(_))));
        assert!(matches!(control(&b"!<arch>\n"[..]), Err(ControlError::NotAPackage(_))));
        let folder = tempfile::tempdir().unwrap();
        let deb = dpkg_deb(folder.path(), "-Zxz");
        assert!(matches!(control(&deb[..200]), Err(ControlError::Read { .. })));
    }

    proptest! {
        #[test]
        fn a_damaged_package_never_panics(at in 0usize..400, value: u8) {
            let mut deb = b"!<arch>\ncontrol.tar     0           0     0     100644  512       `\n".to_vec();
            deb.resize(600, b'a');
            deb[at] = value;
            let _ = control(deb.as_slice());
        }
    }
}
