//! The blocks of the cache as the last run left them, handed out in the order of a new listing.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::cache::{Cache, Entry, MAX_PARTS, Packed};
use super::kind::Kind;
use crate::repo::compress::decompress_own;

/// Reads a cache from front to end.
pub struct Olds<'a> {
    cache: Option<&'a Cache>,
    next: usize,
    held: VecDeque<Arc<Old>>,
}

/// One block.
pub struct Old {
    /// Which one it was.
    pub number: usize,
    /// How long it is in the file, bytes.
    pub size: u64,
    /// Its entries, in the order of their paths.
    pub entries: Vec<Entry>,
    texts: OnceLock<Option<Texts>>,
}

/// The texts of a block, unpacked.
struct Texts {
    parts: Vec<Vec<u8>>,
    /// Of each entry, where its texts begin.
    starts: Vec<[usize; MAX_PARTS]>,
}

impl<'a> Olds<'a> {
    /// From the front.
    pub fn new(cache: Option<&'a Cache>) -> Self {
        Self { cache, next: 0, held: VecDeque::new() }
    }

    /// The blocks that may hold paths from `first` to `last`; both grow from call to call.
    pub fn between(&mut self, first: &str, last: &str) -> Vec<Arc<Old>> {
        let Some(cache) = self.cache else { return Vec::new() };
        while self.held.front().is_some_and(|old| old.last() < first) {
            self.held.pop_front();
        }
        while self.next < cache.blocks() && self.held.back().is_none_or(|old| old.last() < last) {
            let number = self.next;
            self.next += 1;
            let Some(entries) = cache.table(number).filter(|entries| !entries.is_empty()) else { continue };
            let old = Old { number, size: cache.size(number), entries, texts: OnceLock::new() };
            if old.last() >= first {
                self.held.push_back(Arc::new(old));
            }
        }
        self.held.iter().filter(|old| old.first() <= last).cloned().collect()
    }
}

impl Old {
    fn first(&self) -> &str {
        self.entries.first().map_or("", |entry| &entry.path)
    }

    fn last(&self) -> &str {
        self.entries.last().map_or("", |entry| &entry.path)
    }

    /// The entry of a path, with its texts. `None` if it has none or they are damaged.
    pub fn find(&self, cache: &Cache, kind: &dyn Kind, path: &str) -> Option<(&Entry, Vec<&[u8]>)> {
        let at = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        let entry = &self.entries[at];
        let texts = self.texts.get_or_init(|| self.unpack(cache, kind)).as_ref()?;
        let mut found = Vec::with_capacity(texts.parts.len());
        for (part, bytes) in texts.parts.iter().enumerate() {
            let start = texts.starts[at][part];
            found.push(bytes.get(start..start + entry.lengths[part] as usize)?);
        }
        Some((entry, found))
    }

    fn unpack(&self, cache: &Cache, kind: &dyn Kind) -> Option<Texts> {
        let parts = (0..kind.parts()).map(|part| unpack(&cache.packed(self.number, part)?, kind)).collect::<Option<_>>()?;
        Some(Texts { parts, starts: starts(&self.entries) })
    }
}

/// Where each entry's texts begin.
pub fn starts(entries: &[Entry]) -> Vec<[usize; MAX_PARTS]> {
    let mut at = [0; MAX_PARTS];
    let mut starts = Vec::with_capacity(entries.len());
    for entry in entries {
        starts.push(at);
        at.iter_mut().zip(entry.lengths).for_each(|(at, length)| *at += length as usize);
    }
    starts
}

/// The text that was compressed. The cache has checked by digest that it is what was written.
pub fn unpack(packed: &Packed, kind: &dyn Kind) -> Option<Vec<u8>> {
    decompress_own(&packed.bytes, kind.compression(), packed.length as usize).ok()
}
