//! A version that is changed by hand: by a shell (or a command) in a writable copy of it, or by a node that runs from such a copy. What is left
//! becomes a version of its own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use super::layout::ImageDir;
use super::version::{Facts, Making};
use super::{Progress, Result};
use crate::domain::image::{ImageVersion, Origin, VersionId};
use crate::domain::name::NodeName;
use crate::sys::atomic::{self, named};
use crate::sys::child::ends_with_us;

/// What a shell works with.
pub struct Shell<'a> {
    /// The image's folder; the caller holds its lock `building`.
    pub dir: &'a ImageDir,
    /// The version to begin as.
    pub from: &'a ImageVersion,
    /// The archive root of the snapshot it was made from, if that is still there: packages can be installed from it then.
    pub tree: Option<PathBuf>,
    /// Seconds since 1970 that programs write instead of now.
    pub epoch: i64,
    /// The program and its arguments; a log-in shell if there is none.
    pub command: Vec<OsString>,
    /// Throw away whatever comes of it.
    pub discard: bool,
    /// Hears how it goes.
    pub progress: Arc<dyn Progress>,
}

/// What a shell came to.
#[derive(Clone, Debug)]
pub enum Changed {
    /// A new version.
    New(Box<ImageVersion>),
    /// The tree is as it was.
    Nothing,
    /// It was thrown away, as was asked, or because the shell ended with this.
    Discarded(ExitStatus),
}

impl Shell<'_> {
    /// Copies the version, runs the shell at this terminal, and makes a version of what it left, if it ended well.
    ///
    /// # Errors
    /// [`super::Error`]; no version was made then.
    pub fn run(self) -> Result<Changed> {
        let mut making = Making::begin(self.dir, self.epoch, 2, Arc::clone(&self.progress))?;
        making.log.stage("copying the root")?;
        let from = self.dir.version(&self.from.id).root();
        copy(&mut making, &from)?;
        making.log.stage("at work by hand")?;
        self.progress.pause();
        let ended = self.work(&making)?;
        if self.discard || !ended.success() {
            making.abandon();
            return Ok(Changed::Discarded(ended));
        }
        finish(making, self.from)
    }

    fn work(&self, making: &Making<'_>) -> Result<ExitStatus> {
        let room = making.room(self.tree.as_deref());
        let mut command = match self.command.split_first() {
            Some((program, arguments)) => {
                let mut command = room.inside("/usr/bin/env");
                command.arg(program).args(arguments);
                command
            }
            None => {
                let mut command = room.inside("/bin/bash");
                command.arg("-l").env("debian_chroot", self.dir.name().as_str());
                command
            }
        };
        Ok(command.status()?)
    }
}

/// A root with owners, modes, links, device nodes and extended attributes; file systems that share blocks between copies do so.
fn copy(making: &mut Making<'_>, from: &Path) -> Result<()> {
    let root = making.place().root();
    fs::remove_dir(&root).map_err(|error| named(error, "copy over", &root))?;
    making.log.run("cp", &mut copier(from, &root), None)
}

fn copier(from: &Path, to: &Path) -> Command {
    let mut command = Command::new("cp");
    command.args(["--archive", "--reflink=auto"]).arg(from).arg(to);
    ends_with_us(&mut command);
    command
}

/// Makes a copy of a version that a node may change. One that is there is replaced. The caller holds the lock `building`.
///
/// # Errors
/// If the disk is full, or a file does not read.
pub fn check_out(dir: &ImageDir, from: &VersionId, node: &NodeName) -> Result<PathBuf> {
    let (work, target) = (dir.work(), dir.work().join(node.as_str()));
    let (new, old) = (work.join(format!(".new-{node}")), work.join(format!(".old-{node}")));
    for path in [&new, &old] {
        remove(path)?;
    }
    fs::create_dir_all(&new).map_err(|error| named(error, "make", &new))?;
    let copied = copier(&dir.version(from).root(), &new.join("root")).output()?;
    if !copied.status.success() {
        let told = String::from_utf8_lossy(&copied.stderr).lines().next().unwrap_or_default().to_owned();
        return Err(io::Error::other(format!("cannot copy version {from}: {told}")).into());
    }
    atomic::write(&new.join("version"), from.as_str().as_bytes(), 0o644)?;
    atomic::sync_file_system(&new)?;
    if target.exists() {
        fs::rename(&target, &old).map_err(|error| named(error, "replace", &target))?;
    }
    fs::rename(&new, &target).map_err(|error| named(error, "name", &target))?;
    remove(&old)?;
    Ok(dir.writable_root(node))
}

/// The version that a node's copy began as; `None` if it has no copy.
pub fn checked_out(dir: &ImageDir, node: &NodeName) -> Option<VersionId> {
    fs::read_to_string(dir.work().join(node.as_str()).join("version")).ok()?.trim().parse().ok()
}

/// The versions that nodes' copies began as: what becomes of the copies refers to them.
///
/// # Errors
/// What the system said.
pub fn bases(dir: &ImageDir) -> io::Result<BTreeSet<VersionId>> {
    let entries = match fs::read_dir(dir.work()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        other => other.map_err(|error| named(error, "list", &dir.work()))?,
    };
    let nodes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<NodeName>().ok());
    Ok(nodes.filter_map(|node| checked_out(dir, &node)).collect())
}

/// Makes a version of a node's copy, which stays as it is. `from`: the version that it began as. The caller holds the lock `building`.
///
/// # Errors
/// [`super::Error`]; no version was made then.
pub fn commit(dir: &ImageDir, from: &ImageVersion, node: &NodeName, epoch: i64, progress: Arc<dyn Progress>) -> Result<Changed> {
    let mut making = Making::begin(dir, epoch, 1, progress)?;
    making.log.stage("copying the root")?;
    copy(&mut making, &dir.writable_root(node))?;
    finish(making, from)
}

fn finish(making: Making<'_>, from: &ImageVersion) -> Result<Changed> {
    let facts = Facts {
        origin: Origin::Change { from: from.id.clone() },
        mirror: from.mirror.clone(),
        snapshot: from.snapshot.clone(),
        recipe: from.recipe.clone(),
        input: None,
        unless: Some(from.tree),
    };
    Ok(making.finish(facts)?.map_or(Changed::Nothing, |version| Changed::New(Box::new(version))))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(error, "remove", path)),
        _ => Ok(()),
    }
}
