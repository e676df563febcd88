//! Brings what is known of a directory's packages up to date: reads what is new or changed, on all processors, and nothing else.

use std::cmp::Reverse;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::cache::{Block, Cache, Entry, MAX_PARTS, Raw, Text, Writer};
use super::kind::{Kind, Told};
use super::old::{Old, Olds};
use super::reader::{Reader, SMALL, Trouble};
use super::scan::{self, Found};
use crate::mirror::error::Incomplete;
use crate::mirror::{Error, Result};
use crate::repo::compress::Compressors;
use crate::sys::atomic::named;
use crate::sys::in_order::in_order;
use crate::sys::objects::ObjectStore;

/// So much of the cache is looked at in a row that seems to be as it was, bytes: to hand over less takes longer than to look at it.
const ALIKE: u64 = 1 << 16;

/// So many pairs of short packages are read in a row.
const PAIRS: usize = 16;

/// A directory and how to read it.
pub struct Indexer<'a> {
    /// The directory.
    pub root: &'a Path,
    /// What its packages are.
    pub kind: &'a dyn Kind,
    /// Where packages are copied to; `None`: they are only read.
    pub store: Option<&'a ObjectStore>,
    /// Where what is known of them is kept.
    pub cache: &'a Path,
    /// Files that are no packages are left out, and not an error.
    pub leave_out: bool,
}

/// A directory whose packages are known.
#[derive(Debug)]
pub struct Indexed {
    /// What is known of them.
    pub cache: Cache,
    /// True if that is not what was known before.
    pub is_changed: bool,
    /// Their sizes together, bytes.
    pub bytes: u64,
    /// Packages that were read, the others being known.
    pub read: u64,
    /// Sizes of those together, bytes.
    pub read_bytes: u64,
    /// Files that are no packages, and why.
    pub left_out: Vec<String>,
}

/// The files of one block, and the former blocks that they may have been in.
struct Task<'f> {
    files: &'f [Found],
    old: Vec<Arc<Old>>,
    /// The files are those of the one former block.
    is_alike: bool,
}

impl<'f> Task<'f> {
    fn new(files: &'f [Found], olds: &mut Olds<'_>) -> Self {
        let old = match (files.first(), files.last()) {
            (Some(first), Some(last)) => olds.between(&first.path, &last.path),
            _ => Vec::new(),
        };
        let same = |(file, entry): (&Found, &Entry)| entry.path == file.path && entry.stamp == file.stamp;
        let is_alike = matches!(old.as_slice(), [old] if old.entries.len() == files.len() && files.iter().zip(&old.entries).all(same));
        Self { files, old, is_alike }
    }

    /// The one former block that had these very files.
    fn alike(&self) -> Option<&Old> {
        self.old.first().filter(|_| self.is_alike).map(Arc::as_ref)
    }
}

/// What came of one block.
enum Done {
    Same(Raw),
    New(Made),
}

/// A block that was made anew.
#[derive(Default)]
struct Made {
    block: Block,
    read: u64,
    read_bytes: u64,
    bad: Vec<String>,
}

/// A package, and whether it was read just now.
type Outcome = std::result::Result<(Entry, Told, bool), Trouble>;

