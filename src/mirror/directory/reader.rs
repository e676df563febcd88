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
use crate::sys::sha256::{digest_two_files, digest_two_texts};

/// Up to this size a package is read in one go, bytes. Of a larger one never more is in memory than the buffer it is hashed through.
pub const SMALL: u64 = 512 << 10;
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
        if let [a, b] = files
            && self.store.is_none()
            && let Ok(Some([first, second])) = self.hash_two([a, b])
        {
            return vec![self.one(a, Some(first)), self.one(b, Some(second))];
        }
        files.iter().map(|file| self.alone(file)).collect()
    }

    /// What one file is.
    pub fn alone(&self, file: &Found) -> Package {
        self.one(file, None)
    }

    /// Opens and hashes two files together, if both are short or both are not. If either does not read, both are left to be read alone, which
    /// tells why.
    fn hash_two(&self, files: [&Found; 2]) -> io::Result<Option<[Opened; 2]>> {
        let are_small = files.map(|file| file.stamp.size <= SMALL);
        if are_small[0] != are_small[1] {
            return Ok(None);
        }
        let began = SystemTime::now();
        let [mut a, mut b] = [self.open(files[0])?, self.open(files[1])?];
        // What the scan saw a moment ago: if a file is still that when it was read, nothing changed on the way.
        let stamps = files.map(|file| file.stamp);
        let (digests, bytes) = if are_small[0] {
            let bytes = [read_small(&mut a, stamps[0].size)?, read_small(&mut b, stamps[1].size)?];
            (digest_two_texts(&bytes[0], &bytes[1]), bytes.map(Some))
        } else {
            (digest_two_files(&a, &b)?.map(|(sha256, _)| sha256), [None, None])
        };
        let mut parts = stamps.into_iter().zip(digests).zip(bytes);
        let opened = |file| {
            let hashed = parts.next().map(|((stamp, sha256), bytes)| Hashed { began, stamp, sha256, bytes });
            Opened { file, hashed }
        };
        Ok(Some([a, b].map(opened)))
    }

    fn open(&self, found: &Found) -> io::Result<File> {
        Ok(openat(&self.root, &found.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    /// Hashes (and copies) a package, unless that is done, and reads its header.
    fn one(&self, found: &Found, opened: Option<Opened>) -> Package {
        let Opened { mut file, mut hashed } = match opened {
            Some(opened) => opened,
            None => Opened { file: self.open(found).map_err(unreadable)?, hashed: None },
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
            before = Stamp::of(&file).map_err(unreadable)?;
            if before != stamp {
                file.rewind().map_err(unreadable)?;
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
        let began = SystemTime::now();
        if stamp.size > SMALL {
            let sha256 = match self.store {
                Some(store) => store.import_file(file).map_err(Trouble::Disk)?.0,
                None => digest_of_file(file).map_err(unreadable)?.0,
            };
            return Ok(Hashed { began, stamp, sha256, bytes: None });
        }
        let bytes = read_small(file, stamp.size).map_err(unreadable)?;
        let sha256 = match self.store {
            Some(store) => store.import_bytes(&bytes).map_err(Trouble::Disk)?,
            None => Sha256::of(&bytes),
        };
        Ok(Hashed { began, stamp, sha256, bytes: Some(bytes) })
    }
}

fn unreadable(error: io::Error) -> Trouble {
    Trouble::Bad(format!("cannot be read: {error}"))
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::mirror::directory::scan::scan;
    use crate::repo::compress::Compression;

    /// Packages that are any bytes but `bad`.
    struct Bytes;

    impl Kind for Bytes {
        fn recipe(&self) -> String {
            "bytes".to_owned()
        }
        fn parts(&self) -> usize {
            1
        }
        fn compression(&self) -> Compression {
            Compression::None
        }
        fn takes(&self, _: &str) -> bool {
            true
        }
        fn read(&self, _: &Read<'_>, package: &mut dyn io::BufRead) -> std::result::Result<Told, String> {
            let mut bytes = Vec::new();
            package.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            if bytes == b"bad" { Err("is bad".to_owned()) } else { Ok(Told { label: String::new(), parts: vec![bytes] }) }
        }
    }

    /// Files called 0, 1, 2 and what the scan says of them.
    fn files(contents: &[Vec<u8>]) -> (tempfile::TempDir, Vec<Found>) {
        let folder = tempfile::tempdir().unwrap();
        for (number, bytes) in contents.iter().enumerate() {
            std::fs::write(folder.path().join(number.to_string()), bytes).unwrap();
        }
        let found = scan(folder.path(), &|_| true).unwrap();
        (folder, found)
    }

    fn path(folder: &tempfile::TempDir, number: usize) -> PathBuf {
        folder.path().join(number.to_string())
    }

    fn read(folder: &tempfile::TempDir, found: &[Found]) -> Vec<std::result::Result<(Sha256, Vec<u8>), String>> {
        let reader = Reader::new(folder.path(), &Bytes, None).unwrap();
        let told = |package: Package| match package {
            Ok((entry, mut told)) => Ok((entry.sha256, told.parts.remove(0))),
            Err(Trouble::Bad(problem)) => Err(problem),
            Err(Trouble::Disk(error)) => panic!("{error}"),
        };
        reader.read(&found.iter().collect::<Vec<_>>()).into_iter().map(told).collect()
    }

    #[test]
    fn files_are_what_they_are_alone_and_together_short_and_long() {
        let (short, long) = (b"short".to_vec(), vec![7; SMALL as usize + 100]);
        let (longer, other) = (vec![8; 2 * SMALL as usize], b"another short one".to_vec());
        for contents in [
            vec![short.clone()],
            vec![short.clone(), other.clone()],
            vec![long.clone(), longer],
            vec![short, long.clone()],
            vec![long, other, vec![]],
        ] {
            let (folder, found) = files(&contents);
            let expected: Vec<_> = contents.into_iter().map(|bytes| Ok((Sha256::of(&bytes), bytes))).collect();
            assert_eq!(read(&folder, &found), expected);
        }
    }

    #[test]
    fn one_that_is_bad_or_gone_does_not_spoil_the_other() {
        let (folder, found) = files(&[b"bad".to_vec(), b"good".to_vec()]);
        let good = Ok((Sha256::of(b"good"), b"good".to_vec()));
        assert_eq!(read(&folder, &found), [Err("is bad".to_owned()), good.clone()]);
        std::fs::remove_file(path(&folder, 0)).unwrap();
        let told = read(&folder, &found);
        assert!(told[0].as_ref().unwrap_err().starts_with("cannot be read: No such file"), "{told:?}");
        assert_eq!(told[1], good);
    }

    #[test]
    fn a_file_that_changed_since_the_scan_is_told_as_it_is_now() {
        for size in [20, SMALL as usize + 20] {
            let (folder, found) = files(&[vec![1; size], vec![2; size]]);
            let now = vec![3; size + 1];
            std::fs::write(path(&folder, 1), &now).unwrap();
            assert_eq!(read(&folder, &found), [vec![1; size], now].map(|bytes| Ok((Sha256::of(&bytes), bytes))));
            let reader = Reader::new(folder.path(), &Bytes, None).unwrap();
            let (entry, _) = reader.read(&[&found[1]]).remove(0).unwrap();
            assert_eq!(entry.stamp.size, size as u64 + 1);
        }
    }
}
