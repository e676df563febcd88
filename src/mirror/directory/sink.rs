//! Where metadata is written to: a snapshot's tree, or the directory itself.

use std::io::{self, Write};
use std::path::PathBuf;

use rustix::fs::{Advice, fadvise};

use crate::domain::checksum::FileEntry;
use crate::mirror::Result;
use crate::mirror::assemble::Tree;
use crate::mirror::deb::indices::add_index;
use crate::sys::hashed::{self, HashedFile};
use crate::sys::join::inside;
use crate::sys::objects::ObjectStore;

/// Takes files of metadata.
pub trait Sink: Sync {
    /// Begins a file.
    ///
    /// # Errors
    /// If the disk is full.
    fn create(&self) -> io::Result<HashedFile>;

    /// Takes a file that was written, under its path.
    ///
    /// # Errors
    /// If the disk is full.
    fn put(&mut self, path: &str, file: HashedFile) -> Result<FileEntry>;

    /// As [`Sink::put`]; an index of a Debian archive, which clients may ask for by its hash too.
    ///
    /// # Errors
    /// If the disk is full.
    fn put_index(&mut self, path: &str, file: HashedFile) -> Result<FileEntry> {
        self.put(path, file)
    }

    /// Takes a file that is in memory.
    ///
    /// # Errors
    /// If the disk is full.
    fn put_bytes(&mut self, path: &str, bytes: &[u8]) -> Result<FileEntry> {
        let mut file = self.create()?;
        file.write_all(bytes)?;
        self.put(path, file)
    }
}

/// A snapshot's tree, its files in the object store.
pub struct IntoTree<'a> {
    /// The store.
    pub store: &'a ObjectStore,
    /// The tree.
    pub tree: &'a mut Tree,
}

impl Sink for IntoTree<'_> {
    fn create(&self) -> io::Result<HashedFile> {
        self.store.create()
    }

    fn put(&mut self, path: &str, file: HashedFile) -> Result<FileEntry> {
        let (sha256, size) = self.store.adopt(file)?;
        self.tree.add(path, sha256, size);
        Ok(FileEntry { size, sha256 })
    }

    fn put_index(&mut self, path: &str, file: HashedFile) -> Result<FileEntry> {
        let (sha256, size) = self.store.adopt(file)?;
        let entry = FileEntry { size, sha256 };
        add_index(self.tree, path, entry);
        Ok(entry)
    }
}

/// From this size on a file is on its way to the disk while others are still made, bytes.
const LARGE: u64 = 1 << 16;

/// A folder of files.
pub struct IntoFolder {
    /// The folder; it is there.
    pub root: PathBuf,
}

impl Sink for IntoFolder {
    fn create(&self) -> io::Result<HashedFile> {
        HashedFile::create(&self.root, ".new-")
    }

    fn put(&mut self, path: &str, file: HashedFile) -> Result<FileEntry> {
        let (file, sha256, size) = file.finish()?;
        let place = inside(&self.root, path)?;
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = hashed::persist(file, &place, 0o644)?;
        if size >= LARGE {
            // The system begins to write what it is told not to keep; where it takes no advice, all is written when it is waited for.
            let _ = fadvise(file, 0, None, Advice::DontNeed);
        }
        Ok(FileEntry { size, sha256 })
    }

    fn put_index(&mut self, path: &str, file: HashedFile) -> Result<FileEntry> {
        let entry = self.put(path, file)?;
        let place = inside(&self.root, path)?;
        let folder = place.with_file_name("by-hash").join("SHA256");
        std::fs::create_dir_all(&folder)?;
        std::fs::hard_link(&place, folder.join(entry.sha256.to_string()))?;
        Ok(entry)
    }
}
