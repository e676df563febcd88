//! The content-addressed store: files named by their SHA-256, shared by all snapshots of all mirrors through hard links.
//!
//! ```text
//! objects/lock              held shared by who adds or links, exclusively by who prunes
//! objects/ab/cdef...        a complete object, read-only
//! objects/partial/SHA256    one that is being fetched; kept when a fetch is cut off, so that the next goes on there
//! ```
//! An object gets its name by a rename once its digest is right, so that a kill at any moment leaves a whole object or a partial one.
//! There is no fsync for each of thousands of files: who publishes calls [`super::atomic::sync_file_system`] once before. After a power cut
//! without it a file system may hold an object short of its size, which [`ObjectStore::contains`] tells by comparing sizes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256 as Hasher};

use super::atomic::{named, private_folder};
use super::hashed::{self, HashedFile};
use super::lock::{self, Lock, LockError, Mode};
use crate::domain::checksum::Sha256;

/// What files that are being taken in are called.
const IMPORT: &str = "import-";

/// The store in one folder.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    root: PathBuf,
}

/// A partial object, locked for this process.
#[derive(Debug)]
pub struct Partial {
    /// Open for reading and writing.
    pub file: File,
    path: PathBuf,
    sha256: Sha256,
}

impl ObjectStore {
    /// Opens (and makes) the store at `root`, readable by its owner only.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        private_folder(&root)?;
        private_folder(&root.join("partial"))?;
        Ok(Self { root })
    }

    /// Locks the whole store: shared to add and link, exclusive to remove.
    ///
    /// # Errors
    /// As [`lock::acquire`].
    pub async fn lock(&self, mode: Mode, limit: Duration) -> Result<Lock, LockError> {
        lock::acquire(&self.root.join("lock"), mode, limit).await
    }

    /// Where an object is, if it is there.
    pub fn path(&self, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        let (folder, rest) = name.split_at(2);
        self.root.join(folder).join(rest)
    }

    /// True if the object is there in its full size.
    pub fn contains(&self, sha256: Sha256, size: u64) -> bool {
        fs::metadata(self.path(sha256)).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn read(&self, sha256: Sha256) -> io::Result<File> {
        let path = self.path(sha256);
        File::open(&path).map_err(|error| named(error, "read the object", &path))
    }

    /// Opens the partial object, or starts one. `None` while another process works on it.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn partial(&self, sha256: Sha256) -> io::Result<Option<Partial>> {
        let path = self.root.join("partial").join(sha256.to_string());
        let open = || {
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            // Who held the lock before may have finished or dropped it: then this is a file without a name.
            let ours = fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|mine| mine.ino() == there.ino()));
            Ok(ours.then_some(file))
        };
        let file = open().map_err(|error| named(error, "open the partial object", &path))?;
        Ok(file.map(|file| Partial { file, path: path.clone(), sha256 }))
    }

    /// Gives a complete partial object its name. The caller has checked its digest.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn commit(&self, partial: Partial) -> io::Result<()> {
        let path = self.path(partial.sha256);
        let attempt = || {
            partial.file.set_permissions(fs::Permissions::from_mode(0o444))?;
            self.make_room(&path)?;
            fs::rename(&partial.path, &path)
        };
        attempt().map_err(|error| named(error, "store the object", &path))
    }

    /// Takes in bytes that are in memory.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn import_bytes(&self, bytes: &[u8]) -> io::Result<Sha256> {
        let sha256 = Sha256::of(bytes);
        if !self.contains(sha256, bytes.len() as u64) {
            self.import(|file| file.write_all(bytes).map(|()| (sha256, bytes.len() as u64)))?;
        }
        Ok(sha256)
    }

    /// Begins a file that [`ObjectStore::adopt`] takes in.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn create(&self) -> io::Result<HashedFile> {
        HashedFile::create(&self.root.join("partial"), IMPORT)
    }

    /// Takes in a file that was written. Returns digest and size.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn adopt(&self, new: HashedFile) -> io::Result<(Sha256, u64)> {
        let (file, sha256, size) = new.finish().map_err(|error| named(error, "store an object in", &self.root))?;
        let path = self.path(sha256);
        self.make_room(&path).map_err(|error| named(error, "store the object", &path))?;
        hashed::persist(file, &path, 0o444)?;
        Ok((sha256, size))
    }

    /// Takes in a copy of an open file, from its start. Where the file system can share blocks between files, none are written.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn import_file(&self, source: &File) -> io::Result<(Sha256, u64)> {
        self.import(|copy| match rustix::fs::ioctl_ficlone(&*copy, source) {
            Ok(()) => digest_of_file(copy),
            Err(_) => copy_hashing(source, copy),
        })
    }

    /// Takes in a copy of a reader's bytes; never a link to somebody's own file, who may change it. Returns digest and size.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn import_reader(&self, reader: impl Read) -> io::Result<(Sha256, u64)> {
        self.import(|copy| copy_hashing(reader, copy))
    }

    /// Takes in a file of the store's own disk whose digest the caller has checked; it is moved.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn take_over(&self, file: &Path, sha256: Sha256) -> io::Result<()> {
        let path = self.path(sha256);
        let attempt = || {
            fs::set_permissions(file, fs::Permissions::from_mode(0o444))?;
            self.make_room(&path)?;
            fs::rename(file, &path)
        };
        attempt().map_err(|error| named(error, "store the object", &path))
    }

    /// A file without a name, on the disk of the store, for what becomes an object by [`ObjectStore::import_scratch`].
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn scratch(&self) -> io::Result<File> {
        tempfile::tempfile_in(self.root.join("partial")).map_err(|error| named(error, "make a file in", &self.root))
    }

    /// Takes in what was written to a scratch file.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn import_scratch(&self, mut file: File) -> io::Result<(Sha256, u64)> {
        use std::io::Seek;
        file.rewind()?;
        self.import(|copy| copy_hashing(file, copy))
    }

    fn import(&self, fill: impl FnOnce(&mut File) -> io::Result<(Sha256, u64)>) -> io::Result<(Sha256, u64)> {
        let folder = self.root.join("partial");
        let attempt = || {
            let mut file = tempfile::NamedTempFile::with_prefix_in(IMPORT, &folder)?;
            let (sha256, size) = fill(file.as_file_mut())?;
            let path = self.path(sha256);
            file.as_file().set_permissions(fs::Permissions::from_mode(0o444))?;
            self.make_room(&path)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok((sha256, size))
        };
        attempt().map_err(|error| named(error, "store an object in", &self.root))
    }

    /// Makes `tree_path` (and the folders above it) a hard link to an object.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn link_into(&self, sha256: Sha256, tree_path: &Path) -> io::Result<()> {
        let object = self.path(sha256);
        match fs::hard_link(&object, tree_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = tree_path.parent().unwrap_or(&self.root);
                fs::create_dir_all(folder).map_err(|error| named(error, "create the folder", folder))?;
                fs::hard_link(&object, tree_path)
            }
            other => other,
        }
        .map_err(|error| named(error, "link an object to", tree_path))
    }

    /// All objects, with their sizes and how many names each has (1: no snapshot holds it).
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn list(&self) -> io::Result<Vec<Object>> {
        let mut objects = Vec::new();
        for entry in walkdir::WalkDir::new(&self.root).min_depth(2).max_depth(2) {
            let entry = entry.map_err(io::Error::from)?;
            let folder = entry.path().parent().and_then(Path::file_name).unwrap_or_default();
            let metadata = entry.metadata().map_err(io::Error::from)?;
            let name = format!("{}{}", folder.to_string_lossy(), entry.file_name().to_string_lossy());
            let sha256 = name.parse().ok();
            objects.push(Object { sha256, path: entry.into_path(), size: metadata.len(), links: metadata.nlink(), inode: metadata.ino() });
        }
        Ok(objects)
    }

    fn make_room(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        match fs::create_dir(folder) {
            Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o700)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A file in the store.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name; `None` for a partial one.
    pub sha256: Option<Sha256>,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// How many names the file has.
    pub links: u64,
    /// Its inode: what else has it is a link to it.
    pub inode: u64,
}

