//! What a sync does with RPM repositories.
//!
//! ```text
//! addresses baseurl, mirror list or metalink               (network)
//! root      fetch and verify repomd.xml                    (network)
//! records   fetch what it names, check it                  (network)
//! packages  read primary, fetch what is chosen             (network)
//! choose    filter, newest, closure                        (pure)
//! signatures of the packages themselves, on request        (files)
//! tree      the kickstart tree                             (network)
//! contents  the packages of a repository; advisories: what was fixed in them
//! whole     a repository with upstream's own metadata
//! rebuild   one with metadata of our own; merge: what several tell beside packages
//! ```

mod addresses;
pub(super) mod advisories;
mod choose;
pub(super) mod contents;
mod former;
pub mod host_repos;
mod merge;
mod modules;
mod packages;
mod rebuild;
mod records;
mod root;
mod signatures;
mod tree;
mod verify;
mod whole;

use std::collections::HashSet;
use std::path::PathBuf;

use futures::future::try_join_all;

pub(super) use verify::expected;

use self::packages::Item;
use self::rebuild::{Part, Rebuild};
use self::records::Held;
use self::root::Root;
use self::tree::{HeldTree, TreeRoot};
use super::fetch::Tools;
use super::format::{Content, Format, Gathered};
use super::sync::{Fetched, Planned, Sync};
use super::{Error, Result};
use crate::domain::mirror::{KickstartTree, PublishedRepository, Repository, RpmMirror, Snapshot, UpstreamState};
use crate::repo::openpgp::SigningKey;
use crate::repo::rpm::checksum::Checksum;

/// The name under which all packages of a merged mirror are one repository.
const MERGED: &str = "all";
/// Beside a snapshot's tree: upstream's own `.treeinfo`.
const KEPT_TREE: &str = "tree";

/// A sync of RPM repositories.
pub(super) struct Rpm<'a> {
    /// Its surroundings.
    pub sync: &'a Sync<'a>,
    /// What to copy.
    pub definition: &'a RpmMirror,
}

/// What an RPM snapshot is made from.
pub(super) struct Roots {
    /// In the order of the definition.
    repositories: Vec<Root>,
    tree: Option<TreeRoot>,
}

/// What was chosen and fetched.
struct Gains {
    /// Records, per repository.
    held: Vec<Vec<Held>>,
    items: Vec<Item>,
    left_out: Vec<String>,
    tree: Option<HeldTree>,
}

impl Format for Rpm<'_> {
    type Roots = Roots;

    async fn ask(&self, newest: Option<&Snapshot>) -> Result<Roots> {
        let fetcher = &self.sync.tools.fetcher;
        let held = newest.map(|snapshot| snapshot.upstream.as_slice()).unwrap_or_default();
        let fetches = self.definition.repositories.iter().zip(self.definition.refreshed()).map(|(repository, is_asked)| async move {
            if let Some(kept) = self.sync.kept(newest, repository.addresses.named(), &repository.name, is_asked)
                && let Some(root) = root::kept(fetcher, repository, &kept, self.published_at(newest, repository)).await?
            {
                return Ok(root);
            }
            root::fetch(fetcher, repository, held, self.sync.now).await
        });
        let repositories = try_join_all(fetches).await?;
        let tree = match &self.definition.tree {
            Some(definition) => Some(self.ask_tree(definition, newest, &repositories).await?),
            None => None,
        };
        Ok(Roots { repositories, tree })
    }

    fn states(&self, roots: &Roots) -> Vec<UpstreamState> {
        roots.repositories.iter().map(|root| root.state.clone()).collect()
    }

    fn further_input(&self, roots: &Roots) -> String {
        // `.treeinfo` changes while repomd.xml does not.
        let tree = roots.tree.as_ref().map(TreeRoot::digest).unwrap_or_default();
        let keys = roots.repositories.iter().map(|root| root.keys.fingerprints().join(" "));
        format!("{tree}\n{}", keys.collect::<Vec<_>>().join("\n"))
    }

    async fn gather(&self, roots: &Roots) -> Result<Gathered> {
        let Sync { tools, options, .. } = self.sync;
        let mut fetched = Fetched::default();
        tools.stage("fetching metadata");
        let mut held = Vec::new();
        for root in &roots.repositories {
            held.push(records::obtain(tools, root, &mut fetched).await?);
        }
        tools.stage("choosing packages");
        let (mut items, mut left_out) = self.choose(roots, &held)?;
        if options.dry_run {
            return Ok(Gathered::Planned(planned(tools, &items)));
        }
        let tree = match &roots.tree {
            Some(root) => {
                tools.stage("fetching the kickstart tree");
                Some(tree::obtain(tools, root, &mut fetched).await?)
            }
            None => None,
        };
        tools.stage("fetching packages");
        left_out.extend(packages::fetch(tools, &roots.repositories, &mut items, options.allow_missing, &mut fetched).await?);
        self.check_signatures(roots, &items)?;
        let content = self.content(roots, Gains { held, items, left_out, tree })?;
        Ok(Gathered::Content(Box::new(content), fetched))
    }
}

