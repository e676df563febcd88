//! The sync of a mirror that is an installation medium running from itself: Ubuntu's live server, as an image.
//!
//! ```text
//! medium    what the image holds, and what is taken of it       (files)
//! archive   the packages on it are what its indices say         (files)
//! ```
//! The image is published as it is, because that is what its own initial RAM disk fetches (casper's `url=`) and runs from: the compressed roots in
//! it are not taken out a second time. Kernel, initial RAM disk and the archive of packages are, because others read those.

mod archive;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::assemble::Tree;
use super::directory::scan::Stamp;
use super::fetch::Tools;
use super::format::{Content, Format, Gathered};
use super::sync::{Fetched, Planned, Sync};
use super::verify::Expected;
use super::{Error, Result};
use crate::domain::checksum::{FileEntry, Sha256};
use crate::domain::mirror::{InstallerFiles, LiveFiles, MediumMirror, Snapshot, UpstreamState};
use crate::domain::node::Arch;
use crate::repo::iso9660;
use crate::sys::atomic::named;

/// The image within the tree. Casper takes what follows `url=` for an image by this suffix.
const IMAGE: &str = "medium.iso";
/// What the snapshot remembers of the files that no index names.
const SUMS: &str = "SHA256SUMS";
/// What the medium calls itself, and the most of it that is read.
const INFO: &str = ".disk/info";
const MOST_INFO: u64 = 4096;
const KERNEL: &str = "casper/vmlinuz";
const INITRD: &str = "casper/initrd";

/// A sync of a medium.
pub(super) struct Medium<'a> {
    /// Its surroundings.
    pub sync: &'a Sync<'a>,
    /// What to copy.
    pub definition: &'a MediumMirror,
}

/// The image as it was found.
pub(super) struct Seen {
    image: File,
    stamp: Stamp,
    files: Vec<iso9660::File>,
    title: String,
    arch: Arch,
}

impl Seen {
    /// Opens an image, which has to be a live medium.
    fn open(path: &Path) -> Result<Self> {
        let refused = |problem: String| Error::Metadata { url: path.display().to_string(), problem };
        let mut image = File::open(path).map_err(|error| named(error, "read the image", path))?;
        let stamp = Stamp::of(&image)?;
        let files = iso9660::files(&mut image).map_err(|error| refused(error.to_string()))?;
        let find = |wanted: &str| files.iter().find(|file| file.path == wanted);
        if find(KERNEL).is_none() || find(INITRD).is_none() || !files.iter().any(|file| is_in(&file.path, "casper/", ".squashfs")) {
            let problem =
                "it is no live medium: it has no casper/vmlinuz, casper/initrd and casper/*.squashfs, as Ubuntu's live server has";
            return Err(refused(problem.to_owned()));
        }
        let mut title = String::new();
        if let Some(info) = find(INFO) {
            reader(&image, info)?.take(MOST_INFO).read_to_string(&mut title)?;
        }
        let title: String = title.trim().chars().filter(|c| !c.is_control()).collect();
        let arch = [Arch::Amd64, Arch::Arm64].into_iter().find(|arch| title.split_whitespace().any(|word| word == arch.debian()));
        let arch = arch.ok_or_else(|| refused(format!("its {INFO} names no architecture that a node can have: `{title}`")))?;
        Ok(Self { image, stamp, files, title, arch })
    }

    /// Files below a folder that end so.
    fn matching(&self, folder: &str, suffix: &str) -> impl Iterator<Item = &iso9660::File> {
        self.files.iter().filter(move |file| is_in(&file.path, folder, suffix))
    }

    /// What is taken out of the image.
    fn wanted(&self) -> impl Iterator<Item = &iso9660::File> {
        let is_wanted = |path: &str| {
            [KERNEL, INITRD, INFO].contains(&path) || path.starts_with("dists/") || path.starts_with("pool/") || is_manifest(path)
        };
        self.files.iter().filter(move |file| is_wanted(&file.path))
    }

    /// A file of the image, in the object store.
    fn import(&self, tools: &Tools, file: &iso9660::File) -> Result<FileEntry> {
        let (sha256, size) = tools.store.import_reader(reader(&self.image, file)?)?;
        Ok(FileEntry { size, sha256 })
    }
}

