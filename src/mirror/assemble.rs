//! A snapshot: a tree of hard links, made under a temporary name, whole before it gets its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::installer::{Chosen, images_folder, netboot_folder};
use super::layout::MirrorDir;
use super::plan::Item;
use super::{Error, Result};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::{InstallerFiles, Mirror, PublishedSuite, Snapshot};
use crate::domain::name::SnapshotId;
use crate::domain::node::Arch;
use crate::repo::compress::{compress_gz, compress_xz};
use crate::repo::deb::index::{packages_text, with_field};
use crate::repo::deb::installer::is_root;
use crate::repo::deb::packages::Package;
use crate::repo::deb::path::archive_path;
use crate::repo::deb::release::{FileEntry, Release};
use crate::repo::openpgp::SigningKey;
use crate::sys::atomic;
use crate::sys::join::inside;
use crate::sys::objects::ObjectStore;

/// What half-made snapshots are called; a sync that holds the mirror's lock removes those it finds.
const UNFINISHED: &str = ".new-";

/// The files of a snapshot: path in the tree, object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    links: BTreeMap<String, FileEntry>,
}

impl Tree {
    /// Adds a file. One that is there already is replaced.
    pub fn add(&mut self, path: impl Into<String>, sha256: Sha256, size: u64) {
        self.links.insert(path.into(), FileEntry { size, sha256 });
    }

    /// Stores bytes and adds them as a file.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn add_bytes(&mut self, store: &ObjectStore, path: impl Into<String>, bytes: &[u8]) -> Result<FileEntry> {
        let entry = FileEntry { size: bytes.len() as u64, sha256: store.import_bytes(bytes)? };
        self.links.insert(path.into(), entry);
        Ok(entry)
    }

    /// Adds an index under its name and by its hash.
    pub fn add_index(&mut self, path: &str, entry: FileEntry) {
        self.add(path, entry.sha256, entry.size);
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.add(format!("{folder}/by-hash/SHA256/{}", entry.sha256), entry.sha256, entry.size);
        }
    }

    /// Paths and their objects.
    pub fn files(&self) -> impl Iterator<Item = (&str, FileEntry)> {
        self.links.iter().map(|(path, entry)| (path.as_str(), *entry))
    }

    /// What it holds, in one digest: everything but the signed and dated root files.
    fn content(&self) -> Sha256 {
        let files = self.files().filter(|(path, _)| !["InRelease", "Release", "Release.gpg"].iter().any(|name| path.ends_with(name)));
        Sha256::of(files.map(|(path, entry)| format!("{} {path}\n", entry.sha256)).collect::<String>().as_bytes())
    }
}

/// What a rebuilt suite is made of.
pub struct Rebuilt<'a> {
    /// The definition.
    pub mirror: &'a Mirror,
    /// The first source's first suite: its names are taken over.
    pub like: &'a Release,
    /// The chosen packages.
    pub debs: &'a [Item],
    /// The installers with their udebs.
    pub installers: &'a [Chosen],
    /// The head's key.
    pub key: &'a SigningKey,
    /// When.
    pub now: OffsetDateTime,
}