impl Indexer<'_> {
    /// Reads the files that a scan of the directory found; the scan comes before, since what lies there tells which kind it is.
    ///
    /// # Errors
    /// [`Error::Incomplete`] with every file that is no package, unless they may be left out.
    pub fn run(&self, found: &[Found]) -> Result<Indexed> {
        let (recipe, parts) = (format!("{} {}", self.kind.recipe(), self.root.display()), self.kind.parts());
        let known = Cache::open(self.cache, &recipe, parts);
        let failed = |error| Error::from(named(error, "write the cache", self.cache));
        let reader = Reader::new(self.root, self.kind, self.store)?;
        let mut writer = Writer::beside(self.cache).map_err(failed)?;
        let mut olds = Olds::new(known.as_ref());
        let (mut bad, mut same, mut read, mut read_bytes) = (Vec::new(), 0, 0, 0);
        let blocks = scan::blocks(found);
        let compressors = Compressors::new(self.kind.compression());
        let jobs = batches(blocks.iter().map(|files| Task::new(files, &mut olds)));
        let make = |tasks: Vec<Task<'_>>| -> io::Result<Vec<Done>> {
            tasks.iter().map(|task| self.block(task, known.as_ref(), &reader, &compressors)).collect()
        };
        in_order(jobs, make, |batch| -> Result<()> {
            for done in batch? {
                match done {
                    Done::Same(raw) => {
                        writer.copy(raw).map_err(failed)?;
                        same += 1;
                    }
                    Done::New(made) => {
                        writer.push(made.block).map_err(failed)?;
                        bad.extend(made.bad);
                        read += made.read;
                        read_bytes += made.read_bytes;
                    }
                }
            }
            Ok(())
        })?;
        if !bad.is_empty() && !self.leave_out {
            return Err(Error::Incomplete(Box::new(Incomplete { files: bad, remedy: REMEDY.to_owned(), ..Incomplete::default() })));
        }
        let (is_changed, cache) = match known {
            Some(known) if same == blocks.len() && known.blocks() == same => (false, known),
            former => {
                let cache = writer.finish(self.cache, &recipe).map_err(failed)?;
                let is_changed = former.as_ref().is_none_or(|former| former.content() != cache.content());
                if let Some(former) = former {
                    // The former file goes when it is closed: the disk takes back its room while the metadata is written.
                    rayon::spawn(move || drop(former));
                }
                (is_changed, cache)
            }
        };
        let bytes = found.iter().map(|file| file.stamp.size).sum();
        Ok(Indexed { cache, is_changed, bytes, read, read_bytes, left_out: bad })
    }

    fn block(&self, task: &Task<'_>, known: Option<&Cache>, reader: &Reader<'_>, compressors: &Compressors) -> io::Result<Done> {
        if let (Some(old), Some(known)) = (task.alike(), known)
            && old.entries.iter().all(|entry| self.has_copy(entry))
            && let Some(raw) = known.raw(old.number)
        {
            return Ok(Done::Same(raw));
        }
        let tell = |pair| self.tell(pair, &task.old, known, reader);
        // Two are hashed together as far as the shorter one goes: neighbours by size.
        let mut by_size: Vec<&Found> = task.files.iter().collect();
        by_size.sort_by_key(|file| Reverse(file.stamp.size));
        // Short packages take less time than to hand them over one by one; of long ones no processor shall wait for another's.
        let together = if by_size.first().is_none_or(|file| file.stamp.size <= SMALL) { PAIRS } else { 1 };
        let jobs = by_size.par_chunks(2).with_min_len(together).with_max_len(together);
        let mut told: Vec<(&Found, Outcome)> = jobs.flat_map_iter(tell).collect();
        told.sort_unstable_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        let mut made = Made::default();
        let length =
            |part: usize| told.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).map(|(_, told, _)| told.parts[part].len()).sum();
        let mut texts: Vec<Vec<u8>> = (0..self.kind.parts()).map(|part| Vec::with_capacity(length(part))).collect();
        for (file, outcome) in told {
            let (mut entry, told, is_new) = match outcome {
                Ok(told) => told,
                Err(Trouble::Disk(error)) => return Err(error),
                Err(Trouble::Bad(problem)) => {
                    made.bad.push(format!("{}: {problem}", file.path));
                    continue;
                }
            };
            entry.lengths = [0; MAX_PARTS];
            for (part, text) in told.parts.iter().enumerate() {
                entry.lengths[part] = u32::try_from(text.len()).map_err(io::Error::other)?;
                texts[part].extend_from_slice(text);
            }
            made.read += u64::from(is_new);
            made.read_bytes += if is_new { entry.stamp.size } else { 0 };
            made.block.entries.push(entry);
        }
        let pack = |plain: Vec<u8>| Ok(Text { packed: compressors.compress(&plain)?, plain });
        made.block.texts = texts.into_par_iter().map(pack).collect::<io::Result<_>>()?;
        Ok(Done::New(made))
    }

    fn has_copy(&self, entry: &Entry) -> bool {
        self.store.is_none_or(|store| store.contains(entry.sha256, entry.stamp.size))
    }

    /// What is remembered or read of one file or two.
    fn tell<'f>(&self, pair: &[&'f Found], old: &[Arc<Old>], known: Option<&Cache>, reader: &Reader<'_>) -> Vec<(&'f Found, Outcome)> {
        let remembered = |file: &Found| known.and_then(|known| old.iter().find_map(|old| self.remember(old, known, file)));
        let (mut told, mut unknown) = (Vec::with_capacity(2), Vec::new());
        for &file in pair {
            match remembered(file) {
                Some((entry, texts)) => told.push((file, Ok((entry, texts, false)))),
                None => unknown.push(file),
            }
        }
        let read = reader.read(&unknown).into_iter().map(|read| read.map(|(entry, texts)| (entry, texts, true)));
        told.extend(unknown.iter().copied().zip(read));
        told
    }

    /// What is known of a file that is what it was when it was read, and whose copy is there.
    fn remember(&self, old: &Old, known: &Cache, file: &Found) -> Option<(Entry, Told)> {
        let (entry, texts) = old.find(known, self.kind, &file.path)?;
        let told = Told { parts: texts.into_iter().map(<[u8]>::to_vec).collect(), label: entry.label.clone() };
        (entry.stamp == file.stamp && self.has_copy(entry)).then(|| (entry.clone(), told))
    }
}

const REMEDY: &str = "to do: remove or replace these files, or leave them out with --allow-missing";

/// One block at a time that has to be made, since its packages are work for all processors; several that seem to be as they were.
fn batches<'f>(tasks: impl Iterator<Item = Task<'f>>) -> impl Iterator<Item = Vec<Task<'f>>> {
    let mut tasks = tasks.peekable();
    std::iter::from_fn(move || {
        let first = tasks.next()?;
        let size = |task: &Task<'_>| task.alike().map(|old| old.size);
        let mut together = size(&first);
        let mut batch = vec![first];
        while let Some(sum) = together.filter(|sum| *sum < ALIKE) {
            together = tasks.peek().and_then(size).map(|more| sum + more);
            batch.extend(tasks.next_if(|task| task.is_alike));
        }
        Some(batch)
    })
}

#[cfg(test)]
#[path = "indexer_tests.rs"]
mod tests;
