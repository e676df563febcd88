//! Brings what is known of a directory's packages up to date: reads what is new or changed, on all processors, and nothing else.

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::cache::{Block, Cache, Entry, MAX_PARTS, Packed, Writer};
use super::kind::{Kind, Read, Told};
use super::old::{Old, Olds};
use super::scan::{self, Found, Stamp};
use crate::domain::checksum::Sha256;
use crate::mirror::error::Incomplete;
use crate::mirror::{Error, Result};
use crate::repo::compress::Compressors;
use crate::sys::atomic::named;
use crate::sys::in_order::in_order;
use crate::sys::objects::{ObjectStore, digest_of_file};
use crate::sys::sha256::digest_two;

/// Up to this size a package is read in one go, bytes. Of a larger one never more is in memory than the buffer it is hashed through.
const SMALL: u64 = 512 << 10;
/// How often a file is read that changes under the reading.
const TRIES: usize = 3;
/// A file that changed so shortly before it was read may change once more without a later time: file systems' clocks are coarse.
const UNSETTLED: Duration = Duration::from_secs(1);

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
    /// Their sizes together, bytes.
    pub bytes: u64,
    /// Packages that were read, the others being known.
    pub read: u64,
    /// Sizes of those together, bytes.
    pub read_bytes: u64,
    /// Files that are no packages, and why.
    pub left_out: Vec<String>,
}

/// What came of one block.
#[derive(Default)]
struct Done {
    block: Block,
    same: bool,
    read: u64,
    read_bytes: u64,
    bad: Vec<String>,
}

/// A package, and whether it was read just now.
type Outcome = std::result::Result<(Entry, Told, bool), Trouble>;

/// An open file, and where it was hashed already: since when, what it was like, its digest.
struct Opened {
    file: File,
    known: Option<(SystemTime, Stamp, Sha256)>,
}

/// Why a package was not read.
enum Trouble {
    /// It is none.
    Bad(String),
    /// Our own disk.
    Disk(io::Error),
}

