//! What a sync does with Debian archives.
//!
//! ```text
//! root      fetch and verify a suite's InRelease           (network)
//! indices   fetch the package indices, read them           (network)
//! local     read the site's own package directories        (files)
//! plan      choose packages, say which files that takes    (pure)
//! installer find kernel and initrd, close the udebs        (network, then pure)
//! choose    the packages of a snapshot, around what upstream lost
//! whole     a tree with upstream's own indices
//! contents  the packages of indices; advisories, changelogs: what was fixed in them
//! rebuild   a tree with indices of our own
//! ```

pub(super) mod advisories;
mod changelogs;
mod choose;
pub(super) mod contents;
mod former;
pub mod host_sources;
pub mod indices;
pub mod installer;
pub mod local;
pub mod plan;
mod rebuild;
pub mod root;
mod verify;
pub mod whole;

use futures::future::try_join_all;

pub(super) use former::add_indices as add_former_indices;
pub(super) use verify::expected;

use self::choose::Choice;
use self::indices::Held;
use self::installer::Chosen;
use self::plan::{Offer, Source};
use self::rebuild::Rebuilt;
use self::root::Root;
use super::format::{Content, Format, Gathered};
use super::sync::{Fetched, Sync};
use super::{Error, Result, keys};
use crate::domain::mirror::{DebianMirror, Snapshot, UpstreamState};

/// A sync of Debian archives.
pub(super) struct Debian<'a> {
    /// Its surroundings.
    pub sync: &'a Sync<'a>,
    /// What to copy.
    pub definition: &'a DebianMirror,
}

/// What a Debian snapshot is made from.
pub(super) struct Roots {
    suites: Vec<Root>,
    local: local::Listing,
}

impl Format for Debian<'_> {
    type Roots = Roots;

    async fn ask(&self, newest: Option<&Snapshot>) -> Result<Roots> {
        let held = newest.map(|snapshot| snapshot.upstream.as_slice()).unwrap_or_default();
        let local = local::list(&self.sync.mirror.local)?;
        let mut fetches = Vec::new();
        let mut asked = self.definition.refreshed().into_iter();
        for source in &self.definition.sources {
            let ring = keys::keyring(&source.keyring)?;
            for suite in &source.suites {
                let ring = ring.clone();
                let kept = self.sync.kept(newest, &source.url, suite, asked.next().unwrap_or(true)).and_then(|kept| root::kept(&kept));
                fetches.push(async move {
                    match kept {
                        Some(root) => Ok(root),
                        None => root::fetch(&self.sync.tools.fetcher, source, suite, &ring, held, self.sync.now).await,
                    }
                });
            }
        }
        Ok(Roots { suites: try_join_all(fetches).await?, local })
    }

    fn states(&self, roots: &Roots) -> Vec<UpstreamState> {
        roots.suites.iter().map(Root::state).collect()
    }

    fn further_input(&self, roots: &Roots) -> String {
        roots.local.fingerprint.clone()
    }

    async fn gather(&self, roots: &Roots) -> Result<Gathered> {
        let tools = &self.sync.tools;
        let (mut offer, held) = self.offer(roots).await?;
        let mut fetched = Fetched::default();
        let installers = self.installers(roots, &mut offer, &mut fetched).await?;
        tools.stage("choosing packages");
        let mut choice = self.choose(&offer)?;
        if self.sync.options.dry_run {
            return Ok(Gathered::Planned(choice.planned(&installers, &tools.store)));
        }
        tools.stage("fetching packages");
        self.fetch(&mut offer, &mut choice, &mut fetched).await?;
        choice.left_out.append(&mut offer.lost_indices);
        drop(offer);
        Ok(Gathered::Content(Box::new(self.content(roots, &held, choice, &installers).await?), fetched))
    }
}

