//! What lies in a directory, by name, size and times; no file is opened.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

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
    /// Of an open file.
    ///
    /// # Errors
    /// What the system said.
    pub fn of(file: &std::fs::File) -> io::Result<Self> {
        Ok(Self::from(fstat(file)?))
    }
}

impl From<Stat> for Stamp {
    fn from(stat: Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mtime: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
        }
    }
}

/// The type of the second number is the processor's.
fn nanoseconds(seconds: i64, rest: impl TryInto<i64>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.try_into().unwrap_or_default())
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
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while !folders.is_empty() {
        let listed: Vec<Listed> = folders.par_iter().map(|below| list(root, below, takes)).collect::<Result<_>>()?;
        folders.clear();
        for Listed { files, folders: further } in listed {
            found.extend(files);
            folders.extend(further);
        }
    }
    found.par_sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// What one folder holds.
struct Listed {
    files: Vec<Found>,
    /// Their paths below the directory.
    folders: Vec<PathBuf>,
}

/// Names are looked up from the open folder: the way to it is not walked again for each of thousands.
fn list(root: &Path, below: &Path, takes: &(dyn Fn(&str) -> bool + Sync)) -> Result<Listed> {
    let folder = if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) };
    let failed = |error: rustix::io::Errno| Error::from(named(error.into(), "read the directory", &folder));
    let fd = openat(CWD, &folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let mut dir = Dir::new(fd).map_err(failed)?;
    let (mut names, mut folders) = (Vec::new(), Vec::new());
    while let Some(entry) = dir.read() {
        let entry = entry.map_err(failed)?;
        let (name, mut kind) = (entry.file_name(), entry.file_type());
        if matches!(name.to_bytes(), b"." | b"..") || is_passed_over(below, name) {
            continue;
        }
        if kind == FileType::Unknown {
            kind = FileType::from_raw_mode(statat(dir.fd().map_err(failed)?, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?.st_mode);
        }
        if kind == FileType::Directory {
            folders.push(below.join(OsStr::from_bytes(name.to_bytes())));
        } else if takes(&name.to_string_lossy()) {
            names.push(name.to_owned());
        }
    }
    let fd = dir.fd().map_err(failed)?;
    let look = |name: std::ffi::CString| {
        let path = below.join(OsStr::from_bytes(name.to_bytes()));
        let stat = statat(fd, &name, AtFlags::empty()).map_err(|error| named(error.into(), "read", &root.join(&path)))?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Ok(None);
        }
        match path.into_os_string().into_string() {
            Ok(path) => Ok(Some(Found { path, stamp: stat.into() })),
            Err(path) => {
                let path = path.display();
                Err(Error::Usage(format!("{path}: its name is not UTF-8, so that no index can name it; rename the file")))
            }
        }
    };
    let files: Vec<Option<Found>> = names.into_par_iter().with_min_len(FILES_A_JOB).map(look).collect::<Result<_>>()?;
    Ok(Listed { files: files.into_iter().flatten().collect(), folders })
}

/// How many files are looked at in a row: to hand over fewer takes longer than to look at them.
const FILES_A_JOB: usize = 64;

fn is_passed_over(below: &Path, name: &CStr) -> bool {
    let name = name.to_bytes();
    name.starts_with(OURS.as_bytes()) || below.as_os_str().is_empty() && matches!(name, b"repodata" | b"dists")
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

    #[test]
    fn names_of_many_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (many, takes) = (root.join("many"), |name: &str| name.ends_with(".deb"));
        std::fs::create_dir(&many).unwrap();
        (0..3 * FILES_A_JOB).for_each(|number| std::fs::write(many.join(format!("{number:03}.deb")), "x").unwrap());
        std::fs::create_dir(root.join("folder.deb")).unwrap();
        std::os::unix::fs::symlink("many", root.join("link.deb")).unwrap();
        std::fs::write(root.join(OsStr::from_bytes(b"\xff.text")), "nobody asks for it").unwrap();
        let found = scan(root, &takes).unwrap();
        assert_eq!(found.len(), 3 * FILES_A_JOB, "folders, and links to folders, are no packages");
        assert!(found.is_sorted_by(|a, b| a.path < b.path));
        std::fs::write(root.join(OsStr::from_bytes(b"\xff.deb")), "x").unwrap();
        assert!(scan(root, &takes).unwrap_err().to_string().contains("its name is not UTF-8"));
        std::fs::remove_file(root.join(OsStr::from_bytes(b"\xff.deb"))).unwrap();
        std::os::unix::fs::symlink("nothing", many.join("gone.deb")).unwrap();
        let told = scan(root, &takes).unwrap_err().to_string();
        assert!(told.contains("many/gone.deb"), "{told}");
    }
}