impl Indexer<'_> {
    /// Reads the files that a scan of the directory found; the scan comes before, since what lies there tells which kind it is.
    ///
    /// # Errors
    /// [`Error::Incomplete`] with every file that is no package, unless they may be left out.
    pub fn run(&self, found: &[Found]) -> Result<Indexed> {
        let (recipe, parts) = (format!("{} {}", self.kind.recipe(), self.root.display()), self.kind.parts());
        let known = Cache::open(self.cache, &recipe, parts);
        let failed = |error| Error::from(named(error, "write the cache", self.cache));
        let mut writer = Writer::beside(self.cache, parts).map_err(failed)?;
        let mut olds = Olds::new(known.as_ref());
        let (mut bad, mut same, mut read, mut read_bytes) = (Vec::new(), 0, 0, 0);
        let blocks = scan::blocks(found);
        let compressors = Compressors::new(self.kind.compression());
        let jobs = blocks.iter().map(|files| (*files, around(&mut olds, files)));
        let make = |(files, old): (&[Found], Vec<Arc<Old>>)| self.block(files, &old, known.as_ref(), &compressors);
        in_order(jobs, make, |done| -> Result<()> {
            let done = done?;
            writer.push(&done.block).map_err(failed)?;
            bad.extend(done.bad);
            same += usize::from(done.same);
            read += done.read;
            read_bytes += done.read_bytes;
            Ok(())
        })?;
        if !bad.is_empty() && !self.leave_out {
            return Err(Error::Incomplete(Box::new(Incomplete { files: bad, remedy: REMEDY.to_owned(), ..Incomplete::default() })));
        }
        let cache = match known {
            Some(known) if same == blocks.len() && known.blocks() == same => known,
            _ => writer.finish(self.cache, &recipe).map_err(failed)?,
        };
        let bytes = found.iter().map(|file| file.stamp.size).sum();
        Ok(Indexed { cache, bytes, read, read_bytes, left_out: bad })
    }

    fn block(&self, files: &[Found], old: &[Arc<Old>], known: Option<&Cache>, compressors: &Compressors) -> io::Result<Done> {
        if let ([old], Some(known)) = (old, known)
            && old.entries.len() == files.len()
            && files.iter().zip(&old.entries).all(|(file, entry)| self.believes(entry, file))
            && let Some(texts) = old.packed(known, self.kind.parts())
        {
            return Ok(Done { block: Block { entries: old.entries.clone(), texts }, same: true, ..Done::default() });
        }
        let told: Vec<(&Found, Outcome)> = files.par_chunks(2).flat_map_iter(|pair| self.tell(pair, old, known)).collect();
        let mut done = Done::default();
        let length =
            |part: usize| told.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).map(|(_, told, _)| told.parts[part].len()).sum();
        let mut texts: Vec<Vec<u8>> = (0..self.kind.parts()).map(|part| Vec::with_capacity(length(part))).collect();
        for (file, outcome) in told {
            let (mut entry, told, is_new) = match outcome {
                Ok(told) => told,
                Err(Trouble::Disk(error)) => return Err(error),
                Err(Trouble::Bad(problem)) => {
                    done.bad.push(format!("{}: {problem}", file.path));
                    continue;
                }
            };
            entry.lengths = [0; MAX_PARTS];
            for (part, text) in told.parts.iter().enumerate() {
                entry.lengths[part] = u32::try_from(text.len()).map_err(io::Error::other)?;
                texts[part].extend_from_slice(text);
            }
            done.read += u64::from(is_new);
            done.read_bytes += if is_new { entry.stamp.size } else { 0 };
            done.block.entries.push(entry);
        }
        let pack = |text: &Vec<u8>| {
            let plain = u32::try_from(text.len()).map_err(io::Error::other)?;
            Ok(Packed { plain, bytes: compressors.compress(text)? })
        };
        done.block.texts = texts.par_iter().map(pack).collect::<io::Result<_>>()?;
        Ok(done)
    }

    /// True if the file is what it was when it was read, and its copy is there.
    fn believes(&self, entry: &Entry, file: &Found) -> bool {
        entry.path == file.path
            && entry.stamp == file.stamp
            && self.store.is_none_or(|store| store.contains(entry.sha256, entry.stamp.size))
    }

    fn remember(&self, old: &Old, known: &Cache, file: &Found) -> Option<(Entry, Told)> {
        let (entry, texts) = old.find(known, self.kind, &file.path)?;
        let told = Told { parts: texts.into_iter().map(<[u8]>::to_vec).collect(), label: entry.label.clone() };
        self.believes(entry, file).then(|| (entry.clone(), told))
    }

    /// What is remembered or read of one file or two neighbours: two large ones are hashed together.
    fn tell<'f>(&self, pair: &'f [Found], old: &[Arc<Old>], known: Option<&Cache>) -> Vec<(&'f Found, Outcome)> {
        let remembered = |file: &Found| known.and_then(|known| old.iter().find_map(|old| self.remember(old, known, file)));
        let told: Vec<Option<(Entry, Told)>> = pair.iter().map(remembered).collect();
        let mut opened = match (pair, told.as_slice()) {
            ([a, b], [None, None]) if self.store.is_none() && a.stamp.size.min(b.stamp.size) > SMALL => self.hash_two([a, b]),
            _ => [None, None],
        }
        .into_iter();
        let outcome = |(file, told): (&'f Found, Option<(Entry, Told)>)| {
            let opened = opened.next().flatten();
            let outcome = told.map_or_else(|| self.read(file, opened).map(|(entry, told)| (entry, told, true)), |(e, t)| Ok((e, t, false)));
            (file, outcome)
        };
        pair.iter().zip(told).map(outcome).collect()
    }

    /// Opens and hashes two files together. If either does not read, both are left to be read alone, which tells why.
    fn hash_two(&self, files: [&Found; 2]) -> [Option<Opened>; 2] {
        let open = |file: &Found| -> io::Result<(SystemTime, Stamp, File)> {
            let began = SystemTime::now();
            let file = File::open(self.root.join(&file.path))?;
            Ok((began, Stamp::of(&file.metadata()?), file))
        };
        let both = || -> io::Result<[Opened; 2]> {
            let [(began, stamp, file), (other_began, other_stamp, other_file)] = [open(files[0])?, open(files[1])?];
            let [(sha256, _), (other, _)] = digest_two(&file, &other_file)?;
            Ok([
                Opened { file, known: Some((began, stamp, sha256)) },
                Opened { file: other_file, known: Some((other_began, other_stamp, other)) },
            ])
        };
        both().map_or([None, None], |opened| opened.map(Some))
    }

    /// Hashes (and copies) a package, unless that is done, and reads its header, from one opening of the file.
    fn read(&self, found: &Found, opened: Option<Opened>) -> std::result::Result<(Entry, Told), Trouble> {
        let bad = |error: io::Error| Trouble::Bad(format!("cannot be read: {error}"));
        let Opened { mut file, mut known } = match opened {
            Some(opened) => opened,
            None => Opened { file: File::open(self.root.join(&found.path)).map_err(bad)?, known: None },
        };
        // What the scan saw a moment ago: if the file is still that when it was read, nothing changed on the way.
        let mut before = found.stamp;
        for _ in 0..TRIES {
            let (began, stamp, sha256, bytes) = match known.take() {
                Some((began, stamp, sha256)) => (began, stamp, sha256, None),
                None => {
                    let (began, stamp) = (SystemTime::now(), before);
                    let (sha256, bytes) = self.hash(&mut file, stamp.size)?;
                    (began, stamp, sha256, bytes)
                }
            };
            let about = Read { path: &found.path, stamp: &stamp, sha256 };
            let told = match &bytes {
                Some(bytes) => self.kind.read(&about, &mut bytes.as_slice()),
                None => file.rewind().map_err(|error| error.to_string()).and_then(|()| self.kind.read(&about, &mut BufReader::new(&file))),
            };
            before = Stamp::of(&file.metadata().map_err(bad)?);
            if before != stamp {
                file.rewind().map_err(bad)?;
                continue;
            }
            let told = told.map_err(Trouble::Bad)?;
            let stamp = if settled(&stamp, began) { stamp } else { Stamp { ctime: 0, ..stamp } };
            let entry = Entry { path: found.path.clone(), stamp, sha256, label: told.label.clone(), lengths: [0; MAX_PARTS] };
            return Ok((entry, told));
        }
        Err(Trouble::Bad("changes while it is read: try again when whoever writes it is done".to_owned()))
    }

    /// Digest of a file that is at its start, and its bytes if they are few.
    fn hash(&self, file: &mut File, size: u64) -> std::result::Result<(Sha256, Option<Vec<u8>>), Trouble> {
        let bad = |error: io::Error| Trouble::Bad(format!("cannot be read: {error}"));
        if size > SMALL {
            return match self.store {
                Some(store) => Ok((store.import_file(file).map_err(Trouble::Disk)?.0, None)),
                None => Ok((digest_of_file(file).map_err(bad)?.0, None)),
            };
        }
        let bytes = read_small(file, size).map_err(bad)?;
        let sha256 = match self.store {
            Some(store) => store.import_bytes(&bytes).map_err(Trouble::Disk)?,
            None => Sha256::of(&bytes),
        };
        Ok((sha256, Some(bytes)))
    }
}

/// Up to `size` bytes of a file that is at its start, in one call where the system lets it. One that is shorter or longer by now has
/// another size or time than before.
fn read_small(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size as usize);
    while bytes.len() < bytes.capacity() {
        match rustix::io::read(&*file, spare_capacity(&mut bytes)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

const REMEDY: &str = "to do: remove or replace these files, or leave them out with --allow-missing";

fn around(olds: &mut Olds<'_>, files: &[Found]) -> Vec<Arc<Old>> {
    let (Some(first), Some(last)) = (files.first(), files.last()) else { return Vec::new() };
    olds.between(&first.path, &last.path)
}

/// True if whoever changes the file from now on leaves another time on it.
fn settled(stamp: &Stamp, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let limit = i64::try_from(now.saturating_sub(UNSETTLED).as_nanos()).unwrap_or(i64::MAX);
    stamp.ctime < limit && stamp.mtime < limit
}

#[cfg(test)]
#[path = "indexer_tests.rs"]
mod tests;
