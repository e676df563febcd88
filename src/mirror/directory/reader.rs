//! Reads package files: digest, copy, texts, from one opening of each.

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::cache::{Entry, MAX_PARTS};
use super::kind::{Kind, Read, Told};
use super::scan::{Found, Stamp};
use crate::domain::checksum::Sha256;
use crate::mirror::Result;
use crate::sys::atomic::named;
use crate::sys::objects::{ObjectStore, digest_of_file};
use crate::sys::sha256::{digest_both, digest_two};

/// Up to this size a package is read in one go, bytes. Of a larger one never more is in memory than the buffer it is hashed through.
const SMALL: u64 = 512 << 10;
/// How often a file is read that changes under the reading.
const TRIES: usize = 3;
/// A file that changed so shortly before it was read may change once more without a later time: file systems' clocks are coarse.
pub const UNSETTLED: Duration = Duration::from_secs(1);

/// Reads the packages of one directory.
pub struct Reader<'a> {
    root: OwnedFd,
    kind: &'a dyn Kind,
    /// Where packages are copied to.
    store: Option<&'a ObjectStore>,
}

/// Why a package was not read.
#[derive(Debug)]
pub enum Trouble {
    /// It is none.
    Bad(String),
    /// Our own disk.
    Disk(io::Error),
}

/// A package: its entry, without the lengths of its texts, and these.
pub type Package = std::result::Result<(Entry, Told), Trouble>;

/// An open file, perhaps hashed already.
struct Opened {
    file: File,
    hashed: Option<Hashed>,
}

/// A file's digest: since when, what the file was like, its bytes if they are few.
struct Hashed {
    began: SystemTime,
    stamp: Stamp,
    sha256: Sha256,
    bytes: Option<Vec<u8>>,
}

impl<'a> Reader<'a> {
    /// Of a directory's packages, which are of one kind, and are copied into a store.
    ///
    /// # Errors
    /// If the directory does not open.
    pub fn new(root: &Path, kind: &'a dyn Kind, store: Option<&'a ObjectStore>) -> Result<Self> {
        let opened = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { root: opened.map_err(|error| named(error.into(), "read the directory", root))?, kind, store })
    }

    /// What these files are, each by itself; two are hashed together if that is quicker.
    pub fn read(&self, files: &[&Found]) -> Vec<Package> {
        let opened = match files {
            [a, b] if self.store.is_none() => self.hash_two([a, b]).unwrap_or_default(),
            _ => Default::default(),
        };
        files.iter().zip(opened).map(|(found, opened)| self.one(found, opened)).collect()
    }

    /// Opens and hashes two files together. If either does not read, both are left to be read alone, which tells why.
    fn hash_two(&self, files: [&Found; 2]) -> io::Result<[Option<Opened>; 2]> {
        let are_small = files.map(|file| file.stamp.size <= SMALL);
        if are_small[0] != are_small[1] {
            return Ok([None, None]);
        }
        let began = SystemTime::now();
        let [mut a, mut b] = [self.open(files[0])?, self.open(files[1])?];
        // What the scan saw a moment ago: if a file is still that when it was read, nothing changed on the way.
        let [stamp, other_stamp] = files.map(|file| file.stamp);
        let (digests, bytes) = if are_small[0] {
            let bytes = [read_small(&mut a, stamp.size)?, read_small(&mut b, other_stamp.size)?];
            (digest_both(&bytes[0], &bytes[1]), bytes.map(Some))
        } else {
            (digest_two(&a, &b)?.map(|(sha256, _)| sha256), [None, None])
        };
        let ([sha256, other_sha256], [bytes, other_bytes]) = (digests, bytes);
        Ok([
            Some(Opened { file: a, hashed: Some(Hashed { began, stamp, sha256, bytes }) }),
            Some(Opened { file: b, hashed: Some(Hashed { began, stamp: other_stamp, sha256: other_sha256, bytes: other_bytes }) }),
        ])
    }

    fn open(&self, found: &Found) -> io::Result<File> {
        Ok(openat(&self.root, &found.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    /// Hashes (and copies) a package, unless that is done, and reads its header.
    fn one(&self, found: &Found, opened: Option<Opened>) -> Package {
        let bad = |error: io::Error| Trouble::Bad(format!("cannot be read: {error}"));
        let Opened { mut file, mut hashed } = match opened {
            Some(opened) => opened,
            None => Opened { file: self.open(found).map_err(bad)?, hashed: None },
        };
        let mut before = found.stamp;
        for _ in 0..TRIES {
            let Hashed { began, stamp, sha256, bytes } = match hashed.take() {
                Some(hashed) => hashed,
                None => self.hash(&mut file, before)?,
            };
            let about = Read { path: &found.path, stamp: &stamp, sha256 };
            let told = match &bytes {
                Some(bytes) => self.kind.read(&about, &mut bytes.as_slice()),
                None => file.rewind().map_err(|error| error.to_string()).and_then(|()| self.kind.read(&about, &mut BufReader::new(&file))),
            };
            before = Stamp::of(&file).map_err(bad)?;
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

    /// Hashes (and copies) a file that is at its start.
    fn hash(&self, file: &mut File, stamp: Stamp) -> std::result::Result<Hashed, Trouble> {
        let bad = |error: io::Error| Trouble::Bad(format!("cannot be read: {error}"));
        let began = SystemTime::now();
        if stamp.size > SMALL {
            let sha256 = match self.store {
                Some(store) => store.import_file(file).map_err(Trouble::Disk)?.0,
                None => digest_of_file(file).map_err(bad)?.0,
            };
            return Ok(Hashed { began, stamp, sha256, bytes: None });
        }
        let bytes = read_small(file, stamp.size).map_err(bad)?;
        let sha256 = match self.store {
            Some(store) => store.import_bytes(&bytes).map_err(Trouble::Disk)?,
            None => Sha256::of(&bytes),
        };
        Ok(Hashed { began, stamp, sha256, bytes: Some(bytes) })
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

/// True if whoever changes the file from now on leaves another time on it.
fn settled(stamp: &Stamp, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let limit = i64::try_from(now.saturating_sub(UNSETTLED).as_nanos()).unwrap_or(i64::MAX);
    stamp.ctime < limit && stamp.mtime < limit
}
