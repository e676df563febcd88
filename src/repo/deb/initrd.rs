//! What an installer's initrd tells about itself: its kernel, and the udebs it holds already.

use std::io::{BufRead, BufReader, Read};

use super::paragraph::{ParagraphError, Paragraphs};
use crate::repo::compress::{Compression, decompress_bounded};

/// The most that is decompressed of an initrd, bytes. Debian 13's has 68 MB.
const MAX_INITRD: u64 = 1 << 30;
/// The longest path and the largest status file that are read.
const MAX_NAME: u64 = 4096;
const MAX_STATUS: u64 = 16 << 20;

/// Facts of an installer's initrd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitrdFacts {
    /// The kernel release, such as `6.12.94+deb13-amd64`: the folder below `lib/modules`.
    pub kernel_release: String,
    /// The text of `var/lib/dpkg/status`, empty when there is none.
    pub dpkg_status: String,
}

/// Why an initrd could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// Not a cpio archive of the newc kind.
    #[error("the initrd is not a newc cpio archive at byte {at}: {problem}")]
    NotCpio {
        /// Offset in the (decompressed) segment.
        at: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// Decompression failed or ran into the limit.
    #[error("the initrd cannot be decompressed")]
    Compressed(#[from] std::io::Error),
    /// No module folder: not an installer's initrd.
    #[error("the initrd has no lib/modules/<release>: it is not a Debian installer's")]
    NoKernel,
    /// Modules of several kernels.
    #[error("the initrd has modules of several kernels: {0} and {1}")]
    SeveralKernels(String, String),
}

/// Reads an initrd: segments of cpio, plain (microcode) or compressed by gzip, xz or zstd, one after another.
/// At most 1 GiB is decompressed.
pub fn facts(initrd: &[u8]) -> Result<InitrdFacts, InitrdError> {
    let mut found = Found::default();
    let mut rest = initrd;
    // Plain segments come first and are padded with zeros (Linux, Documentation/driver-api/early-userspace/buffer-format.rst);
    // the compressed one is the last.
    loop {
        rest = &rest[rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len())..];
        if rest.is_empty() {
            break;
        }
        let Some(compression) = compression(rest) else {
            let mut cpio = Cpio { reader: rest, at: 0 };
            cpio.walk(&mut found)?;
            rest = cpio.reader;
            continue;
        };
        let reader = BufReader::with_capacity(1 << 16, decompress_bounded(rest, compression, MAX_INITRD)?);
        let mut cpio = Cpio { reader, at: 0 };
        while cpio.skip_zeros()? {
            cpio.walk(&mut found)?;
        }
        break;
    }
    let mut kernels = found.kernels.into_iter();
    match (kernels.next(), kernels.next()) {
        (None, _) => Err(InitrdError::NoKernel),
        (Some(kernel_release), None) => Ok(InitrdFacts { kernel_release, dpkg_status: found.status }),
        (Some(one), Some(other)) => Err(InitrdError::SeveralKernels(one, other)),
    }
}

fn compression(bytes: &[u8]) -> Option<Compression> {
    let magics: [(&[u8], Compression); 3] =
        [(&[0x1f, 0x8b], Compression::Gz), (b"\xfd7zXZ\0", Compression::Xz), (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zst)];
    magics.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, compression)| compression)
}

#[derive(Default)]
struct Found {
    kernels: std::collections::BTreeSet<String>,
    status: String,
}

impl Found {
    fn see_path(&mut self, path: &str) {
        let path = path.trim_start_matches("./").trim_start_matches('/');
        let below = path.strip_prefix("usr/lib/modules/").or_else(|| path.strip_prefix("lib/modules/"));
        if let Some(release) = below.and_then(|below| below.split('/').next()).filter(|release| !release.is_empty()) {
            self.kernels.insert(release.to_owned());
        }
    }
}

/// A cpio archive of the newc kind (Linux, buffer-format.rst): per file a header of 110 bytes in hexadecimal, name, contents.
struct Cpio<R> {
    reader: R,
    at: u64,
}

impl<R: BufRead> Cpio<R> {
    /// Reads one archive up to its `TRAILER!!!`.
    fn walk(&mut self, found: &mut Found) -> Result<(), InitrdError> {
        loop {
            let start = self.at;
            let bad = |problem| InitrdError::NotCpio { at: start, problem };
            let header = self.take(110)?;
            if !header.starts_with(b"070701") && !header.starts_with(b"070702") {
                return Err(bad("no `070701` where a file should start"));
            }
            let number = |index: usize| {
                let digits = header.get(6 + index * 8..14 + index * 8).and_then(|digits| std::str::from_utf8(digits).ok());
                digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(bad("a header without numbers"))
            };
            let (size, name_size) = (number(6)?, number(11)?);
            if name_size > MAX_NAME {
                return Err(bad("a file name longer than 4096 bytes"));
            }
            let name = self.take(name_size)?;
            self.pad()?;
            let path = String::from_utf8_lossy(&name);
            let path = path.trim_end_matches('\0');
            if path == "TRAILER!!!" {
                return Ok(());
            }
            found.see_path(path);
            if path.trim_start_matches("./") == "var/lib/dpkg/status" && size <= MAX_STATUS {
                found.status = String::from_utf8_lossy(&self.take(size)?).into_owned();
            } else {
                self.skip(size)?;
            }
            self.pad()?;
        }
    }

