//! A mirror with filter or local packages: one suite of exactly the packages that are there, signed with the head's key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use time::OffsetDateTime;

use super::indices::{UDEBS, add_index};
use super::installer::{Chosen, add_images, images_folder, netboot_folder};
use super::plan::Item;
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::{DebianMirror, PublishedSuite};
use crate::domain::name::MirrorName;
use crate::domain::node::Arch;
use crate::mirror::assemble::Tree;
use crate::mirror::{Error, Result};
use crate::repo::compress::{compress_gz, compress_xz};
use crate::repo::deb::index::{packages_text, with_fields};
use crate::repo::deb::installer::is_root;
use crate::repo::deb::packages::Package;
use crate::repo::deb::path::{ArchivePath, archive_path};
use crate::repo::deb::release::Release;
use crate::repo::openpgp::SigningKey;
use crate::sys::objects::ObjectStore;

/// What a rebuilt suite is made of.
pub struct Rebuilt<'a> {
    /// The mirror's name.
    pub name: &'a MirrorName,
    /// The definition.
    pub mirror: &'a DebianMirror,
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
                add_index(tree, &format!("{dists}/{path}"), entry);
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
            self.stanzas().keys().map(|(component, _)| component.trim_end_matches(UDEBS).to_owned()).collect();
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
                    stanza = with_fields(&stanza, [("Priority", "standard")]);
                }
                groups.entry((item.component.clone(), installer.arch)).or_default().push(stanza);
            }
        }
        groups
    }

    fn release(&self, suite: &str, components: Vec<String>, files: BTreeMap<ArchivePath, FileEntry>) -> Release {
        let codename = if self.like.codename.is_empty() { suite.to_owned() } else { self.like.codename.clone() };
        Release {
            origin: self.like.origin.clone(),
            label: self.like.label.clone(),
            // A client that asks for `trixie` must find it as suite or code name, or apt complains.
            suite: if codename == suite && !self.like.suite.is_empty() { self.like.suite.clone() } else { suite.to_owned() },
            codename,
            version: self.like.version.clone(),
            description: format!("kickctl mirror {}", self.name),
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

/// The stanza under the path that the file is published at.
fn published(item: &Item) -> String {
    let path = item.file.path.as_str();
    let same = Package::parse(&item.stanza).and_then(|package| package.file()).is_ok_and(|file| file.path.as_str() == path);
    if same { item.stanza.clone() } else { with_fields(&item.stanza, [("Filename", path)]) }
}
