//! The files that repomd.xml names: fetched into the object store, checked as they lie and decompressed.

use std::io::{BufReader, Read};

use super::root::Root;
use crate::domain::checksum::{FileEntry, Sha256};
use crate::mirror::error::chain;
use crate::mirror::fetch::{File, Tools, describe};
use crate::mirror::sync::Fetched;
use crate::mirror::{Error, Result};
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::path::{ArchivePath, archive_path};
use crate::repo::rpm::checksum::{Checksum, ChecksumKind};
use crate::repo::rpm::repomd::Record;
use crate::sys::fetch::{GetError, address};
use crate::sys::objects::ObjectStore;

/// No record is larger, bytes; Fedora's filelists has 60 MB, 900 MB decompressed.
const MAX_RECORD: u64 = 2 << 30;
/// No record decompresses to more.
const MAX_OPEN: u64 = 8 << 30;
/// What a record may grow to where repomd.xml does not tell: XML compresses by thirty, a bomb by thousands.
const MOST_GROWTH: u64 = 200;
const LEAST_LIMIT: u64 = 1 << 20;

/// A record that is in the store.
#[derive(Clone, Debug)]
pub struct Held {
    /// As repomd.xml names it.
    pub record: Record,
    /// Its path below the repository.
    pub path: ArchivePath,
    /// Its object.
    pub file: FileEntry,
}

/// Fetches all records of a repository and checks them.
///
/// # Errors
/// [`Error::IndexFetch`] for the first that cannot be had, [`Error::Metadata`] for one that is not what it should be.
pub async fn obtain(tools: &Tools, root: &Root, fetched: &mut Fetched) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    for record in &root.repomd.records {
        if !record.base.is_empty() {
            return Err(refused(root, record, format!("it lies elsewhere ({}), where nothing is fetched from", record.base)));
        }
        let path = archive_path(&record.href)?;
        let file = match (sha256(&record.checksum), record.size) {
            (Some(sha256), Some(size)) if size <= MAX_RECORD => FileEntry { size, sha256 },
            (_, Some(size)) if size > MAX_RECORD => return Err(refused(root, record, format!("{size} bytes are more than {MAX_RECORD}"))),
            _ => take(tools, root, record, fetched).await?,
        };
        held.push(Held { record: record.clone(), path, file });
    }
    let urls = |held: &Held| root.bases.iter().map(|base| address(base, held.path.as_str())).collect();
    let file = |held: &Held| File { path: held.path.clone(), size: held.file.size, sha256: held.file.sha256, urls: urls(held) };
    let obtained = tools.obtain(&held.iter().map(file).collect::<Vec<_>>()).await?;
    fetched.files += obtained.files;
    fetched.bytes += obtained.bytes;
    if let Some((number, outcome)) = obtained.failed.first() {
        return Err(Error::IndexFetch { url: root.address(held[*number].path.as_str()), problem: describe(outcome) });
    }
    held.iter().try_for_each(|held| check_open(tools, root, held))?;
    Ok(held)
}

/// A record that is promised by another digest than the store's, or without a size.
async fn take(tools: &Tools, root: &Root, record: &Record, fetched: &mut Fetched) -> Result<FileEntry> {
    let mut last = None;
    for base in &root.bases {
        let url = address(base, &record.href);
        match tools.fetcher.take(&url, &tools.store, record.size.unwrap_or(MAX_RECORD)).await {
            Ok((sha256, size)) => {
                check_digest(&tools.store, &record.checksum, sha256).map_err(|problem| Error::IndexFetch { url, problem })?;
                fetched.files += 1;
                fetched.bytes += size;
                return Ok(FileEntry { size, sha256 });
            }
            Err(GetError::Missing(_)) => last = Some(Error::IndexFetch { url, problem: "is not there (404)".to_owned() }),
            Err(other) => last = Some(other.into()),
        }
    }
    Err(last.unwrap_or_else(|| refused(root, record, "the repository has no address".to_owned())))
}

/// The digest that the store names objects by, if it is of that kind.
pub fn sha256(checksum: &Checksum) -> Option<Sha256> {
    if checksum.kind() == ChecksumKind::Sha256 { checksum.hex().parse().ok() } else { None }
}

/// Compares an object with a checksum of any kind but MD5.
pub fn check_digest(store: &ObjectStore, expected: &Checksum, object: Sha256) -> std::result::Result<(), String> {
    let file = store.read(object).map_err(|error| error.to_string())?;
    digest(BufReader::with_capacity(1 << 18, file), expected)
}

fn digest(mut reader: impl Read, expected: &Checksum) -> std::result::Result<(), String> {
    let mut hasher = expected.kind().hasher().ok_or("only an MD5 checksum is given, which vouches for nothing")?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer).map_err(|error| chain(&error))? {
            0 => break,
            got => hasher.update(&buffer[..got]),
        }
    }
    let got = hasher.finish();
    if got == *expected { Ok(()) } else { Err(format!("has {got} instead of {expected}")) }
}

/// A reader of a record's content, which fails where it grows beyond what was promised.
pub fn open<'a>(store: &ObjectStore, held: &Held) -> Result<Box<dyn Read + 'a>> {
    let compression = Compression::of_name(held.path.as_str());
    let guessed = held.file.size.saturating_mul(MOST_GROWTH).max(LEAST_LIMIT);
    let limit = if compression == Compression::None { held.file.size } else { held.record.open_size.unwrap_or(guessed) };
    Ok(decompress_bounded(BufReader::with_capacity(1 << 16, store.read(held.file.sha256)?), compression, limit.min(MAX_OPEN))?)
}

fn check_open(tools: &Tools, root: &Root, held: &Held) -> Result<()> {
    let Some(expected) = &held.record.open_checksum else { return Ok(()) };
    // Zchunk is neither of our compressions: its digest as a file has to do.
    if held.path.as_str().ends_with(".zck") || expected.kind() == ChecksumKind::Md5 {
        return Ok(());
    }
    let problem = |problem| refused(root, &held.record, format!("decompressed, it {problem}"));
    digest(open(&tools.store, held)?, expected).map_err(problem)
}

/// A record that is not what it should be.
pub fn refused(root: &Root, record: &Record, problem: String) -> Error {
    Error::Metadata { url: root.address(&record.href), problem: format!("as `{}`, {problem}", record.kind) }
}
