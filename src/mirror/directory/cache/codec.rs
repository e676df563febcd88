//! Numbers, texts and digests of a cache's file.

use sha2::{Digest, Sha256 as Hasher};

use super::{Entry, MAX_PARTS, Place, Section};
use crate::domain::checksum::Sha256;
use crate::mirror::directory::scan::Stamp;

/// An entry without its path and label has so many bytes.
pub const LEAST_ENTRY: usize = 2 + 2 + 4 * 8 + 32 + 4 * MAX_PARTS;

pub fn digest_of(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Hasher::digest(bytes)[..16]);
    short
}

pub fn index_digest(recipe: &str, index: &[u8]) -> [u8; 32] {
    Hasher::new().chain_update(recipe).chain_update([0]).chain_update(index).finalize().into()
}

pub fn write_place(out: &mut Vec<u8>, place: &Place) {
    let Place { at, sections, entries, labels } = place;
    out.extend(at.to_le_bytes());
    for section in sections {
        out.extend(section.length.to_le_bytes());
        out.extend(section.plain.to_le_bytes());
        out.extend(section.digest);
    }
    out.extend(entries.to_le_bytes());
    out.extend(u32::try_from(labels.len()).unwrap_or(u32::MAX).to_le_bytes());
    labels.iter().for_each(|label| write_text(out, label));
}

/// Paths and labels are far shorter than this can be: the system's limit is 4096.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(text.bytes().take(usize::from(u16::MAX)));
}

pub fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    let Entry { path, stamp, sha256, label, lengths } = entry;
    write_text(out, path);
    write_text(out, label);
    out.extend(stamp.size.to_le_bytes());
    out.extend(stamp.mtime.to_le_bytes());
    out.extend(stamp.ctime.to_le_bytes());
    out.extend(stamp.inode.to_le_bytes());
    out.extend(sha256.bytes());
    lengths.iter().for_each(|length| out.extend(length.to_le_bytes()));
}

/// Takes numbers and texts off the front.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_le_bytes)
    }

    pub fn text(&mut self) -> Option<String> {
        let length = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
        String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()
    }

    pub fn place(&mut self, parts: usize) -> Option<Place> {
        let at = self.u64()?;
        let mut section = || Some(Section { length: self.u32()?, plain: self.u32()?, digest: self.take(16)?.try_into().ok()? });
        let sections = (0..=parts).map(|_| section()).collect::<Option<_>>()?;
        let (entries, labels) = (self.u32()?, self.u32()?);
        let labels = (0..labels).map(|_| self.text()).collect::<Option<_>>()?;
        Some(Place { at, sections, entries, labels })
    }

    pub fn entry(&mut self) -> Option<Entry> {
        let (path, label) = (self.text()?, self.text()?);
        let stamp = Stamp { size: self.u64()?, mtime: self.i64()?, ctime: self.i64()?, inode: self.u64()? };
        let sha256 = Sha256::new(self.take(32)?.try_into().ok()?);
        let mut lengths = [0; MAX_PARTS];
        for length in &mut lengths {
            *length = self.u32()?;
        }
        Some(Entry { path, stamp, sha256, label, lengths })
    }
}
