//! The control file out of a control.tar.xz, without decompressing more of that than it takes.

use crate::repo::short_xz::Stream;

/// So much of an archive's text is in memory at most, bytes; of a longer one the general reader has no more than a buffer.
pub const LONGEST: u64 = 8 << 20;

/// The control file out of a control.tar of which no more is decompressed than what stands before it and the header of the file behind it.
///
/// What comes behind that (md5sums, maintainer scripts) is most of the work and nothing that an index tells. The stream's checksum, which
/// covers all of it, is not needed to know that the control file is whole: one wrong bit would have [spoilt](Stream::is_chained) the header
/// behind, which would not agree with its own sum.
///
/// `None` for all that is not so plain, or damaged: for the general reader to read or to refuse.
pub fn early_control(mut tar: Stream<'_>) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::super::control::{AT_ONCE, control};
    use super::*;
    use crate::repo::compress::compress_xz;
    use crate::repo::lzma2::Decoder;

    /// A control.tar of these files.
    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    /// A package with such a control.tar.xz.
    fn package(files: &[(&str, &str)]) -> Vec<u8> {
        around(&compress_xz(&archive(files)).unwrap())
    }

    /// What is before a control.tar.xz in a package.
    const BEFORE: usize = 8 + 60;

    fn around(control: &[u8]) -> Vec<u8> {
        [format!("!<arch>\n{:<48}{:<10}`\n", "control.tar.xz", control.len()).as_bytes(), control].concat()
    }

    /// As [`control`] finds it quickly.
    fn early(deb: &[u8]) -> Option<Vec<u8>> {
        early_control(Stream::open(&deb[BEFORE..], LONGEST)?)
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
        let tar = archive(&[("./control", CONTROL), ("./md5sums", "x")]);
        // One chunk of LZMA2 that is not compressed, in a stream whose other parts the real xz made of the same text.
        let packed = compress_xz(&tar).unwrap();
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
    fn an_archive_of_several_streams_is_left_to_the_general_reader() {
        let tar = archive(&[("./control", CONTROL), ("./md5sums", "x")]);
        for at in [100, 600, 2_000] {
            let deb = around(&[compress_xz(&tar[..at]).unwrap(), compress_xz(&tar[at..]).unwrap()].concat());
            assert_eq!(control(deb.as_slice()).unwrap(), CONTROL, "{at}");
            assert_eq!(early(&deb).is_some(), at == 2_000);
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
        let deb = around(&compress_xz(&tar.into_inner().unwrap()).unwrap());
        assert_eq!(control(deb.as_slice()).unwrap(), CONTROL);
    }
}
