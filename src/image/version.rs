//! A version in the making: a folder `versions/.new-...` with a root in it, which becomes a version as a whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::format_description;
use walkdir::WalkDir;

use super::layout::{ImageDir, VersionDir};
use super::log::Log;
use super::manifest::Manifest;
use super::room::Room;
use super::squash::{self, Scope};
use super::{Error, Progress, Result, installed, steps};
use crate::domain::checksum::Sha256;
use crate::domain::image::{Artefact, ImageVersion, Origin, Recipe, VersionId};
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::natural;
use crate::sys::atomic::{self, named};

/// How the folders of versions in the making begin.
const UNFINISHED: &str = ".new-";
/// Stages of [`Making::finish`].
pub const FINISHING: usize = 5;

/// What is known of a version before it is finished.
#[derive(Clone, Debug)]
pub struct Facts {
    /// How it came about.
    pub origin: Origin,
    /// The mirror its packages came from.
    pub mirror: MirrorName,
    /// Its snapshot.
    pub snapshot: SnapshotId,
    /// The recipe.
    pub recipe: Recipe,
    /// What identifies it; without it the tree itself does.
    pub input: Option<Sha256>,
    /// No version is made of a tree that is the same as this one.
    pub unless: Option<Sha256>,
}

/// A version in the making. Dropping it removes everything but the log, which stays as the image's `failed.log`.
pub struct Making<'a> {
    dir: &'a ImageDir,
    folder: TempDir,
    place: VersionDir,
    /// The time that is written wherever a program would write now, seconds since 1970.
    pub epoch: i64,
    /// What its programs say.
    pub log: Log,
    finished: bool,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // The error at hand says more than one of this.
            let _ = fs::rename(self.place.log(), self.dir.failed_log());
        }
    }
}

impl<'a> Making<'a> {
    /// Begins a version that goes through `stages` stages before [`Making::finish`]. The caller holds the lock `building`.
    ///
    /// # Errors
    /// If a folder cannot be made.
    pub fn begin(dir: &'a ImageDir, epoch: i64, stages: usize, progress: Arc<dyn Progress>) -> Result<Self> {
        atomic::private_folder(dir.root())?;
        remove_unfinished(dir)?;
        let versions = dir.versions();
        fs::create_dir_all(&versions).map_err(|error| named(error, "make", &versions))?;
        let folder = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&versions)
            .map_err(|error| named(error, "make a folder in", &versions))?;
        let place = VersionDir::new(folder.path());
        for name in ["root", "room", "keys"] {
            fs::create_dir(place.path().join(name)).map_err(|error| named(error, "make", place.path()))?;
        }
        let log = Log::create(&place.log(), dir.failed_log(), progress, stages + FINISHING)?;
        Ok(Self { dir, folder, place, epoch, log, finished: false })
    }

    /// Its folder.
    pub fn place(&self) -> &VersionDir {
        &self.place
    }

    /// Where programs work on it.
    pub fn room<'r>(&'r self, tree: Option<&'r Path>) -> Room<'r> {
        Room { build: self.place.path(), tree, epoch: self.epoch }
    }

    /// Throws it away, with its log.
    pub fn abandon(mut self) {
        self.finished = true;
    }

    /// Makes a version of the root: initial RAM disk, clean-up, list of files, compressed forms, record; then it gets its name. `None`: the
    /// tree is the one that [`Facts::unless`] names.
    ///
    /// # Errors
    /// If a program fails or the disk is full; nothing is left of it then but the log.
    pub fn finish(mut self, facts: Facts) -> Result<Option<ImageVersion>> {
        let place = self.place.clone();
        self.log.stage("making the initial RAM disk")?;
        let kernel_release = self.kernel_release()?;
        let mut initramfs = self.room(None).script(steps::INITRAMFS);
        self.log.run("the initial RAM disk's maker", initramfs.arg(&kernel_release), None)?;
        self.log.stage("cleaning up")?;
        let packages = installed::installed(&self.room(None))?;
        let mut clean = self.room(None).script(steps::CLEAN);
        self.log.run("the clean-up", &mut clean, None)?;
        settle_times(&place.root(), self.epoch)?;
        self.log.stage("listing files")?;
        let (manifest, sums) = Manifest::of(&place.root())?;
        let text = manifest.to_text();
        atomic::write(&place.manifest(), text.as_bytes(), 0o644)?;
        let tree = Sha256::of(text.as_bytes());
        if facts.unless == Some(tree) {
            self.abandon();
            return Ok(None);
        }
        self.log.stage("compressing the root")?;
        let root_squashfs = squash::squash(&mut self.log, &place.root(), &place.root_squashfs(), Scope::Root, self.epoch)?;
        self.log.stage("compressing the root without /usr")?;
        let base_squashfs = squash::squash(&mut self.log, &place.root(), &place.base_squashfs(), Scope::Base, self.epoch)?;
        let (kernel, initrd) = self.boot_files(&kernel_release)?;
        let input = facts.input.unwrap_or(tree);
        let made = OffsetDateTime::now_utc();
        let version = ImageVersion {
            image: self.dir.name().clone(),
            id: id(made, input)?,
            made,
            origin: facts.origin,
            mirror: facts.mirror,
            snapshot: facts.snapshot,
            recipe: facts.recipe,
            input,
            packages,
            kernel_release,
            tree,
            files: sums.files,
            bytes: sums.bytes,
            kernel,
            initrd,
            root_squashfs,
            base_squashfs,
        };
        self.name(&version)?;
        Ok(Some(version))
    }

    /// Writes the record, and gives the folder its name: from here on it is a version.
    fn name(mut self, version: &ImageVersion) -> Result<()> {
        for name in ["room", "keys"] {
            let path = self.place.path().join(name);
            fs::remove_dir_all(&path).map_err(|error| named(error, "remove", &path))?;
        }
        let record = serde_json::to_vec_pretty(version).map_err(io::Error::other)?;
        atomic::write(&self.place.record(), &record, 0o644)?;
        atomic::sync_file_system(self.place.path())?;
        let target = self.dir.version(&version.id);
        fs::rename(self.folder.path(), target.path()).map_err(|error| named(error, "name the version", target.path()))?;
        self.finished = true;
        // It has another name now, under which nothing is to be removed.
        self.folder.disable_cleanup(true);
        match fs::remove_file(self.dir.failed_log()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error, "remove", &self.dir.failed_log()).into()),
            _ => {}
        }
        Ok(atomic::sync_folder(&self.dir.versions())?)
    }

    /// The release of the newest kernel: Debian's lie in `/boot`, those of RPM packages with their modules.
    fn kernel_release(&self) -> Result<String> {
        let (boot, modules) = (self.place.root().join("boot"), self.place.root().join("usr/lib/modules"));
        let with_modules = names(&modules)?.into_iter().filter(|name| modules.join(name).join("vmlinuz").is_file());
        let in_boot = names(&boot)?.into_iter().filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned));
        let newest = in_boot.chain(with_modules).max_by(|a, b| natural::compare(a, b));
        newest.ok_or_else(|| self.log.failed("there is no kernel in /boot: does the recipe's `kernel` name a package with one?"))
    }

    /// Copies kernel and initial RAM disk out of the tree.
    fn boot_files(&self, release: &str) -> Result<(Artefact, Artefact)> {
        let boot = self.place.root().join("boot");
        let copy = |from: PathBuf, to: PathBuf| -> Result<Artefact> {
            fs::copy(&from, &to).map_err(|error| named(error, "copy out of the image", &from))?;
            squash::artefact(&to)
        };
        let kernel = copy(boot.join(format!("vmlinuz-{release}")), self.place.kernel())?;
        Ok((kernel, copy(boot.join(format!("initrd.img-{release}")), self.place.initrd())?))
    }
}