/// Lists of what the systems on the medium hold, but for the one that runs while it installs.
fn is_manifest(path: &str) -> bool {
    is_in(path, "casper/", ".manifest") && !path.contains(".installer.")
}

fn is_in(path: &str, folder: &str, suffix: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|name| name.ends_with(suffix))
}

fn reader<'a>(mut image: &'a File, file: &iso9660::File) -> Result<impl Read + use<'a>> {
    image.seek(SeekFrom::Start(file.offset))?;
    Ok(image.take(file.size))
}

/// Looks whether a file is the image of a live medium.
///
/// # Errors
/// [`Error::Metadata`], saying what is missing.
pub fn check(path: &Path) -> Result<()> {
    Seen::open(path).map(drop)
}

impl Format for Medium<'_> {
    type Roots = Seen;

    async fn ask(&self, _: Option<&Snapshot>) -> Result<Seen> {
        Seen::open(&self.definition.image)
    }

    fn states(&self, _: &Seen) -> Vec<UpstreamState> {
        Vec::new()
    }

    fn further_input(&self, seen: &Seen) -> String {
        let Stamp { size, mtime, ctime, inode } = seen.stamp;
        format!("{size} {mtime} {ctime} {inode}")
    }

    async fn gather(&self, seen: &Seen) -> Result<Gathered> {
        let tools = &self.sync.tools;
        let packages = seen.matching("pool/", ".deb").count() as u64;
        if self.sync.options.dry_run {
            let bytes = seen.wanted().map(|file| file.size).sum::<u64>() + seen.stamp.size;
            let files = seen.wanted().count() as u64 + 1;
            return Ok(Gathered::Planned(Planned { packages, udebs: 0, bytes, fetch_files: files, fetch_bytes: bytes }));
        }
        tools.stage("copying the medium");
        let mut tree = Tree::default();
        for file in seen.wanted() {
            let entry = seen.import(tools, file)?;
            tree.add(&file.path, entry.sha256, entry.size);
        }
        // Where the files above were read, the image's position has moved.
        (&seen.image).rewind()?;
        let (sha256, size) = tools.store.import_file(&seen.image)?;
        tree.add(IMAGE, sha256, size);
        let suites = archive::suites(&self.definition.image, &tools.store, &tree)?;
        let sums = sums(&tree);
        tree.add_bytes(&tools.store, SUMS, sums.as_bytes())?;
        let fetched = Fetched { files: tree.files().count() as u64, bytes: tree.files().map(|(_, entry)| entry.size).sum() };
        let live = LiveFiles {
            image: IMAGE.to_owned(),
            title: seen.title.clone(),
            manifests: tree.files().map(|(path, _)| path.to_owned()).filter(|path| is_manifest(path)).collect(),
        };
        let installer = InstallerFiles {
            arch: seen.arch,
            kernel: KERNEL.to_owned(),
            initrd: INITRD.to_owned(),
            kernel_release: String::new(),
            tree: None,
            live: Some(live),
        };
        let content = Content { tree, suites, packages, installers: vec![installer], ..Content::default() };
        Ok(Gathered::Content(Box::new(content), fetched))
    }
}

/// The files that no index names, in the form of `sha256sum`.
fn sums(tree: &Tree) -> String {
    let named = tree.files().filter(|(path, _)| !path.starts_with("dists/") && !path.starts_with("pool/"));
    named.map(|(path, entry)| format!("{}  {path}\n", entry.sha256)).collect()
}

/// Collects what a snapshot's sums say of its medium.
pub(super) fn expected(tree: &Path, snapshot: &Snapshot, expected: &mut Expected) {
    if snapshot.installers.iter().all(|installer| installer.live.is_none()) {
        return;
    }
    let Ok(text) = std::fs::read_to_string(tree.join(SUMS)) else {
        expected.problems.push(format!("{SUMS}: is not there"));
        return;
    };
    for (sha256, path) in text.lines().filter_map(|line| line.split_once("  ")) {
        match (sha256.parse::<Sha256>(), std::fs::metadata(tree.join(path))) {
            (Ok(sha256), Ok(metadata)) => drop(expected.files.insert(path.to_owned(), FileEntry { size: metadata.len(), sha256 })),
            _ => expected.problems.push(format!("{path}: is not there")),
        }
    }
}
