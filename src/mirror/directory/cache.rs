//! What is known of a directory's packages: for each file its stamp, its digest and its texts, in blocks.
//!
//! ```text
//! block    table | texts of part 1, compressed | texts of part 2 ...      as often as there are blocks
//! index    of each block: where it is, lengths and digests of table and texts
//! trailer  where the index is, its length, its digest together with the recipe
//! ```
//! The compressed texts of a block are at the same time the piece that stands in the published index: a rebuild copies the blocks in which
//! nothing changed. Everything is checked by digest when it is read. A file that is short, damaged, of another recipe or of another
//! program is as good as none: packages are read anew. It is written beside and renamed, without fsync, for the same reason.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256 as Hasher};
use tempfile::NamedTempFile;

use super::scan::{OURS, Stamp};
use crate::domain::checksum::Sha256;

/// Parts of an RPM package's metadata: primary, filelists, other. A Debian package has one.
pub const MAX_PARTS: usize = 3;
/// No table and no block of texts is longer, bytes.
const MAX_SECTION: u32 = 1 << 30;
const TRAILER: usize = 8 + 8 + 32 + 8;
const MAGIC: &[u8; 8] = b"kickpkg1";

/// One package file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the directory.
    pub path: String,
    /// What it was like when it was read; one that will not be believed again has no `ctime`.
    pub stamp: Stamp,
    /// Its digest.
    pub sha256: Sha256,
    /// What its kind sorts packages by: an architecture.
    pub label: String,
    /// Lengths of its texts within those of its block.
    pub lengths: [u32; MAX_PARTS],
}

/// A block to be written: its entries, and of each part the texts one after the other, plain length and compressed.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// In the order of their paths.
    pub entries: Vec<Entry>,
    /// Of each part.
    pub texts: Vec<Packed>,
}

/// Compressed text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Length of the text, bytes.
    pub plain: u32,
    /// It, compressed: a gzip member or a zstd frame that can follow others.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Section {
    at: u64,
    length: u32,
    plain: u32,
    digest: [u8; 16],
}

/// A cache that is open for reading, by several threads at a time.
#[derive(Debug)]
pub struct Cache {
    file: File,
    parts: usize,
    /// Of each block its table, then its parts.
    sections: Vec<Section>,
    /// Entries in all blocks together.
    entries: u64,
}

impl Cache {
    /// Opens the file at `path`. `None` if there is none, or none that this recipe made.
    pub fn open(path: &Path, recipe: &str, parts: usize) -> Option<Self> {
        let file = File::open(path).ok()?;
        let size = file.metadata().ok()?.len();
        let mut trailer = [0; TRAILER];
        file.read_exact_at(&mut trailer, size.checked_sub(TRAILER as u64)?).ok()?;
        let mut trailer = Reader(&trailer);
        let (at, length) = (trailer.u64()?, trailer.u64()?);
        let digest = trailer.take(32)?;
        if trailer.0 != MAGIC || at.checked_add(length)? != size - TRAILER as u64 {
            return None;
        }
        let mut index = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(&mut index, at).ok()?;
        if index_digest(recipe, &index).as_slice() != digest {
            return None;
        }
        let mut index = Reader(&index);
        let (entries, mut sections) = (index.u64()?, Vec::new());
        while !index.0.is_empty() {
            let section = Section { at: index.u64()?, length: index.u32()?, plain: index.u32()?, digest: index.take(16)?.try_into().ok()? };
            let fits = section.at.checked_add(u64::from(section.length))? <= at && section.plain <= MAX_SECTION;
            sections.push(fits.then_some(section)?);
        }
        sections.len().is_multiple_of(parts + 1).then_some(Self { file, parts, sections, entries })
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.sections.len() / (self.parts + 1)
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The entries of a block. `None` if they are damaged.
    pub fn table(&self, block: usize) -> Option<Vec<Entry>> {
        let bytes = self.read(self.sections.get(block * (self.parts + 1))?)?;
        let mut reader = Reader(&bytes);
        let mut entries = Vec::new();
        while !reader.0.is_empty() {
            entries.push(reader.entry()?);
        }
        Some(entries)
    }

    /// The texts of a block. `None` if they are damaged.
    pub fn texts(&self, block: usize, part: usize) -> Option<Packed> {
        let section = self.sections.get(block * (self.parts + 1) + 1 + part)?;
        Some(Packed { plain: section.plain, bytes: self.read(section)? })
    }

    /// Stands for all texts: equal digests, equal metadata.
    pub fn content(&self) -> Sha256 {
        let mut hasher = Hasher::new();
        for (number, section) in self.sections.iter().enumerate() {
            // Tables hold stamps, which say nothing of the content.
            if !number.is_multiple_of(self.parts + 1) {
                hasher.update(section.digest);
            }
        }
        Sha256::new(hasher.finalize().into())
    }

    fn read(&self, section: &Section) -> Option<Vec<u8>> {
        let mut bytes = vec![0; section.length as usize];
        self.file.read_exact_at(&mut bytes, section.at).ok()?;
        (digest_of(&bytes) == section.digest).then_some(bytes)
    }
}

/// Writes a cache, block by block.
pub struct Writer {
    out: BufWriter<NamedTempFile>,
    parts: usize,
    at: u64,
    sections: Vec<Section>,
    entries: u64,
}

impl Writer {
    /// Begins beside `path`.
    ///
    /// # Errors
    /// What the system said.
    pub fn beside(path: &Path, parts: usize) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let file = NamedTempFile::with_prefix_in(OURS, folder)?;
        Ok(Self { out: BufWriter::with_capacity(1 << 16, file), parts, at: 0, sections: Vec::new(), entries: 0 })
    }

