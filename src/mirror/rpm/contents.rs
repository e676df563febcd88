//! The packages and advisories that a repository of a tree names.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::published;
use super::records::sha256;
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::PublishedRepository;
use crate::domain::package::Package as Named;
use crate::mirror::Result;
use crate::mirror::contents::{Held, unread};
use crate::mirror::error::chain;
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::rpm::primary::{Package, Packages};
use crate::repo::rpm::repomd::Repomd;
use crate::sys::join::inside;

/// The most that is decompressed of a record, bytes.
const MAX_RECORD: u64 = 8 << 30;

/// A repository of a tree.
pub struct Metadata {
    folder: PathBuf,
    /// Its root.
    pub repomd: Repomd,
    /// That as it lies there.
    pub bytes: Vec<u8>,
}

impl Metadata {
    /// Reads a repository's root.
    ///
    /// # Errors
    /// In words.
    pub fn open(tree: &Path, repository: &PublishedRepository) -> std::result::Result<Self, String> {
        let folder = if repository.path.is_empty() { tree.to_owned() } else { tree.join(&repository.path) };
        let bytes = std::fs::read(folder.join("repodata/repomd.xml")).map_err(|error| error.to_string())?;
        let repomd = Repomd::parse(&bytes).map_err(|error| chain(&error))?;
        Ok(Self { folder, repomd, bytes })
    }

    /// The content of a record; `None` if there is none of that kind.
    ///
    /// # Errors
    /// In words.
    pub fn record(&self, kind: &str) -> std::result::Result<Option<Box<dyn Read>>, String> {
        let Some(record) = self.repomd.record(kind) else { return Ok(None) };
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", record.href);
        let path = inside(&self.folder, &record.href).map_err(|error| wrong(&error))?;
        let file = BufReader::with_capacity(1 << 16, File::open(path).map_err(|error| wrong(&error))?);
        decompress_bounded(file, Compression::of_name(&record.href), MAX_RECORD).map(Some).map_err(|error| wrong(&error))
    }

    /// Hands its packages to `take`.
    ///
    /// # Errors
    /// In words.
    pub fn packages(&self, mut take: impl FnMut(Package)) -> std::result::Result<(), String> {
        let primary = self.record("primary")?.ok_or("it names no `primary` record")?;
        Packages::new(primary).for_each(|_, package| take(package)).map_err(|error| format!("primary: {}", chain(&error)))
    }
}

/// Adds the packages that a repository offers.
///
/// # Errors
/// [`crate::mirror::Error::Unread`].
pub fn read(tree: &Path, repository: &PublishedRepository, held: &mut Vec<Held>) -> Result<()> {
    let take = |package: Package| {
        let Some(sha256) = sha256(&package.checksum) else { return };
        held.push(Held {
            path: published(&repository.path, &package.href),
            file: FileEntry { size: package.size_package, sha256 },
            package: Named { version: package.evr.to_string(), name: package.name, arch: package.arch },
            source: String::new(),
            source_version: String::new(),
            origin: repository.name.clone(),
        });
    };
    let read = Metadata::open(tree, repository).and_then(|metadata| metadata.packages(take));
    read.map_err(|problem| unread(&tree.join(&repository.path).join("repodata/repomd.xml"), problem))
}
