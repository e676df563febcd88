//! Files that are either the old or the new one, whenever the machine stops.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file as a whole: a temporary file beside it, fsync, rename, fsync of the folder. `mode`: such as `0o644`.
///
/// # Errors
/// What the system said, with the path.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = folder_of(path)?;
    let attempt = || {
        fs::create_dir_all(folder)?;
        let mut file = NamedTempFile::with_prefix_in(".new-", folder)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    };
    attempt().map_err(|error| named(error, "write", path))
}

/// Makes `link` a symbolic link to `target`, replacing what it was in one step.
///
/// # Errors
/// What the system said, with the path.
pub fn switch_link(link: &Path, target: &Path) -> io::Result<()> {
    let folder = folder_of(link)?;
    let attempt = || {
        // A folder of its own gives the new link a name that nobody else has.
        let temporary = tempfile::Builder::new().prefix(".link-").tempdir_in(folder)?;
        let new = temporary.path().join("link");
        std::os::unix::fs::symlink(target, &new)?;
        fs::rename(&new, link)?;
        sync_folder(folder)
    };
    attempt().map_err(|error| named(error, "point the link", link))
}

/// Writes a folder's entries to the disk, so that a rename outlives a power cut.
///
/// # Errors
/// What the system said.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a folder and all that is below it to the disk, and some files besides. Each file is waited for once, whatever its names.
///
/// # Errors
/// What the system said (a full or failing disk shows here at the latest).
pub fn sync_tree(folder: &Path, besides: &[&File]) -> io::Result<()> {
    let (mut files, mut seen) = (Vec::new(), HashSet::new());
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry?;
        if seen.insert(entry.metadata()?.ino()) {
            files.push(File::open(entry.path())?);
        }
    }
    sync_all(&files.iter().chain(besides.iter().copied()).collect::<Vec<_>>())
}

/// At most so many threads wait for the disk.
const WAITERS: usize = 8;

/// Waits for all files at once: what waits needs no processor, and what comes together shares a commit of the file system's journal.
fn sync_all(files: &[&File]) -> io::Result<()> {
    let waiters = files.len().clamp(1, WAITERS);
    let share = |first: usize| files.iter().skip(first).step_by(waiters).try_for_each(|file| file.sync_all());
    std::thread::scope(|scope| {
        let wait = |first| std::thread::Builder::new().spawn_scoped(scope, move || share(first));
        let others: Vec<_> = (1..waiters).map(|first| (first, wait(first))).collect();
        let own = share(0);
        let end = |(first, other): (usize, io::Result<std::thread::ScopedJoinHandle<'_, io::Result<()>>>)| match other {
            Ok(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // No thread to be had.
            Err(_) => share(first),
        };
        others.into_iter().map(end).fold(own, Result::and)
    })
}

/// Writes everything of the file system that `path` lies on to the disk: one call instead of an fsync for each of thousands of files.
///
/// # Errors
/// What the system said (a full or failing disk shows here at the latest).
pub fn sync_file_system(path: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(path)?).map_err(|error| named(error.into(), "write to disk what is below", path))
}

/// Creates a folder (and those above it) that only its owner may enter.
///
/// # Errors
/// What the system said, with the path.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let attempt = || {
        fs::create_dir_all(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
    };
    attempt().map_err(|error| named(error, "create the folder", path))
}

/// The same error, saying what failed on which path, and what to do where that is known.
pub fn named(error: io::Error, what: &str, path: &Path) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull => ": make room on that disk, then run the command again; nothing that was published is lost",
        io::ErrorKind::PermissionDenied => ": run as the owner of the data folder",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}{remedy}", path.display()))
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{} is in no folder", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/file");
        write(&path, b"old", 0o600).unwrap();
        write(&path, b"new", 0o640).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_tree_is_synced_whatever_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        for number in 0..40 {
            let sub = tree.join(format!("{}/{number}", number % 3));
            fs::create_dir_all(sub.parent().unwrap()).unwrap();
            fs::write(&sub, "text").unwrap();
            fs::hard_link(&sub, sub.with_extension("again")).unwrap();
        }
        sync_tree(&tree, &[]).unwrap();
        sync_tree(&tree.join("0/0"), &[&File::open(&tree).unwrap()]).unwrap();
        assert!(sync_tree(&tree.join("none"), &[]).is_err());
    }

    #[test]
    fn a_link_is_switched_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        switch_link(&link, Path::new("snapshots/a")).unwrap();
        switch_link(&link, Path::new("snapshots/b")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("snapshots/b"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