    /// Adds a block.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn push(&mut self, block: &Block) -> io::Result<()> {
        let mut table = Vec::new();
        block.entries.iter().for_each(|entry| write_entry(&mut table, entry));
        self.entries += block.entries.len() as u64;
        let plain = u32::try_from(table.len()).unwrap_or(u32::MAX);
        self.section(&table, plain)?;
        block.texts.iter().try_for_each(|packed| self.section(&packed.bytes, packed.plain))
    }

    fn section(&mut self, bytes: &[u8], plain: u32) -> io::Result<()> {
        let too_long = |_| io::Error::other("the packages of one block have more than 4 GiB of metadata");
        let length = u32::try_from(bytes.len()).map_err(too_long)?;
        self.out.write_all(bytes)?;
        self.sections.push(Section { at: self.at, length, plain, digest: digest_of(bytes) });
        self.at += u64::from(length);
        Ok(())
    }

    /// Gives the file its name and opens it for reading.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn finish(mut self, path: &Path, recipe: &str) -> io::Result<Cache> {
        let mut index = self.entries.to_le_bytes().to_vec();
        for section in &self.sections {
            index.extend(section.at.to_le_bytes());
            index.extend(section.length.to_le_bytes());
            index.extend(section.plain.to_le_bytes());
            index.extend(section.digest);
        }
        self.out.write_all(&index)?;
        for bytes in [&self.at.to_le_bytes()[..], &(index.len() as u64).to_le_bytes(), &index_digest(recipe, &index), MAGIC] {
            self.out.write_all(bytes)?;
        }
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?.persist(path).map_err(|error| error.error)?;
        Ok(Cache { file, parts: self.parts, sections: self.sections, entries: self.entries })
    }
}

fn digest_of(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Hasher::digest(bytes)[..16]);
    short
}

fn index_digest(recipe: &str, index: &[u8]) -> [u8; 32] {
    Hasher::new().chain_update(recipe).chain_update([0]).chain_update(index).finalize().into()
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    let Entry { path, stamp, sha256, label, lengths } = entry;
    for text in [path, label] {
        // Paths and labels are far shorter: the system's limit is 4096.
        out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(text.bytes().take(usize::from(u16::MAX)));
    }
    out.extend(stamp.size.to_le_bytes());
    out.extend(stamp.mtime.to_le_bytes());
    out.extend(stamp.ctime.to_le_bytes());
    out.extend(stamp.inode.to_le_bytes());
    out.extend(sha256.bytes());
    lengths.iter().for_each(|length| out.extend(length.to_le_bytes()));
}

/// Takes numbers and texts off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
        String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()
    }

    fn entry(&mut self) -> Option<Entry> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(first: u64) -> Block {
        let entry = |number: u64| Entry {
            path: format!("a/{number}.deb"),
            stamp: Stamp { size: number, mtime: 2, ctime: 3, inode: 4 },
            sha256: Sha256::of(&number.to_le_bytes()),
            label: "amd64".to_owned(),
            lengths: [5, 0, 0],
        };
        Block { entries: (first..first + 3).map(entry).collect(), texts: vec![Packed { plain: 15, bytes: vec![7; 9] }] }
    }

    fn written(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("packages.cache");
        let mut writer = Writer::beside(&path, 1).unwrap();
        writer.push(&block(0)).unwrap();
        writer.push(&block(3)).unwrap();
        writer.finish(&path, "recipe").unwrap();
        path
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&written(folder.path()), "recipe", 1).unwrap();
        assert_eq!((cache.blocks(), cache.entries()), (2, 6));
        assert_eq!(cache.table(1).unwrap(), block(3).entries);
        assert_eq!(cache.texts(0, 0).unwrap(), block(0).texts[0]);
        assert_eq!(cache.table(2), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_of_another_recipe_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        assert!(Cache::open(&path, "another", 1).is_none());
        assert!(Cache::open(&folder.path().join("none"), "recipe", 1).is_none());
    }

    proptest! {
        #[test]
        fn a_damaged_cache_is_told_and_never_believed(at in 0usize..1000, value: u8, cut in 0usize..1000) {
            let folder = tempfile::tempdir().unwrap();
            let path = written(folder.path());
            let good = std::fs::read(&path).unwrap();
            let (at, cut) = (at % good.len(), cut % good.len());
            let mut bad = good.clone();
            bad[at] ^= value;
            std::fs::write(&path, &bad).unwrap();
            if let Some(cache) = Cache::open(&path, "recipe", 1) {
                for (number, first) in [(0, 0), (1, 3)] {
                    prop_assert!(cache.table(number).is_none_or(|table| table == block(first).entries));
                    prop_assert!(cache.texts(number, 0).is_none_or(|texts| texts == block(first).texts[0]));
                }
            }
            std::fs::write(&path, &good[..cut]).unwrap();
            prop_assert!(Cache::open(&path, "recipe", 1).is_none());
            std::fs::write(&path, &good[cut..]).unwrap();
            if let Some(cache) = Cache::open(&path, "recipe", 1) {
                prop_assert!(cache.table(0).is_none_or(|table| table == block(0).entries));
            }
        }
    }
}
