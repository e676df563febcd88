//! Metadata in the directory itself, as createrepo_c and apt-ftparchive make it: nothing is copied but what is to be added.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::add::{Added, Addition, check};
use super::former;
use super::indexer::{Indexed, Indexer};
use super::packages::{Packages, Terms, format_of, list};
use super::scan::{Found, OURS};
use super::sink::IntoFolder;
use crate::domain::mirror::PackageFormat;
use crate::mirror::Result;
use crate::sys::atomic::{named, sync_tree};

/// Lists the packages in a directory, and removes what killed runs left half-made. The caller holds the directory's lock.
///
/// # Errors
/// As [`list`], or if something of ours cannot be removed.
pub fn look(root: &Path, format: Option<PackageFormat>) -> Result<Vec<Found>> {
    remove_unfinished(root)?;
    list(root, format)
}

/// What is to be made where.
pub struct Request<'a> {
    /// The directory.
    pub root: &'a Path,
    /// What lies there.
    pub found: Vec<Found>,
    /// Which of its packages; `None`: those there are.
    pub format: Option<PackageFormat>,
    /// Packages to be put into it first.
    pub add: &'a [PathBuf],
    /// Name, suite, key.
    pub terms: Terms<'a>,
    /// Files that are no packages are left out, and not an error.
    pub leave_out: bool,
}

/// Makes or renews `repodata/` or `dists/` in the directory. Readers see the former one until the new one takes its place in one step.
/// The caller holds the directory's lock.
///
/// # Errors
/// If a file is no package, or the disk is full; nothing is added then.
pub fn index(request: Request<'_>) -> Result<Indexed> {
    let root = request.root;
    let mut found = request.found;
    let additions: Vec<Addition> = request.add.iter().map(|file| check(request.format, file)).collect::<Result<_>>()?;
    let all = found.iter().chain(additions.iter().map(|addition| &addition.found));
    let format = request.format.map_or_else(|| format_of(root, all), Ok)?;
    let copied: Vec<Option<Added>> = additions.into_iter().map(|addition| addition.copy(root)).collect::<Result<_>>()?;
    let added: Vec<Added> = copied.into_iter().flatten().collect();
    found.extend(added.iter().map(|added| added.found.clone()));
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let packages = Packages::new(format, "");
    let cache = root.join(format!("{OURS}cache"));
    let indexed = Indexer { root, kind: packages.kind(), store: None, cache: &cache, leave_out: request.leave_out }.run(&found)?;
    let new = tempfile::Builder::new().prefix(&format!("{OURS}new-")).tempdir_in(root).map_err(|error| named(error, "write in", root))?;
    let folder = match format {
        PackageFormat::Deb => "dists",
        PackageFormat::Rpm => "repodata",
    };
    let (made, place) = (new.path().join(folder), root.join(folder));
    packages.write(&indexed.cache, &request.terms, &mut IntoFolder { root: new.path().to_owned() })?;
    // What the metadata names is on the disk before it.
    let files: Vec<&File> = added.iter().map(|added| &added.file).collect();
    let synced = sync_tree(&made, &files);
    former::lend(&place, &made, indexed.is_changed);
    synced
        .and_then(|()| switch(&made, &place))
        .and_then(|()| added.into_iter().try_for_each(Added::keep))
        .map_err(|error| named(error, "write", &place))?;
    remove_files(new.path());
    // The change of names is not waited for: after a power cut the directory has the former metadata or the new, each of them whole.
    Ok(indexed)
}

/// Puts a new folder in the place of an old one, which is then where the new one was.
fn switch(new: &Path, old: &Path) -> io::Result<()> {
    if !old.exists() {
        return fs::rename(new, old);
    }
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Some network file systems cannot do it in one step.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            let aside = new.with_file_name("former");
            fs::rename(old, &aside)?;
            fs::rename(new, old).inspect_err(|_| drop(fs::rename(&aside, old)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes the files below a folder that is removed next, several at a time: some disks are told of the room that each one leaves, and
/// that is waited for.
fn remove_files(folder: &Path) {
    let entries = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files: Vec<walkdir::DirEntry> = entries.filter(|entry| !entry.file_type().is_dir()).collect();
    // What stays is removed with the folder, or by the next run.
    files.par_iter().for_each(|file| drop(fs::remove_file(file.path())));
}

/// Removes what killed runs left half-made.
fn remove_unfinished(root: &Path) -> io::Result<()> {
    let entries = fs::read_dir(root).map_err(|error| named(error, "read the directory", root))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Of the cache too: it is written beside under a name of its own.
        if name.starts_with(OURS) && name != format!("{OURS}cache") && name != format!("{OURS}lock") {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| named(error, "remove what an earlier run left in", &path))?;
        }
    }
    Ok(())
}