impl Drop for Partial {
    fn drop(&mut self) {
        // As for [`lock::Lock`]: a program that is being started must not keep it.
        let _ = self.file.unlock();
    }
}

impl Partial {
    /// Hashes what is there, leaving the file at its end. Returns the hasher and how many bytes it has seen.
    ///
    /// # Errors
    /// What the system said.
    pub fn resume(&mut self) -> io::Result<(Hasher, u64)> {
        use std::io::Seek;
        self.file.rewind()?;
        let mut hasher = Hasher::new();
        let seen = io::copy(&mut BufReader::with_capacity(1 << 18, &self.file), &mut hasher)?;
        Ok((hasher, seen))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// What the system said.
    pub fn restart(&mut self) -> io::Result<Hasher> {
        use std::io::Seek;
        self.file.set_len(0)?;
        self.file.rewind()?;
        Ok(Hasher::new())
    }

    /// Removes it: what it holds is of no use.
    pub fn discard(self) {
        // If this fails the next fetch finds a wrong digest and starts anew.
        let _ = fs::remove_file(&self.path);
    }
}

/// Copies to `out` while hashing.
fn copy_hashing(mut reader: impl Read, out: &mut File) -> io::Result<(Sha256, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let got = reader.read(&mut buffer)?;
        if got == 0 {
            return Ok((Sha256::new(hasher.finalize().into()), size));
        }
        hasher.update(&buffer[..got]);
        out.write_all(&buffer[..got])?;
        size += got as u64;
    }
}