impl Debian<'_> {
    fn is_whole(&self) -> bool {
        self.sync.mirror.is_whole()
    }

    /// Fetches and reads all indices and local packages.
    async fn offer(&self, roots: &Roots) -> Result<(Offer, Vec<Held>)> {
        let tools = &self.sync.tools;
        tools.stage("fetching indices");
        let sources = self.definition.sources.iter().flat_map(|source| source.suites.iter().map(move |_| source));
        let mut wanted = Vec::new();
        for (number, (root, source)) in roots.suites.iter().zip(sources).enumerate() {
            wanted.extend(indices::wanted(root, number, source)?);
        }
        if !self.is_whole() && self.definition.installer.is_none() {
            // Nothing would be taken from them.
            wanted.retain(|index| !index.is_udebs());
        }
        let (held, lost_indices) = indices::obtain(tools, &roots.suites, wanted, !self.is_whole()).await?;
        tools.stage("reading indices");
        let mut offer = Offer { lost_indices, ..Offer::default() };
        for held in &held {
            let url = &roots.suites[held.index.root].url;
            let origin = offer.origin(Source { url: Some(url.clone()), component: held.index.component.clone() });
            let universe = if held.index.is_udebs() { offer.udebs.entry(held.index.arch).or_default() } else { &mut offer.debs };
            indices::read(tools, url, held, universe, origin)?;
        }
        let (debs, udebs) = ("main".to_owned(), format!("main{}", indices::UDEBS));
        let debs = offer.origin(Source { url: None, component: debs });
        let udebs = offer.origin(Source { url: None, component: udebs });
        for package in roots.local.import(&tools.store)? {
            if !package.is_udeb {
                offer.debs.add(&package.stanza, debs)?;
                continue;
            }
            let archs = self.definition.installer.iter().flat_map(|installer| &installer.architectures);
            for arch in archs.filter(|arch| package.architecture == "all" || package.architecture == arch.debian()) {
                offer.udebs.entry(*arch).or_default().add(&package.stanza, udebs)?;
            }
        }
        Ok((offer, held))
    }

    async fn installers(&self, roots: &Roots, offer: &mut Offer, fetched: &mut Fetched) -> Result<Vec<Chosen>> {
        let mut installers = Vec::new();
        let Some(definition) = &self.definition.installer else { return Ok(installers) };
        let (tools, allow) = (&self.sync.tools, self.sync.options.allow_missing);
        tools.stage("choosing the installer");
        for arch in &definition.architectures {
            let chosen = installer::choose(tools, definition, *arch, &roots.suites, &roots.local, offer, allow).await?;
            fetched.files += chosen.obtained.files;
            fetched.bytes += chosen.obtained.bytes;
            installers.push(chosen);
        }
        Ok(installers)
    }

    async fn content(&self, roots: &Roots, held: &[Held], choice: Choice, installers: &[Chosen]) -> Result<Content> {
        let Sync { tools, key, .. } = self.sync;
        let mut content = Content::default();
        let items = &choice.items;
        content.suites = if self.is_whole() {
            let udebs = installers.iter().flat_map(|installer| installer.udebs.iter());
            let files = items.iter().chain(udebs).map(|item| &item.file);
            files.for_each(|file| content.tree.add(file.path.to_string(), file.sha256, file.size));
            whole::add_to(tools, &mut content.tree, self.definition, &roots.suites, held, installers).await?
        } else {
            let key = key.ok_or_else(|| Error::Usage("a filtered mirror needs the head's signing key".to_owned()))?;
            let like = &roots.suites.first().ok_or_else(|| Error::Usage("the definition names no suite".to_owned()))?.release;
            let name = &self.sync.mirror.name;
            let rebuilt = Rebuilt { name, mirror: self.definition, like, debs: items, installers, key, now: self.sync.now };
            vec![rebuilt.add_to(&mut content.tree, &tools.store)?]
        };
        for (number, root) in roots.suites.iter().enumerate() {
            for (name, bytes) in &root.files {
                content.upstream.add_bytes(&tools.store, format!("{number}/dists/{}/{name}", root.suite), bytes)?;
            }
        }
        for held in held {
            content.upstream.add(format!("{}/{}", held.index.root, held.file.path), held.file.sha256, held.file.size);
        }
        former::add_indices(self.sync.dir, &tools.store, &mut content.tree);
        let suite = content.suites.first().map(|suite| suite.suite.clone()).unwrap_or_default();
        let installer_suite = match &self.definition.installer {
            Some(installer) if self.is_whole() => installer.suite.clone(),
            _ => suite,
        };
        let udebs = items.iter().filter(|item| item.component.ends_with(indices::UDEBS)).count();
        content.packages = (items.len() - udebs) as u64;
        content.udebs = (udebs + installers.iter().map(|installer| installer.udebs.len()).sum::<usize>()) as u64;
        content.installers = installer::installer_files(&installer_suite, installers);
        content.left_out = choice.left_out;
        content.left_out.extend(installers.iter().flat_map(|installer| installer.left_out.iter().cloned()));
        Ok(content)
    }
}