impl Rpm<'_> {
    /// Where a snapshot has a repository as upstream published it; `None` where it was rebuilt.
    fn published_at(&self, newest: Option<&Snapshot>, repository: &Repository) -> Option<PathBuf> {
        let newest = newest?;
        let published = newest.repositories.iter().find(|published| published.name == repository.name && !published.rebuilt)?;
        Some(self.sync.dir.tree(&newest.id).join(&published.path))
    }

    /// The kickstart tree: the newest snapshot's, where it brings no updates and is not to be asked for.
    async fn ask_tree(&self, definition: &KickstartTree, newest: Option<&Snapshot>, repositories: &[Root]) -> Result<TreeRoot> {
        let mut named = self.definition.repositories.iter().zip(self.definition.refreshed());
        let is_asked = match definition {
            KickstartTree::Repository(name) => named.any(|(repository, is_asked)| is_asked && repository.name == *name),
            KickstartTree::At { .. } => false,
        };
        let kept = newest.filter(|_| self.sync.options.updates_only && !is_asked);
        let kept = kept.map(|newest| (self.sync.dir.upstream(&newest.id).join(KEPT_TREE), self.sync.dir.tree(&newest.id)));
        tree::ask(&self.sync.tools.fetcher, definition, self.definition, repositories, kept).await
    }

    /// The packages of all repositories, after the filter.
    fn choose(&self, roots: &Roots, held: &[Vec<Held>]) -> Result<(Vec<Item>, Vec<String>)> {
        let Sync { tools, options, .. } = self.sync;
        let mut offer = choose::Offer::default();
        let filter = self.definition.filter.as_ref();
        for (number, (root, held)) in roots.repositories.iter().zip(held).enumerate() {
            packages::read(tools, root, number, held, |item, package| match filter {
                Some(_) => offer.add_to_choose(item, &package),
                None => offer.add(item),
            })?;
            if filter.is_some() {
                offer.add_modules(tools, root, held)?;
            }
        }
        let Some(filter) = filter else { return Ok((offer.into_items(self.definition.merge), Vec::new())) };
        if filter.dependencies && !filter.names.is_empty() {
            offer.add_files(tools, &roots.repositories, held)?;
        }
        let choice = offer.choose(filter, self.definition.merge);
        match choice.incomplete() {
            Some(incomplete) if !options.allow_missing => Err(Error::Incomplete(Box::new(incomplete))),
            _ => Ok((choice.items, choice.missing)),
        }
    }

    /// The packages' own signatures, of the repositories that ask for it.
    fn check_signatures(&self, roots: &Roots, items: &[Item]) -> Result<()> {
        let asks = |item: &&Item| self.definition.repositories[item.root].gpgcheck;
        // Reading every package at every sync would be much: what the newest snapshot was checked for is not checked again.
        let newest = self.sync.dir.list()?.pop().map(|snapshot| self.sync.dir.upstream(&snapshot.id).join(signatures::CHECKED));
        let checked = newest.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let checked: HashSet<&str> = checked.lines().collect();
        let is_new = |item: &&Item| !checked.contains(signatures::line(item, &roots.repositories[item.root].keys).as_str());
        let items: Vec<&Item> = items.iter().filter(asks).filter(is_new).collect();
        if items.is_empty() {
            return Ok(());
        }
        self.sync.tools.stage("checking the packages' signatures");
        let problems = signatures::check(&self.sync.tools.store, &items, |item| &roots.repositories[item.root].keys, self.sync.now);
        if problems.is_empty() { Ok(()) } else { Err(Error::PackageSignatures { problems }) }
    }

    fn content(&self, roots: &Roots, gains: Gains) -> Result<Content> {
        let store = &self.sync.tools.store;
        let mut content = Content { packages: gains.items.len() as u64, left_out: gains.left_out.clone(), ..Content::default() };
        let mut repomd = Vec::new();
        if self.definition.merge {
            let parts: Vec<Part<'_>> = roots.repositories.iter().zip(&gains.held).map(|(root, held)| Part { root, held }).collect();
            let checksum = self.rebuild("", &parts, &gains.items)?.add_to(&mut content.tree)?;
            repomd.push((String::new(), checksum));
            let keys =
                self.definition.repositories.iter().map(|repository| self.keys(repository, &mut content)).collect::<Result<Vec<_>>>()?;
            let mut keys: Vec<String> = keys.into_iter().flatten().collect();
            keys.dedup();
            let (name, path) = (MERGED.to_owned(), String::new());
            content.repositories.push(PublishedRepository { name, path, packages: content.packages, rebuilt: true, signed: true, keys });
        }
        for (number, (root, held)) in roots.repositories.iter().zip(&gains.held).enumerate().filter(|_| !self.definition.merge) {
            let repository = &self.definition.repositories[number];
            let items: Vec<Item> = gains.items.iter().filter(|item| item.root == number).cloned().collect();
            let rebuilt = !self.sync.mirror.is_whole();
            if rebuilt {
                let items: Vec<Item> = items.iter().map(|item| Item { root: 0, ..item.clone() }).collect();
                let checksum = self.rebuild(&repository.path, &[Part { root, held }], &items)?.add_to(&mut content.tree)?;
                repomd.push((repository.path.clone(), checksum));
            } else {
                whole::add_to(&mut content.tree, store, repository, root, held, &items)?;
            }
            let keys = self.keys(repository, &mut content)?;
            let (name, path) = (repository.name.clone(), repository.path.clone());
            let signed = rebuilt || root.signature.is_some();
            content.repositories.push(PublishedRepository { name, path, packages: items.len() as u64, rebuilt, signed, keys });
        }
        for (number, (root, held)) in roots.repositories.iter().zip(&gains.held).enumerate() {
            content.upstream.add_bytes(store, format!("{number}/repodata/repomd.xml"), &root.bytes)?;
            held.iter().for_each(|held| content.upstream.add(format!("{number}/{}", held.path), held.file.sha256, held.file.size));
        }
        let asks = |item: &&Item| self.definition.repositories[item.root].gpgcheck;
        let checked = gains.items.iter().filter(asks).map(|item| signatures::line(item, &roots.repositories[item.root].keys));
        content.upstream.add_bytes(store, signatures::CHECKED, checked.collect::<Vec<_>>().join("\n").as_bytes())?;
        if let (Some(root), Some(held)) = (&roots.tree, &gains.tree) {
            self.add_tree(root, held, &repomd, &mut content)?;
        }
        former::add_records(self.sync.dir, store, &mut content.tree);
        Ok(content)
    }

    fn rebuild<'b>(&'b self, path: &'b str, parts: &'b [Part<'b>], items: &'b [Item]) -> Result<Rebuild<'b>> {
        let key: &SigningKey =
            self.sync.key.ok_or_else(|| Error::Usage("a filtered or merged mirror needs the head's signing key".to_owned()))?;
        Ok(Rebuild { path, parts, items, key, now: self.sync.now, store: &self.sync.tools.store })
    }

    fn add_tree(&self, root: &TreeRoot, held: &HeldTree, repomd: &[(String, Checksum)], content: &mut Content) -> Result<()> {
        let rebuilt = repomd.iter().find(|(path, _)| *path == root.path).map(|(_, checksum)| checksum);
        held.add_to(content, root, &self.sync.tools, rebuilt, self.definition.merge)?;
        content.upstream.add_bytes(&self.sync.tools.store, format!("{KEPT_TREE}/{}", root.name()), root.bytes())?;
        if !self.definition.merge {
            let paths: HashSet<&str> = self.definition.repositories.iter().map(|repository| repository.path.as_str()).collect();
            root.variants_elsewhere(&paths).iter().for_each(|note| self.sync.tools.note(note));
        }
        Ok(())
    }

    /// Publishes the keys that a repository's packages may be signed with. Returns their paths.
    fn keys(&self, repository: &Repository, content: &mut Content) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for file in &repository.keys {
            let bytes = std::fs::read(file).map_err(|error| Error::Keyring { path: file.clone(), problem: error.to_string() })?;
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let path = format!("keys/{}/{name}", repository.name);
            content.tree.add_bytes(&self.sync.tools.store, path.clone(), &bytes)?;
            paths.push(path);
        }
        Ok(paths)
    }
}

/// A path below a repository, as a path in the tree.
fn published(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

fn planned(tools: &Tools, items: &[Item]) -> Planned {
    let mut seen = HashSet::new();
    let lacking =
        items.iter().map(|item| item.file).filter(|file| !tools.store.contains(file.sha256, file.size) && seen.insert(file.sha256));
    let lacking: Vec<u64> = lacking.map(|file| file.size).collect();
    Planned {
        packages: items.len() as u64,
        udebs: 0,
        bytes: items.iter().map(|item| item.file.size).sum(),
        fetch_files: lacking.len() as u64,
        fetch_bytes: lacking.iter().sum(),
    }
}
