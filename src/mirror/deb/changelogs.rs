//! The changelogs within packages of the store, read once: what was found is kept by the package's digest.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use crate::domain::name::SnapshotId;
use crate::mirror::contents::Held;
use crate::mirror::layout::MirrorDir;
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::deb::changelog::{self, Entry, MAX_CHANGELOG};
use crate::repo::deb::control::{self, ControlError};
use crate::repo::deb::version::compare;
use crate::sys::atomic;
use crate::sys::join::inside;

/// Where the mirror's folder keeps what was found; it can be removed at any time.
pub const FOLDER: &str = "changelogs";
/// The most that is decompressed of a package to find its changelog, bytes.
const MAX_UNPACKED: u64 = 2 << 30;
/// How many packages of one source are looked into: documentation of some is a link to that of another.
const MOST_TRIED: usize = 4;

/// The changelogs of a mirror's packages.
pub struct Changelogs {
    folder: PathBuf,
    tree: PathBuf,
}

impl Changelogs {
    /// Of a snapshot.
    pub fn of(dir: &MirrorDir, snapshot: &SnapshotId) -> Self {
        Self { folder: dir.root().join(FOLDER), tree: dir.tree(snapshot) }
    }

    /// The changelog of a source package in a version, from one of its packages, the smallest first; of another version if none of that is
    /// there. Nothing if none has one.
    pub fn of_source(&self, packages: &[&Held], version: &str) -> Vec<Entry> {
        let newer = |held: &&&Held| compare(&held.source_version, version).is_ge();
        for held in packages.iter().filter(newer).take(MOST_TRIED) {
            let entries = self.of_package(held);
            if !entries.is_empty() {
                return entries;
            }
        }
        Vec::new()
    }

    fn of_package(&self, held: &Held) -> Vec<Entry> {
        let cached = inside(&self.folder, &format!("{}.json", held.file.sha256)).ok();
        let kept = cached.as_ref().and_then(|path| std::fs::read(path).ok()).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(entries) = kept {
            return entries;
        }
        let Some(file) = inside(&self.tree, &held.path).ok().and_then(|path| File::open(path).ok()) else { return Vec::new() };
        // A package that does not read has no changelog: advisories are told without what it is about.
        let entries = read(BufReader::with_capacity(1 << 16, file), &held.package.name).unwrap_or_default();
        if let (Some(path), Ok(json)) = (cached, serde_json::to_vec(&entries)) {
            // What cannot be kept is read again the next time.
            let _ = atomic::write(&path, &json, 0o644);
        }
        entries
    }
}

/// The changelog of a package: Debian's own, or upstream's where the package is native.
fn read(deb: impl Read, name: &str) -> Result<Vec<Entry>, ControlError> {
    let folder = format!("usr/share/doc/{name}/");
    let wanted = |path: &str| {
        let file = path.strip_prefix(&folder).unwrap_or_default().trim_end_matches(".gz");
        file == "changelog.Debian" || file == "changelog"
    };
    let mut found: Vec<Entry> = Vec::new();
    let mut take = |path: &str, file: &mut dyn Read| {
        let compression = if path.ends_with(".gz") { Compression::Gz } else { Compression::None };
        let mut bytes = Vec::new();
        // Cut where it is long: the newest entries stand first.
        let _ = decompress_bounded(file, compression, MAX_UNPACKED)?.take(MAX_CHANGELOG).read_to_end(&mut bytes);
        let entries = changelog::parse(&String::from_utf8_lossy(&bytes));
        if !entries.is_empty() {
            found = entries;
            // The rest of the package is not of interest, and may be large.
            return Err(io::Error::other(Enough));
        }
        Ok(())
    };
    match control::extract(deb, &wanted, MAX_UNPACKED, &mut take) {
        Err(ControlError::Read { source, .. }) if source.get_ref().is_some_and(|inner| inner.is::<Enough>()) => Ok(found),
        Err(error) => Err(error),
        Ok(_) => Ok(found),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("what was looked for was found")]
struct Enough;