/// The digest of a file.
///
/// # Errors
/// What the system said, with the path.
pub fn digest_of(path: &Path) -> io::Result<Sha256> {
    let attempt = || digest_of_file(&File::open(path)?);
    attempt().map(|(sha256, _)| sha256).map_err(|error| named(error, "read", path))
}

/// Digest and size of what follows in an open file.
///
/// # Errors
/// What the system said.
pub fn digest_of_file(mut file: &File) -> io::Result<(Sha256, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let got = file.read(&mut buffer)?;
        if got == 0 {
            return Ok((Sha256::new(hasher.finalize().into()), size));
        }
        hasher.update(&buffer[..got]);
        size += got as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, ObjectStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(folder.path().join("objects")).unwrap();
        (folder, store)
    }

    #[test]
    fn an_object_is_named_by_its_digest_and_shared_by_links() {
        let (folder, store) = store();
        let sha256 = store.import_bytes(b"hello").unwrap();
        assert_eq!(store.import_reader(&b"hello"[..]).unwrap(), (sha256, 5));
        assert!(store.contains(sha256, 5) && !store.contains(sha256, 4));
        let linked = folder.path().join("tree/pool/x");
        store.link_into(sha256, &linked).unwrap();
        assert_eq!(fs::read(&linked).unwrap(), b"hello");
        let listed = store.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].sha256, listed[0].links, listed[0].size), (Some(sha256), 2, 5));
        for path in [folder.path().join("objects"), store.path(sha256).parent().unwrap().to_owned()] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
        }
    }

    #[test]
    fn a_partial_object_is_worked_on_by_one_and_continued_by_the_next() {
        let (_folder, store) = store();
        let sha256 = Sha256::of(b"hello");
        let mut partial = store.partial(sha256).unwrap().unwrap();
        partial.file.write_all(b"hel").unwrap();
        assert!(store.partial(sha256).unwrap().is_none());
        drop(partial);
        let mut partial = store.partial(sha256).unwrap().unwrap();
        let (mut hasher, seen) = partial.resume().unwrap();
        assert_eq!(seen, 3);
        partial.file.write_all(b"lo").unwrap();
        hasher.update(b"lo");
        assert_eq!(Sha256::new(hasher.finalize().into()), sha256);
        assert!(!store.contains(sha256, 5));
        store.commit(partial).unwrap();
        assert!(store.contains(sha256, 5));
    }
}
