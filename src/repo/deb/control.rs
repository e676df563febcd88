//! `.deb` and `.udeb` files: an ar archive of `debian-binary`, `control.tar*` and `data.tar*` (deb(5)).

use std::io::{self, Read};

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
const AT_ONCE: u64 = 1 << 20;
/// So much of its text is in memory at most, bytes; of a longer one no more than a buffer.
const MAX_EARLY: u64 = 8 << 20;

/// The control paragraph of a package, each line ending in `\n`. Reads the file's first members only, and the second no further than it must.
pub fn control(mut deb: impl Read) -> Result<String, ControlError> {
    let (name, size) = find_member(&mut deb, "control.tar")?;
    let mut bytes = Vec::new();
    if name.ends_with(".xz") {
        bytes.reserve(size.min(AT_ONCE) as usize);
        let mut start = deb.by_ref().take(size.min(AT_ONCE));
        start.read_to_end(&mut bytes).map_err(|source| ControlError::Read { what: name.clone(), source })?;
        if let Some(text) = Stream::open(&bytes, MAX_EARLY).and_then(early_control) {
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

/// The control file out of a control.tar of which no more is decompressed than what stands before it and the header of the file behind it.
///
/// What comes behind that (md5sums, maintainer scripts) is most of the work and nothing that an index tells. The stream's checksum, which
/// covers all of it, is not needed to know that the control file is whole: one wrong bit would have [spoilt](Stream::is_chained) the header
/// behind, which would not agree with its own sum.
///
/// `None` for all that is not so plain, or damaged: for [`control_of`] to read or to refuse.
fn early_control(mut tar: Stream<'_>) -> Option<Vec<u8>> {
    let mut at = 0;
    loop {
        let body = at + BLOCK;
        let member = PlainFile::parse(tar.until(body)?.get(at..)?)?;
        let end = body + member.size;
        let next = end.next_multiple_of(BLOCK);
        if member.is_file && member.name == b"control" {
            let (padding, behind) = tar.until(next + BLOCK)?.get(end..)?.split_at_checked(next - end)?;
            let is_proven = PlainFile::parse(behind).is_some() && padding.iter().all(|byte| *byte == 0) && tar.is_chained();
            // If it is the last file, nothing behind it has a sum.
            return (is_proven || tar.is_whole()).then(|| tar.until(0)?.get(body..end).map(<[u8]>::to_vec))?;
        }
        at = next;
    }
}

/// What a tar's archive is made of, bytes.
const BLOCK: usize = 512;

/// A plain file or folder in a tar's archive.
struct PlainFile<'a> {
    is_file: bool,
    /// Without a leading `./`.
    name: &'a [u8],
    /// Bytes.
    size: usize,
}

impl<'a> PlainFile<'a> {
    /// Reads the header at the start of `bytes` (ustar, POSIX.1-2024 pax, "ustar Interchange Format"). `None` if it is another's or its sum is wrong.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<BLOCK>()?;
        let octal = |field: &[u8]| {
            let digits = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
            usize::from_str_radix(digits, 8).ok()
        };
        // The sum of all bytes, its own field taken as blanks.
        let (name, size, sum, kind, prefix) = (&header[..100], &header[124..136], &header[148..156], header[156], header[345]);
        let total = |bytes: &[u8]| bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        if octal(sum)? != total(header) - total(sum) + 8 * usize::from(b' ') || prefix != 0 || !matches!(kind, 0 | b'0' | b'5') {
            return None;
        }
        let name = name.split(|byte| *byte == 0).next()?;
        Some(Self { is_file: kind != b'5', name: name.strip_prefix(b"./").unwrap_or(name), size: octal(size)? })
    }
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
    use crate::repo::lzma2::Decoder;

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

    /// A package whose control.tar.xz holds these files.
    fn package(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        around(&crate::repo::compress::compress_xz(&tar.into_inner().unwrap()).unwrap())
    }

    /// What is before a control.tar.xz in a package.
    const BEFORE: usize = 8 + 60;

    fn around(control: &[u8]) -> Vec<u8> {
        [format!("!<arch>\n{:<48}{:<10}`\n", "control.tar.xz", control.len()).as_bytes(), control].concat()
    }

    /// As [`control`] finds it quickly.
    fn early(deb: &[u8]) -> Option<Vec<u8>> {
        early_control(Stream::open(&deb[BEFORE..], MAX_EARLY)?)
    }

    const CONTROL: &str = "Package: x\nVersion: 1\nArchitecture: all\nDepends: a, b (>= 1.0), c\n";

    #[test]
    fn of_a_damaged_package_comes_what_it_said_or_an_error() {
        let sums: String =
            (0..40).map(|number: u64| format!("{:016x}  usr/bin/{number}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let good = package(&[("./control", CONTROL), ("./md5sums", &sums)]);
        let (mut told, mut passed) = (0, 0);
        for at in 8 * BEFORE..8 * good.len() {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            match control(bad.as_slice()) {
                Ok(text) => assert_eq!(text, CONTROL, "bit {at}"),
                Err(_) => told += 1,
            }
            passed += usize::from(early(&bad).is_some());
        }
        assert!(told > 8 * 100 && passed > 8 * 300, "{told} told, {passed} behind the control file and not looked at");
    }

    #[test]
    fn what_is_stored_and_not_compressed_is_checked_as_a_whole() {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in [("./control", CONTROL), ("./md5sums", "x")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        // One chunk of LZMA2 that is not compressed, in a stream whose other parts the real xz made of the same text.
        let packed = crate::repo::compress::compress_xz(&tar).unwrap();
        let header = 12 + (usize::from(packed[12]) + 1) * 4;
        let mut lzma2 = Decoder::new(&packed[header..], 1 << 20);
        lzma2.until(usize::MAX).unwrap();
        let size = u16::try_from(tar.len() - 1).unwrap().to_be_bytes();
        let mut stored = [&packed[..header], &[1, size[0], size[1]], &tar, &[0]].concat();
        stored.resize(stored.len().next_multiple_of(4), 0);
        let rest = lzma2.rest();
        let skipped = (packed.len() - rest.len()).wrapping_neg() & 3;
        stored.extend(&rest[skipped..]);
        assert_eq!(early(&around(&stored)).unwrap(), CONTROL.as_bytes());
        let at = stored.windows(9).position(|bytes| bytes == b"Depends: ").unwrap();
        stored[at + 9] ^= 1;
        assert!(early(&around(&stored)).is_none());
    }

    #[test]
    fn the_control_file_is_found_wherever_it_stands() {
        let long = "A: b\n".repeat(30_000);
        for files in [
            vec![("./control", CONTROL), ("./md5sums", long.as_str())],
            vec![("./conffiles", long.as_str()), ("./control", CONTROL)],
            vec![("./conffiles", "/etc/a"), ("./control", CONTROL), ("./postinst", "#!/bin/sh")],
            vec![("./control", CONTROL)],
            vec![("control", CONTROL), ("./control", "another")],
        ] {
            let deb = package(&files);
            assert_eq!(control(deb.as_slice()).unwrap(), CONTROL, "{:?}", files.iter().map(|file| file.0).collect::<Vec<_>>());
            assert!(early(&deb).is_some());
        }
    }

    #[test]
    fn a_long_control_archive_is_read_in_pieces() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b' ' + (state >> 58) as u8)
        };
        let noise: String = (0..2 * AT_ONCE).map(|_| next()).collect();
        for files in [[("./conffiles", noise.as_str()), ("./control", CONTROL)], [("./control", CONTROL), ("./md5sums", noise.as_str())]] {
            let deb = package(&files);
            assert!(deb.len() as u64 > AT_ONCE);
            assert_eq!(control(deb.as_slice()).unwrap(), CONTROL);
            assert_eq!(early(&deb[..BEFORE + AT_ONCE as usize]).is_some(), files[0].0 == "./control");
        }
    }

    #[test]
    fn a_folder_is_not_the_control_file() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        tar.append_data(&mut header, "control", &[][..]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(CONTROL.len() as u64);
        tar.append_data(&mut header, "./control", CONTROL.as_bytes()).unwrap();
        let deb = around(&crate::repo::compress::compress_xz(&tar.into_inner().unwrap()).unwrap());
        assert_eq!(control(deb.as_slice()).unwrap(), CONTROL);
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