impl Rebuilt<'_> {
    /// The folder below `dists/`.
    pub fn suite(&self) -> String {
        let first = self.mirror.sources.first();
        let name = first.and_then(|source| source.publish_as.clone().or_else(|| source.suites.first().cloned()));
        name.unwrap_or_else(|| "stable".to_owned())
    }

    fn architectures(&self) -> BTreeSet<Arch> {
        self.mirror.sources.iter().flat_map(|source| source.architectures.iter().copied()).collect()
    }

    /// Adds packages, indices and the signed root to a tree.
    ///
    /// # Errors
    /// If the disk is full or the key cannot sign.
    pub fn add_to(&self, tree: &mut Tree, store: &ObjectStore) -> Result<PublishedSuite> {
        let suite = self.suite();
        let dists = format!("dists/{suite}");
        let mut files = BTreeMap::new();
        for ((component, arch), stanzas) in self.stanzas() {
            let text = packages_text(stanzas)?;
            let path = format!("{component}/binary-{arch}/Packages");
            let forms = [("", text.as_bytes().to_vec()), (".gz", compress_gz(text.as_bytes())?), (".xz", compress_xz(text.as_bytes())?)];
            for (suffix, bytes) in forms {
                let path = format!("{path}{suffix}");
                let entry = FileEntry { size: bytes.len() as u64, sha256: store.import_bytes(&bytes)? };
                tree.add_index(&format!("{dists}/{path}"), entry);
                files.insert(archive_path(&path)?, entry);
            }
            // The Debian installer's choose-mirror takes its absence for an archive without this architecture.
            let path = format!("{component}/binary-{arch}/Release");
            let entry = tree.add_bytes(store, format!("{dists}/{path}"), self.part(&suite, &component, arch).as_bytes())?;
            files.insert(archive_path(&path)?, entry);
        }
        for item in self.debs.iter().chain(self.installers.iter().flat_map(|installer| &installer.udebs)) {
            tree.add(item.file.path.to_string(), item.file.sha256, item.file.size);
        }
        for installer in self.installers {
            let folder = images_folder(installer.arch);
            add_images(tree, &dists, installer);
            let sums = format!("{folder}/SHA256SUMS");
            let netboot = netboot_folder(installer.arch);
            let text = format!("{}  ./{netboot}/initrd.gz\n{}  ./{netboot}/linux\n", installer.initrd.0, installer.kernel.0);
            let entry = tree.add_bytes(store, format!("{dists}/{sums}"), text.as_bytes())?;
            files.insert(archive_path(&sums)?, entry);
        }
        let components: BTreeSet<String> =
            self.stanzas().keys().map(|(component, _)| component.trim_end_matches(super::indices::UDEBS).to_owned()).collect();
        let release = self.release(&suite, components.iter().cloned().collect(), files);
        self.sign(tree, store, &dists, &release)?;
        Ok(PublishedSuite { suite, codename: release.codename, components: release.components, rebuilt: true })
    }

    /// The Release file of one component and architecture.
    fn part(&self, suite: &str, component: &str, arch: Arch) -> String {
        let Release { origin, label, .. } = self.like;
        format!("Archive: {suite}\nOrigin: {origin}\nLabel: {label}\nAcquire-By-Hash: yes\nComponent: {component}\nArchitecture: {arch}\n")
    }

    /// Stanzas per component and architecture; packages for all architectures stand in each index.
    fn stanzas(&self) -> BTreeMap<(String, Arch), Vec<String>> {
        let mut groups: BTreeMap<(String, Arch), Vec<String>> = BTreeMap::new();
        for arch in self.architectures() {
            groups.entry(("main".to_owned(), arch)).or_default();
        }
        let extra = self.mirror.installer.as_ref().map(|installer| installer.udebs.as_slice()).unwrap_or_default();
        for item in self.debs {
            let archs = self.architectures().into_iter().filter(|arch| item.architecture == arch.debian() || item.architecture == "all");
            for arch in archs {
                groups.entry((item.component.clone(), arch)).or_default().push(published(item));
            }
        }
        for installer in self.installers {
            for item in &installer.udebs {
                let mut stanza = published(item);
                if Package::parse(&stanza).is_ok_and(|udeb| is_root(udeb.name, udeb.provides, extra)) {
                    stanza = with_field(&stanza, "Priority", "standard");
                }
                groups.entry((item.component.clone(), installer.arch)).or_default().push(stanza);
            }
        }
        groups
    }

    fn release(&self, suite: &str, components: Vec<String>, files: BTreeMap<crate::repo::deb::path::ArchivePath, FileEntry>) -> Release {
        let codename = if self.like.codename.is_empty() { suite.to_owned() } else { self.like.codename.clone() };
        Release {
            origin: self.like.origin.clone(),
            label: self.like.label.clone(),
            // A client that asks for `trixie` must find it as suite or code name, or apt complains.
            suite: if codename == suite && !self.like.suite.is_empty() { self.like.suite.clone() } else { suite.to_owned() },
            codename,
            version: self.like.version.clone(),
            description: format!("kickctl mirror {}", self.mirror.name),
            date: self.now,
            // The head vouches for what it serves; it has no second opinion to time out.
            valid_until: None,
            components,
            architectures: self.architectures().into_iter().map(|arch| arch.to_string()).collect(),
            acquire_by_hash: true,
            no_support_for_arch_all: true,
            files,
        }
    }

    fn sign(&self, tree: &mut Tree, store: &ObjectStore, dists: &str, release: &Release) -> Result<()> {
        let text = release.to_text();
        let failed = |source| Error::SigningKey { path: PathBuf::from(self.key.fingerprint()), source: Box::new(source) };
        let signed = self.key.sign_cleartext(&text, self.now).map_err(failed)?;
        let detached = self.key.sign_detached(text.as_bytes(), self.now).map_err(failed)?;
        tree.add_bytes(store, format!("{dists}/Release"), text.as_bytes())?;
        tree.add_bytes(store, format!("{dists}/Release.gpg"), detached.as_bytes())?;
        tree.add_bytes(store, format!("{dists}/InRelease"), signed.as_bytes())?;
        Ok(())
    }
}

