//! What lies in a directory, by name, size and times; no file is opened.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rayon::prelude::*;

use crate::mirror::{Error, Result};
use crate::sys::atomic::named;

/// How files of ours begin that may lie in a site's directory; they and what they hold are passed over.
pub const OURS: &str = ".kickctl-";

/// What tells a file from itself as it was before. The time of the inode's change is among it, since no program can set that back: who
/// rewrites a file in place and restores its time and size is still seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime: i64,
    /// Time of the inode's change, nanoseconds since 1970.
    pub ctime: i64,
    /// The inode's number.
    pub inode: u64,
}

impl Stamp {
    /// Of an open file, or one looked at by name.
    pub fn of(metadata: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            size: metadata.len(),
            mtime: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// A package file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path below the directory, `/` between segments.
    pub path: String,
    /// What it is like.
    pub stamp: Stamp,
}

/// Lists the files whose names `takes` accepts, in the order of their paths. Symbolic links to files are followed, those to directories
/// are not. `repodata` and `dists` at the top hold metadata, not packages.
///
/// # Errors
/// If the directory does not read, or a name is not UTF-8.
pub fn scan(root: &Path, takes: &(dyn Fn(&str) -> bool + Sync)) -> Result<Vec<Found>> {
    let mut paths = Vec::new();
    let passed_over = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() > 0 && name.starts_with(OURS) || entry.depth() == 1 && ["repodata", "dists"].contains(&&*name)
    };
    for entry in walkdir::WalkDir::new(root).into_iter().filter_entry(|entry| !passed_over(entry)) {
        let entry = entry.map_err(|error| named(error.into(), "read the directory", root))?;
        if entry.file_type().is_dir() || !takes(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let Some(path) = below.to_str() else {
            return Err(Error::Usage(format!("{}: its name is not UTF-8, so that no index can name it; rename the file", below.display())));
        };
        paths.push(path.to_owned());
    }
    paths.par_sort_unstable();
    let look = |path: String| {
        let full = root.join(&path);
        match std::fs::metadata(&full) {
            Ok(metadata) => Ok(metadata.is_file().then(|| Found { stamp: Stamp::of(&metadata), path })),
            Err(error) => Err(Error::from(named(error, "read", &full))),
        }
    };
    let found: Result<Vec<Option<Found>>> = paths.into_par_iter().map(look).collect();
    Ok(found?.into_iter().flatten().collect())
}

/// Cuts a listing into blocks of 64 files or so. Where a block begins is told by a file's own name, so that a file that comes or goes
/// changes its block alone, and equal listings are cut alike.
pub fn blocks(found: &[Found]) -> Vec<&[Found]> {
    const LEAST: usize = 16;
    const MOST: usize = 256;
    let (mut blocks, mut start) = (Vec::new(), 0);
    for (at, file) in found.iter().enumerate() {
        let length = at - start;
        if length >= MOST || length >= LEAST && fnv(&file.path) & 63 == 0 {
            blocks.push(&found[start..at]);
            start = at;
        }
    }
    blocks.extend((start < found.len()).then(|| &found[start..]));
    blocks
}

/// FNV-1a: tells names apart, no more.
fn fnv(text: &str) -> u64 {
    let mixed = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(count: usize) -> Vec<Found> {
        (0..count).map(|number| Found { path: format!("a/p{number:05}.deb"), stamp: Stamp::default() }).collect()
    }

    #[test]
    fn a_file_that_comes_changes_few_blocks() {
        let before = files(5_000);
        let mut after = before.clone();
        after.insert(2_500, Found { path: "a/p02499b.deb".to_owned(), stamp: Stamp::default() });
        let (old, new) = (blocks(&before), blocks(&after));
        assert_eq!(new.iter().map(|block| block.len()).sum::<usize>(), 5_001);
        assert!(new.iter().all(|block| block.len() <= 256) && old.len() > 40, "{}", old.len());
        let changed = new.iter().filter(|block| !old.contains(block)).count();
        assert!(changed <= 3, "{changed} of {}", new.len());
        assert!(blocks(&[]).is_empty());
    }

    #[test]
    fn packages_are_found_anywhere_below_and_metadata_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["b.deb", "a/c.deb", "dists/x.deb", "repodata/y.deb", ".kickctl-z/z.deb", "a/dists/d.deb", "a/text"] {
            std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(path), path).unwrap();
        }
        std::os::unix::fs::symlink("c.deb", folder.path().join("a/link.deb")).unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("a/loop")).unwrap();
        let found = scan(folder.path(), &|name| name.ends_with(".deb")).unwrap();
        let paths: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/c.deb", "a/dists/d.deb", "a/link.deb", "b.deb"]);
        assert_eq!(found[0].stamp.size, 7);
    }
}