/// Names in a folder; none where it is missing.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(named(error, "list", folder)),
        Ok(entries) => Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()),
    }
}

/// Removes what killed builds left. The caller holds the lock `building`, so that nobody is at work there; mounts there are none.
///
/// # Errors
/// What the system said.
pub fn remove_unfinished(dir: &ImageDir) -> Result<()> {
    let entries = match fs::read_dir(dir.versions()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| named(error, "list", &dir.versions()))?,
    };
    for entry in entries {
        let path = entry.map_err(Error::Io)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED)) {
            fs::remove_dir_all(&path).map_err(|error| named(error, "remove the unfinished build", &path))?;
        }
    }
    Ok(())
}

/// Names sort by age; the digits say what it was made from.
fn id(made: OffsetDateTime, input: Sha256) -> Result<VersionId> {
    let time = made.format(format_description!("[year][month][day]T[hour][minute][second]Z")).map_err(io::Error::other)?;
    let digits: String = input.to_string().chars().take(8).collect();
    format!("{time}-{digits}").parse().map_err(|error| Error::Io(io::Error::other(error)))
}

/// Gives files that the build wrote the time of the snapshot instead, so that the same tree compresses to the same bytes.
fn settle_times(root: &Path, epoch: i64) -> io::Result<()> {
    let limit = rustix::fs::Timespec { tv_sec: epoch, tv_nsec: 0 };
    // Contents first: a folder's own time would change again.
    for entry in WalkDir::new(root).contents_first(true) {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if std::os::unix::fs::MetadataExt::mtime(&metadata) > epoch {
            let times = rustix::fs::Timestamps { last_access: limit, last_modification: limit };
            rustix::fs::utimensat(rustix::fs::CWD, entry.path(), &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| named(error.into(), "set the time of", entry.path()))?;
        }
    }
    Ok(())
}