/// Adds an installer's kernel and initrd where Debian has them.
pub fn add_images(tree: &mut Tree, dists: &str, installer: &Chosen) {
    let folder = format!("{dists}/{}/{}", images_folder(installer.arch), netboot_folder(installer.arch));
    tree.add(format!("{folder}/linux"), installer.kernel.0, installer.kernel.1);
    tree.add(format!("{folder}/initrd.gz"), installer.initrd.0, installer.initrd.1);
}

/// What a snapshot tells of its installers.
pub fn installer_files(suite: &str, installers: &[Chosen]) -> Vec<InstallerFiles> {
    let files = installers.iter().map(|installer| {
        let folder = format!("dists/{suite}/{}/{}", images_folder(installer.arch), netboot_folder(installer.arch));
        InstallerFiles {
            arch: installer.arch,
            kernel: format!("{folder}/linux"),
            initrd: format!("{folder}/initrd.gz"),
            kernel_release: installer.kernel_release.clone(),
        }
    });
    files.collect()
}

/// The stanza under the path that the file is published at.
fn published(item: &Item) -> String {
    let path = item.file.path.as_str();
    let same = Package::parse(&item.stanza).and_then(|package| package.file()).is_ok_and(|file| file.path.as_str() == path);
    if same { item.stanza.clone() } else { with_field(&item.stanza, "Filename", path) }
}

/// Removes what killed syncs left half-made. The caller holds the mirror's lock.
///
/// # Errors
/// What the system said.
pub fn remove_unfinished(mirror: &MirrorDir) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(mirror.snapshots()) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path()).map_err(|error| atomic::named(error, "remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Writes a snapshot: links, record, everything to disk, then the name. `upstream`: files of upstream's that are kept beside the tree.
///
/// # Errors
/// If the disk is full, or a path leads out of the tree.
pub fn write(mirror: &MirrorDir, store: &ObjectStore, tree: &Tree, upstream: &Tree, mut record: Snapshot) -> Result<Snapshot> {
    record.id = snapshot_id(record.made, tree)?;
    record.files = tree.links.len() as u64;
    let distinct: BTreeMap<Sha256, u64> = tree.files().map(|(_, entry)| (entry.sha256, entry.size)).collect();
    record.bytes = distinct.values().sum();
    let place = mirror.snapshot(&record.id);
    if place.exists() {
        return Ok(record); // made in the same second from the same files
    }
    fs::create_dir_all(mirror.snapshots()).map_err(|error| atomic::named(error, "create", &mirror.snapshots()))?;
    let unfinished = mirror.snapshots().join(format!("{UNFINISHED}{}", record.id));
    link_all(store, tree, &unfinished.join("tree"))?;
    link_all(store, upstream, &unfinished.join("upstream"))?;
    let json = serde_json::to_vec_pretty(&record).map_err(std::io::Error::other)?;
    atomic::write(&unfinished.join("snapshot.json"), &json, 0o644)?;
    // One call for thousands of objects and links: from here on a power cut loses nothing.
    atomic::sync_file_system(&unfinished)?;
    fs::rename(&unfinished, &place).map_err(|error| atomic::named(error, "name the snapshot", &place))?;
    atomic::sync_folder(&mirror.snapshots())?;
    Ok(record)
}

fn link_all(store: &ObjectStore, tree: &Tree, root: &Path) -> Result<()> {
    fs::create_dir_all(root).map_err(|error| atomic::named(error, "create", root))?;
    for (path, entry) in tree.files() {
        store.link_into(entry.sha256, &inside(root, path)?)?;
    }
    Ok(())
}

fn snapshot_id(made: OffsetDateTime, tree: &Tree) -> Result<SnapshotId> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = made.to_offset(time::UtcOffset::UTC).format(format).map_err(|error| std::io::Error::other(error.to_string()))?;
    let content: String = tree.content().to_string().chars().take(8).collect();
    format!("{time}-{content}").parse().map_err(|error| Error::Usage(format!("{error}")))
}
