//! What is known of a directory's packages: for each file its stamp, its digest and its texts, in blocks.
//!
//! ```text
//! block    table | texts of part 1, compressed | texts of part 2 ...      as often as there are blocks
//! index    of each block: where it is, lengths and digests of table and texts, its labels
//! trailer  where the index is, its length, its digest together with the recipe
//! ```
//! The compressed texts of a block are at the same time the piece that stands in the published index: a rebuild copies the blocks in which
//! nothing changed. Everything is checked by digest when it is read; what was just written may be at hand without that. A file that is short,
//! damaged, of another recipe or of another program is as good as none: packages are read anew. It is written beside and renamed, without
//! fsync, for the same reason.

mod codec;
mod writer;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use codec::{LEAST_ENTRY, Reader, digest_of, index_digest};
use sha2::{Digest, Sha256 as Hasher};
pub use writer::Writer;

use super::scan::Stamp;
use crate::domain::checksum::Sha256;

/// Parts of an RPM package's metadata: primary, filelists, other. A Debian package has one.
pub const MAX_PARTS: usize = 3;
/// No table and no block of texts is longer, bytes.
const MAX_SECTION: u32 = 1 << 30;
const TRAILER: usize = 8 + 8 + 32 + 8;
/// A listing that is no longer, bytes, is kept at hand when it was just written, and need not be read again to be published.
const KEPT: usize = 2 << 20;
/// So much text is unpacked in a row, bytes: to hand over less takes longer than to unpack it.
const RUN: u64 = 1 << 16;
const MAGIC: &[u8; 8] = b"kickpkg2";

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

/// A block to be written: its entries, and of each part the texts one after the other.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// In the order of their paths.
    pub entries: Vec<Entry>,
    /// Of each part.
    pub texts: Vec<Text>,
}

/// The texts of a block's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// As they are.
    pub plain: Vec<u8>,
    /// Compressed.
    pub packed: Vec<u8>,
}

/// Compressed text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Length of the text, bytes.
    pub length: u32,
    /// It, compressed: a gzip member or a zstd frame that can follow others.
    pub bytes: Vec<u8>,
}

/// A block as it lies in the file, checked.
pub struct Raw {
    place: Place,
    bytes: Vec<u8>,
}

/// Where a block lies, and what is in it.
#[derive(Clone, Debug)]
struct Place {
    at: u64,
    /// Of its table, then of its parts, one after the other.
    sections: Vec<Section>,
    entries: u32,
    labels: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Section {
    length: u32,
    plain: u32,
    digest: [u8; 16],
}

impl Place {
    /// How long the block is, bytes.
    fn length(&self) -> u64 {
        self.sections.iter().map(|section| u64::from(section.length)).sum()
    }
}

/// A cache that is open for reading, by several threads at a time.
#[derive(Debug)]
pub struct Cache {
    file: File,
    places: Vec<Place>,
    /// Blocks that were just written.
    kept: HashMap<usize, Kept>,
}

/// A block at hand.
#[derive(Debug)]
enum Kept {
    /// One that was made: its texts.
    Made(Vec<Text>),
    /// One that was carried over, as it lies in the file.
    Carried(Vec<u8>),
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
        let (mut index, mut places) = (Reader(&index), Vec::new());
        while !index.0.is_empty() {
            let place = index.place(parts)?;
            let fits = place.at.checked_add(place.length())? <= at && place.sections.iter().all(|section| section.plain <= MAX_SECTION);
            places.push(fits.then_some(place)?);
        }
        Some(Self { file, places, kept: HashMap::new() })
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.places.len()
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.places.iter().map(|place| u64::from(place.entries)).sum()
    }

    /// The labels of a block's entries.
    pub fn labels(&self, block: usize) -> impl Iterator<Item = &str> {
        self.places.get(block).into_iter().flat_map(|place| place.labels.iter().map(String::as_str))
    }

    /// How long a block is in the file, bytes.
    pub fn size(&self, block: usize) -> u64 {
        self.places.get(block).map_or(0, Place::length)
    }

