//! The compressed forms of a root that nodes fetch into RAM, by mksquashfs.

use std::path::Path;
use std::process::Command;

use super::log::Log;
use super::{Error, Result};
use crate::domain::image::Artefact;
use crate::sys::child::ends_with_us;
use crate::sys::objects::digest_of;

/// The program that compresses.
pub const PROGRAM: (&str, &str) = ("mksquashfs", "squashfs-tools");

/// zstd's level: 9 makes 6 % larger files than mksquashfs's default of 15 in a third of the time.
const LEVEL: &str = "9";

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole root, but for kernels and initial RAM disks: a node that mounts it has booted already.
    Root,
    /// The root without what is below `/usr`.
    Base,
}

impl Scope {
    fn without(self) -> &'static [&'static str] {
        const BOOT: [&str; 2] = ["boot/vmlinuz-*", "boot/initrd.img-*"];
        // Two patterns: `*` passes over names that begin with a dot.
        const USR: [&str; 4] = ["boot/vmlinuz-*", "boot/initrd.img-*", "usr/*", "usr/.*"];
        match self {
            Self::Root => &BOOT,
            Self::Base => &USR,
        }
    }
}

/// Compresses a root. The same tree gives the same bytes (with the same mksquashfs).
///
/// # Errors
/// If mksquashfs fails, or its result does not read.
pub fn squash(log: &mut Log, root: &Path, target: &Path, scope: Scope, epoch: i64) -> Result<Artefact> {
    let mut command = Command::new(PROGRAM.0);
    command.arg(root).arg(target).args(["-noappend", "-no-progress", "-quiet", "-comp", "zstd", "-Xcompression-level", LEVEL]);
    command.args(["-wildcards", "-e"]).args(scope.without());
    command.env("SOURCE_DATE_EPOCH", epoch.to_string());
    log.run(PROGRAM.0, ends_with_us(&mut command), None)?;
    artefact(target)
}

/// Size and digest of a file.
///
/// # Errors
/// If it does not read.
pub fn artefact(path: &Path) -> Result<Artefact> {
    let bytes = path.metadata().map_err(Error::Io)?.len();
    Ok(Artefact { bytes, sha256: digest_of(path)? })
}