    fn take(&mut self, size: u64) -> Result<Vec<u8>, InitrdError> {
        let mut bytes = Vec::new();
        self.reader.by_ref().take(size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(InitrdError::NotCpio { at: self.at, problem: "cut short" });
        }
        self.at += size;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) -> Result<(), InitrdError> {
        let skipped = std::io::copy(&mut self.reader.by_ref().take(size), &mut std::io::sink())?;
        if skipped != size {
            return Err(InitrdError::NotCpio { at: self.at, problem: "cut short" });
        }
        self.at += size;
        Ok(())
    }

    /// To the next multiple of four.
    fn pad(&mut self) -> Result<(), InitrdError> {
        self.skip(self.at.wrapping_neg() % 4)
    }

    /// Passes over padding between archives. False at the end.
    fn skip_zeros(&mut self) -> Result<bool, InitrdError> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let zeros = buffer.iter().position(|byte| *byte != 0);
            let passed = zeros.unwrap_or(buffer.len());
            self.reader.consume(passed);
            if zeros.is_some() {
                self.at = 0;
                return Ok(true);
            }
        }
    }
}

/// A udeb that the initrd holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its `Provides` field, empty when absent.
    pub provides: String,
}

/// The udebs of a dpkg status file that are there: status `installed` or `unpacked` (the installer's own are `unpacked`).
pub fn installed(dpkg_status: &str) -> Result<Vec<Installed>, ParagraphError> {
    let mut paragraphs = Paragraphs::new(dpkg_status.as_bytes());
    let mut installed = Vec::new();
    while let Some(paragraph) = paragraphs.next()? {
        let get = |name: &str| paragraph.get(name).unwrap_or_default().to_owned();
        if get("Status").ends_with("installed") && !get("Status").ends_with("not-installed") || get("Status").ends_with("unpacked") {
            installed.push(Installed { name: get("Package"), version: get("Version"), provides: get("Provides") });
        }
    }
    Ok(installed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;
    use crate::repo::compress::{compress_gz, compress_xz};

    const STATUS: &str = "Package: anna\nStatus: install ok unpacked\nVersion: 1.99\n\nPackage: gone\nStatus: deinstall ok not-installed\n\n\
Package: cdebconf-newt-terminal\nStatus: install ok installed\nVersion: 0.48\nProvides: cdebconf-terminal\n";

    /// An archive that the real cpio made.
    fn cpio(files: &[(&str, &str)]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            std::fs::write(path, contents).unwrap();
        }
        let script = "find . | cpio -o -H newc --quiet";
        let output = Command::new("sh").args(["-c", script]).current_dir(folder.path()).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    fn installer() -> Vec<u8> {
        cpio(&[("var/lib/dpkg/status", STATUS), ("usr/lib/modules/6.12.94+deb13-amd64/modules.dep", "x")])
    }

    fn expected() -> InitrdFacts {
        InitrdFacts { kernel_release: "6.12.94+deb13-amd64".into(), dpkg_status: STATUS.into() }
    }

    #[test]
    fn kernel_and_status_are_found_behind_microcode_in_any_compression() {
        let microcode = cpio(&[("kernel/x86/microcode/GenuineIntel.bin", "12345")]);
        assert_eq!(facts(&installer()).unwrap(), expected());
        assert_eq!(facts(&compress_gz(&installer()).unwrap()).unwrap(), expected());
        for packed in
            [compress_gz(&installer()).unwrap(), compress_xz(&installer()).unwrap(), zstd::bulk::compress(&installer(), 1).unwrap()]
        {
            let mut whole = microcode.clone();
            whole.resize(whole.len().next_multiple_of(512), 0);
            whole.extend(packed);
            assert_eq!(facts(&whole).unwrap(), expected());
        }
    }

    #[test]
    fn two_archives_in_one_compressed_segment_are_both_read() {
        let both = [cpio(&[("lib/modules/1.2.3/x", "")]), cpio(&[("var/lib/dpkg/status", "s")])].concat();
        assert_eq!(facts(&compress_gz(&both).unwrap()).unwrap(), InitrdFacts { kernel_release: "1.2.3".into(), dpkg_status: "s".into() });
    }

    #[test]
    fn what_is_no_installer_is_refused() {
        assert!(matches!(facts(&cpio(&[("bin/sh", "")])), Err(InitrdError::NoKernel)));
        assert!(matches!(facts(b"hello world"), Err(InitrdError::NotCpio { .. })));
        assert!(matches!(facts(&installer()[..200]), Err(InitrdError::NotCpio { .. })));
        let two = cpio(&[("lib/modules/1/x", ""), ("lib/modules/2/x", "")]);
        assert!(matches!(facts(&two), Err(InitrdError::SeveralKernels(..))));
    }

    #[test]
    fn unpacked_udebs_count_as_there() {
        let names: Vec<_> = installed(STATUS).unwrap().into_iter().map(|udeb| (udeb.name, udeb.provides)).collect();
        assert_eq!(names, [("anna".into(), String::new()), ("cdebconf-newt-terminal".into(), "cdebconf-terminal".into())]);
    }

    proptest! {
        #[test]
        fn noise_never_panics(at in 0usize..300, value: u8, length in 0usize..1000) {
            let mut bytes = Vec::new();
            for (name, contents) in [("lib/modules/1/x\0", "abc"), ("TRAILER!!!\0", "")] {
                write!(bytes, "070701{:08X}{:08X}{}{:08X}{:08X}{name}{contents}", 0, 0, "00000000".repeat(4), contents.len(), 0).unwrap();
            }
            let length = length % (bytes.len() + 1);
            bytes.truncate(length);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = facts(&bytes);
        }
    }
}