    /// All blocks, in runs whose texts of a part are worth to be unpacked in a row.
    pub fn runs(&self, part: usize) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let (mut end, mut plain) = (start, 0);
            while end < self.places.len() && plain < RUN {
                plain += self.places[end].sections.get(1 + part).map_or(0, |section| u64::from(section.plain));
                end += 1;
            }
            let run = start..end;
            start = end;
            (!run.is_empty()).then_some(run)
        })
    }

    /// The entries of a block. `None` if they are damaged.
    pub fn table(&self, block: usize) -> Option<Vec<Entry>> {
        let (bytes, _) = self.section(block, 0)?;
        let mut reader = Reader(&bytes);
        let count = self.places[block].entries as usize;
        let mut entries = Vec::with_capacity(count.min(bytes.len() / LEAST_ENTRY));
        while !reader.0.is_empty() {
            entries.push(reader.entry()?);
        }
        (entries.len() == count).then_some(entries)
    }

    /// What a block's packages have in a part, plain and compressed. `None` if it is damaged, or `unpack` says so.
    pub fn text(&self, block: usize, part: usize, unpack: impl FnOnce(&Packed) -> Option<Vec<u8>>) -> Option<Cow<'_, Text>> {
        if let Some(Kept::Made(texts)) = self.kept.get(&block) {
            return texts.get(part).map(Cow::Borrowed);
        }
        let packed = self.packed(block, part)?;
        Some(Cow::Owned(Text { plain: unpack(&packed)?, packed: packed.bytes }))
    }

    /// The same, compressed. `None` if it is damaged.
    pub fn packed(&self, block: usize, part: usize) -> Option<Packed> {
        let (bytes, length) = self.section(block, 1 + part)?;
        Some(Packed { length, bytes })
    }

    /// A block as it is. `None` if any of it is damaged.
    pub fn raw(&self, block: usize) -> Option<Raw> {
        let place = self.places.get(block)?;
        let bytes = self.read(place.at, place.length())?;
        let mut rest = bytes.as_slice();
        for section in &place.sections {
            let (some, behind) = rest.split_at_checked(section.length as usize)?;
            (digest_of(some) == section.digest).then_some(())?;
            rest = behind;
        }
        Some(Raw { place: place.clone(), bytes })
    }

    /// Stands for all texts: equal digests, equal metadata.
    pub fn content(&self) -> Sha256 {
        let mut hasher = Hasher::new();
        // Tables hold stamps, which say nothing of the content.
        for section in self.places.iter().flat_map(|place| place.sections.iter().skip(1)) {
            hasher.update(section.digest);
        }
        Sha256::new(hasher.finalize().into())
    }

    /// A section of a block, with the length of its text.
    fn section(&self, block: usize, number: usize) -> Option<(Vec<u8>, u32)> {
        let place = self.places.get(block)?;
        let section = place.sections.get(number)?;
        let before: u64 = place.sections[..number].iter().map(|section| u64::from(section.length)).sum();
        if let Some(Kept::Carried(bytes)) = self.kept.get(&block) {
            let (_, rest) = bytes.split_at_checked(usize::try_from(before).ok()?)?;
            return Some((rest.get(..section.length as usize)?.to_vec(), section.plain));
        }
        let bytes = self.read(place.at + before, u64::from(section.length))?;
        (digest_of(&bytes) == section.digest).then_some((bytes, section.plain))
    }

    fn read(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
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
        Block { entries: (first..first + 3).map(entry).collect(), texts: vec![Text { plain: vec![5; 15], packed: vec![7; 9] }] }
    }

    fn packed() -> Packed {
        Packed { length: 15, bytes: vec![7; 9] }
    }

    fn written(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("packages.cache");
        let mut writer = Writer::beside(&path).unwrap();
        writer.push(block(0)).unwrap();
        writer.push(block(3)).unwrap();
        writer.finish(&path, "recipe").unwrap();
        path
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&written(folder.path()), "recipe", 1).unwrap();
        assert_eq!((cache.blocks(), cache.entries()), (2, 6));
        assert_eq!(cache.table(1).unwrap(), block(3).entries);
        assert_eq!(cache.packed(0, 0).unwrap(), packed());
        assert_eq!(cache.text(0, 0, |_| Some(vec![5; 15])).unwrap().as_ref(), &block(0).texts[0]);
        assert_eq!(cache.text(0, 0, |_| None), None);
        assert_eq!(cache.table(2), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(cache.labels(1).collect::<Vec<_>>(), ["amd64"]);
    }

    /// A block whose one text has this length.
    fn sized(first: u64, length: usize) -> Block {
        Block { texts: vec![Text { plain: vec![first as u8; length], packed: vec![first as u8; 9] }], ..block(first) }
    }

    #[test]
    fn runs_are_in_order_and_end_where_there_is_enough_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packages.cache");
        let mut writer = Writer::beside(&path).unwrap();
        let half = RUN as usize / 2;
        for (number, length) in [half, half, 1, 3 * half, half, 1].into_iter().enumerate() {
            writer.push(sized(number as u64 * 3, length)).unwrap();
        }
        let cache = writer.finish(&path, "recipe").unwrap();
        assert_eq!(cache.runs(0).collect::<Vec<_>>(), [0..2, 2..4, 4..6]);
    }

    #[test]
    fn what_is_too_much_to_be_kept_is_read_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packages.cache");
        let mut writer = Writer::beside(&path).unwrap();
        writer.push(sized(0, KEPT / 2)).unwrap();
        writer.push(sized(3, KEPT / 2)).unwrap();
        writer.push(sized(6, 100)).unwrap();
        let cache = writer.finish(&path, "recipe").unwrap();
        let text = |block| cache.text(block, 0, |packed| Some(packed.bytes.clone())).unwrap().into_owned().plain;
        assert_eq!([0, 1, 2].map(text), [vec![0; 9], vec![3; 9], vec![6; 9]]);
    }

    #[test]
    fn a_table_that_does_not_hold_what_the_index_says_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = Cache::open(&written(folder.path()), "recipe", 1).unwrap();
        cache.places[0].entries = u32::MAX;
        assert_eq!(cache.table(0), None);
    }

    #[test]
    fn a_block_is_carried_over_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let old = Cache::open(&written(folder.path()), "recipe", 1).unwrap();
        let path = folder.path().join("new.cache");
        let mut writer = Writer::beside(&path).unwrap();
        writer.push(block(9)).unwrap();
        writer.copy(old.raw(1).unwrap()).unwrap();
        let kept = writer.finish(&path, "recipe").unwrap();
        assert_eq!(kept.text(0, 0, |_| None).unwrap().as_ref(), &block(9).texts[0], "what was written is at hand");
        assert_eq!(kept.text(1, 0, |_| None), None, "what was carried over has to be unpacked");
        assert_eq!((kept.table(1), kept.packed(1, 0)), (old.table(1), old.packed(1, 0)));
        let new = Cache::open(&path, "recipe", 1).unwrap();
        assert_eq!((new.entries(), new.table(1), new.packed(1, 0)), (6, old.table(1), old.packed(1, 0)));
        assert_eq!(new.labels(1).collect::<Vec<_>>(), ["amd64"]);
        assert!(old.raw(2).is_none());
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
                    prop_assert!(cache.packed(number, 0).is_none_or(|texts| texts == packed()));
                    prop_assert_eq!(cache.raw(number).is_some(), cache.table(number).is_some() && cache.packed(number, 0).is_some());
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
