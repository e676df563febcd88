//! One sync of one mirror, from upstream's root files to a snapshot.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use time::OffsetDateTime;

use super::assemble::{self, Rebuilt, Tree};
use super::error::Incomplete;
use super::fetch::{File, Tools, describe};
use super::indices::{self, Held};
use super::installer::{self, Chosen};
use super::layout::MirrorDir;
use super::plan::{self, Item, Offer, Source};
use super::root::{self, Root};
use super::{Error, Result, keys, local};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::{Mirror, Snapshot};
use crate::domain::name::SnapshotId;
use crate::repo::deb::closure::Selection;
use crate::repo::deb::release::Release;
use crate::repo::openpgp::SigningKey;
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;
use crate::sys::lock::{self, Lock, Mode};
use crate::sys::objects::ObjectStore;

/// Raised when a sync would make something else of the same input.
const RECIPE: u32 = 1;
/// How long to wait for another command on the same mirror.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// What may be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Plan only. Indices (and an installer's initrd) are fetched to plan with; no snapshot is made.
    pub dry_run: bool,
    /// Leave out what upstream lost.
    pub allow_missing: bool,
}

/// What a sync came to.
#[derive(Clone, Debug)]
pub enum Synced {
    /// Nothing changed since this snapshot.
    Same(Snapshot),
    /// A new snapshot was made.
    New(Snapshot, Fetched),
    /// What would be done (`dry_run`).
    Planned(Planned),
}

/// What was fetched for a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a sync would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Packages of the snapshot.
    pub packages: u64,
    /// Installer packages of the snapshot.
    pub udebs: u64,
    /// Size of all of them, bytes.
    pub bytes: u64,
    /// Files that are still to be fetched.
    pub fetch_files: u64,
    /// Their sizes together.
    pub fetch_bytes: u64,
}

/// Takes the lock of whoever changes a mirror.
///
/// # Errors
/// If another command holds it.
pub async fn lock_mirror(mirror: &MirrorDir) -> Result<Lock> {
    Ok(lock::acquire(&mirror.lock(), Mode::Exclusive, LOCK_LIMIT).await?)
}

/// A sync's surroundings.
pub struct Sync<'a> {
    /// The head's key, which signs what is rebuilt; whole mirrors need none.
    pub key: Option<&'a SigningKey>,
    /// The mirror's folder, locked by the caller.
    pub dir: &'a MirrorDir,
    /// What to copy.
    pub mirror: &'a Mirror,
    /// What may be done.
    pub options: Options,
    /// Tools.
    pub tools: Tools,
    /// The time that signatures and dates are held against.
    pub now: OffsetDateTime,
}

impl Sync<'_> {
    /// Makes a snapshot of what upstream has now, unless the newest one is that already.
    ///
    /// # Errors
    /// [`Error`]; nothing that was published is touched.
    pub async fn run(&self) -> Result<Synced> {
        if self.options.allow_missing && plan::is_whole(self.mirror) {
            let text = "--allow-missing is refused: without a filter the suites are kept byte for byte with upstream's signature, and packages \
                        cannot be left out of an index that upstream signed; give the mirror a [filter]";
            return Err(Error::Refused(text.to_owned()));
        }
        let _objects = self.tools.store.lock(Mode::Shared, LOCK_LIMIT).await?;
        assemble::remove_unfinished(self.dir)?;
        let snapshots = self.dir.list()?;
        let newest = snapshots.last();
        let listing = local::list(&self.mirror.local)?;
        self.tools.stage("asking upstream");
        let mut roots = self.roots(newest).await?;
        let mut input = self.input(&roots, &listing)?;
        if let Some(same) = snapshots.iter().rev().find(|snapshot| snapshot.input == input && snapshot.left_out.is_empty()) {
            return Ok(Synced::Same(same.clone()));
        }
        for again in [true, false] {
            let outcome = self.snapshot_of(&roots, &listing, &input, newest).await;
            let (true, Err(Error::Incomplete(_) | Error::IndexFetch { .. } | Error::Installer { .. })) = (again, &outcome) else {
                return outcome;
            };
            // Upstream may have changed under way: then its new state is tried, once.
            let now = self.roots(newest).await?;
            if now.iter().map(|root| root.digest).eq(roots.iter().map(|root| root.digest)) {
                return outcome;
            }
            self.tools.note("upstream changed under way: reading it once more");
            roots = now;
            input = self.input(&roots, &listing)?;
        }
        Err(Error::Refused("upstream keeps changing: try again later".to_owned()))
    }

    async fn roots(&self, newest: Option<&Snapshot>) -> Result<Vec<Root>> {
        let held = newest.map(|snapshot| snapshot.upstream.as_slice()).unwrap_or_default();
        let mut fetches = Vec::new();
        for source in &self.mirror.sources {
            let ring = keys::keyring(&source.keyring)?;
            for suite in &source.suites {
                let ring = ring.clone();
                fetches.push(async move { root::fetch(&self.tools.fetcher, source, suite, &ring, held, self.now).await });
            }
        }
        try_join_all(fetches).await
    }

    /// Definition, upstream's state, local files and (where it signs) the head's key, in one digest.
    fn input(&self, roots: &[Root], listing: &local::Listing) -> Result<String> {
        let definition = serde_json::to_string(self.mirror).map_err(std::io::Error::other)?;
        let key = self.key.filter(|_| !plan::is_whole(self.mirror)).map(SigningKey::fingerprint).unwrap_or_default();
        let upstream: String = roots.iter().map(|root| format!("{} {} {}\n", root.url, root.suite, root.digest)).collect();
        let text = format!("{RECIPE}\n{definition}\n{key}\n{upstream}{}", listing.fingerprint);
        Ok(Sha256::of(text.as_bytes()).to_string())
    }

    async fn snapshot_of(&self, roots: &[Root], listing: &local::Listing, input: &str, newest: Option<&Snapshot>) -> Result<Synced> {
        let (mut offer, held) = self.offer(roots, listing).await?;
        let mut fetched = Fetched::default();
        let mut installers = Vec::new();
        if let Some(definition) = &self.mirror.installer {
            self.tools.stage("choosing the installer");
            for arch in &definition.architectures {
                let allow = self.options.allow_missing;
                let chosen = installer::choose(&self.tools, definition, *arch, roots, listing, &mut offer, allow).await?;
                fetched.files += chosen.obtained.files;
                fetched.bytes += chosen.obtained.bytes;
                installers.push(chosen);
            }
        }
        self.tools.stage("choosing packages");
        let mut choice = self.choose(&offer)?;
        if self.options.dry_run {
            return Ok(Synced::Planned(self.planned(&choice, &installers)));
        }
        self.tools.stage("fetching packages");
        self.fetch(&mut offer, &mut choice, &mut fetched).await?;
        let udebs_left = installers.iter().flat_map(|installer| installer.left_out.iter().cloned());
        let left_out: Vec<String> = choice.left_out.iter().cloned().chain(udebs_left).collect();
        drop(offer);
        self.tools.stage("writing the snapshot");
        let snapshot = self.write(roots, &held, &choice.items, &installers, left_out, input, newest).await?;
        Ok(Synced::New(snapshot, fetched))
    }

    /// Fetches and reads all indices and local packages.
    async fn offer(&self, roots: &[Root], listing: &local::Listing) -> Result<(Offer, Vec<Held>)> {
        self.tools.stage("fetching indices");
        let sources = self.mirror.sources.iter().flat_map(|source| source.suites.iter().map(move |_| source));
        let mut wanted = Vec::new();
        for (number, (root, source)) in roots.iter().zip(sources).enumerate() {
            wanted.extend(indices::wanted(root, number, source)?);
        }
        let held = indices::obtain(&self.tools, roots, wanted).await?;
        self.tools.stage("reading indices");
        let mut offer = Offer::default();
        for held in &held {
            let url = &roots[held.index.root].url;
            let origin = offer.origin(Source { url: Some(url.clone()), component: held.index.component.clone() });
            let universe = if held.index.is_udebs() { offer.udebs.entry(held.index.arch).or_default() } else { &mut offer.debs };
            indices::read(&self.tools, url, held, universe, origin)?;
        }
        let (debs, udebs) = ("main".to_owned(), format!("main{}", indices::UDEBS));
        let debs = offer.origin(Source { url: None, component: debs });
        let udebs = offer.origin(Source { url: None, component: udebs });
        for package in listing.import(&self.tools.store)? {
            if !package.is_udeb {
                offer.debs.add(&package.stanza, debs)?;
                continue;
            }
            let archs = self.mirror.installer.iter().flat_map(|installer| &installer.architectures);
            for arch in archs.filter(|arch| package.architecture == "all" || package.architecture == arch.debian()) {
                offer.udebs.entry(*arch).or_default().add(&package.stanza, udebs)?;
            }
        }
        Ok((offer, held))
    }

    fn choose(&self, offer: &Offer) -> Result<Choice> {
        let selection = plan::select(&offer.debs, self.mirror.filter.as_ref());
        let mut taken = BTreeMap::new();
        let mut items = plan::items(offer, &offer.debs, &selection.packages, &mut taken)?;
        if self.mirror.filter.is_none() {
            // A whole mirror: the installer's packages as they stand in upstream's index.
            for udebs in offer.udebs.values().filter(|_| plan::is_whole(self.mirror)) {
                items.extend(plan::items(offer, udebs, udebs.sorted(), &mut taken)?);
            }
        }
        let mut choice = Choice { items, ..Choice::default() };
        choice.check(&selection, self.options.allow_missing)?;
        Ok(choice)
    }

    fn planned(&self, choice: &Choice, installers: &[Chosen]) -> Planned {
        let lacking: BTreeMap<Sha256, u64> = choice
            .items
            .iter()
            .map(|item| (item.file.sha256, item.file.size))
            .filter(|(sha256, size)| !self.tools.store.contains(*sha256, *size))
            .collect();
        let udebs = installers.iter().flat_map(|installer| &installer.udebs);
        Planned {
            packages: choice.items.len() as u64,
            udebs: udebs.clone().count() as u64,
            bytes: choice.items.iter().chain(udebs).map(|item| item.file.size).sum(),
            fetch_files: lacking.len() as u64,
            fetch_bytes: lacking.values().sum(),
        }
    }

    /// Fetches what was chosen. What upstream lost is replaced by local packages, or left out by leave, or reported as a whole.
    async fn fetch(&self, offer: &mut Offer, choice: &mut Choice, fetched: &mut Fetched) -> Result<()> {
        let mut lost: Vec<Item> = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        loop {
            let files: Vec<File> = choice.items.iter().map(|item| item.file.clone()).collect();
            let obtained = self.tools.obtain(&files).await?;
            fetched.files += obtained.files - obtained.failed.len() as u64;
            fetched.bytes += obtained.bytes - obtained.failed.iter().map(|(number, _)| files[*number].size).sum::<u64>();
            if obtained.failed.is_empty() {
                break;
            }
            for (number, outcome) in &obtained.failed {
                let item = &choice.items[*number];
                let needed = plan::needed_by(&choice.items, &item.name);
                lines.push(format!("{} ({}): {}; needed by {needed}", item.file.path, item.label, describe(outcome)));
                lost.push(item.clone());
            }
            if plan::is_whole(self.mirror) {
                return Err(lost_files(
                    lines,
                    "this mirror keeps upstream's own indices, so that all they name must be there: try again later",
                ));
            }
            lost.iter().for_each(|item| offer.debs.leave_out(item.id));
            match self.choose(offer) {
                Ok(next) => *choice = next,
                Err(_) if !self.options.allow_missing => return Err(lost_files(lines, REMEDY)),
                Err(other) => return Err(other),
            }
            let (_, gone) = plan::replaced_locally(&lost, &choice.items);
            if !gone.is_empty() && !self.options.allow_missing {
                return Err(lost_files(lines, REMEDY));
            }
        }
        let (replaced, gone) = plan::replaced_locally(&lost, &choice.items);
        replaced.iter().for_each(|label| self.tools.note(&format!("upstream lost {label}: the local package takes its place")));
        if !gone.is_empty() {
            choice.left_out.extend(lines);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what a snapshot is made of")]
    async fn write(
        &self,
        roots: &[Root],
        held: &[Held],
        items: &[Item],
        installers: &[Chosen],
        left_out: Vec<String>,
        input: &str,
        newest: Option<&Snapshot>,
    ) -> Result<Snapshot> {
        let (mut tree, mut upstream) = (Tree::default(), Tree::default());
        let suites = if plan::is_whole(self.mirror) {
            let files = items.iter().map(|item| &item.file);
            let udebs = installers.iter().flat_map(|installer| installer.udebs.iter().map(|item| &item.file));
            files.chain(udebs).for_each(|file| tree.add(file.path.to_string(), file.sha256, file.size));
            super::whole::add_to(&self.tools, &mut tree, self.mirror, roots, held, installers).await?
        } else {
            let key = self.key.ok_or_else(|| Error::Usage("a filtered mirror needs the head's signing key".to_owned()))?;
            let like = &roots.first().ok_or_else(|| Error::Usage("the definition names no suite".to_owned()))?.release;
            let rebuilt = Rebuilt { mirror: self.mirror, like, debs: items, installers, key, now: self.now };
            vec![rebuilt.add_to(&mut tree, &self.tools.store)?]
        };
        // Upstream's own files are kept, so that nothing is fetched twice and what a snapshot was made from can be looked at.
        for (number, root) in roots.iter().enumerate() {
            for (name, bytes) in &root.files {
                upstream.add_bytes(&self.tools.store, format!("{number}/dists/{}/{name}", root.suite), bytes)?;
            }
        }
        for held in held {
            upstream.add(format!("{}/{}", held.index.root, held.file.path), held.file.sha256, held.file.size);
        }
        self.add_former_indices(&mut tree);
        let suite = suites.first().map(|suite| suite.suite.clone()).unwrap_or_default();
        let installer_suite = match &self.mirror.installer {
            Some(installer) if plan::is_whole(self.mirror) => installer.suite.clone(),
            _ => suite,
        };
        let udebs = items.iter().filter(|item| item.component.ends_with(indices::UDEBS)).count();
        let record = Snapshot {
            id: placeholder()?,
            mirror: self.mirror.name.clone(),
            made: self.now,
            upstream: roots.iter().map(Root::state).collect(),
            suites,
            packages: (items.len() - udebs) as u64,
            udebs: (udebs + installers.iter().map(|installer| installer.udebs.len()).sum::<usize>()) as u64,
            files: 0,
            bytes: 0,
            installers: assemble::installer_files(&installer_suite, installers),
            left_out,
            input: input.to_owned(),
        };
        let record = self.dated_after(record, newest);
        assemble::write(self.dir, &self.tools.store, &tree, &upstream, record)
    }

    /// Snapshot names, which have whole seconds, sort by age: also when two are made in one second, or the clock was set back.
    fn dated_after(&self, mut record: Snapshot, newest: Option<&Snapshot>) -> Snapshot {
        record.made = record.made.replace_nanosecond(0).unwrap_or(record.made);
        if let Some(newest) = newest.filter(|newest| newest.made >= record.made) {
            record.made = newest.made + Duration::from_secs(1);
        }
        record
    }

    /// A client that read the former root file still finds its indices by hash.
    fn add_former_indices(&self, tree: &mut Tree) {
        let Some(former) = self.dir.published() else { return };
        let dists = self.dir.tree(&former).join("dists");
        let Ok(Some(record)) = self.dir.read(&former) else { return };
        for suite in record.suites.iter().filter(|suite| suite.rebuilt) {
            let text = std::fs::read_to_string(dists.join(&suite.suite).join("Release")).unwrap_or_default();
            let Ok(release) = Release::parse(&text) else { continue };
            for (path, entry) in release
                .files
                .iter()
                .filter(|(path, entry)| path.file_name().starts_with("Packages") && self.tools.store.contains(entry.sha256, entry.size))
            {
                let folder = path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
                let path = format!("dists/{}/{folder}/by-hash/SHA256/{}", suite.suite, entry.sha256);
                tree.add(path, entry.sha256, entry.size);
            }
        }
    }
}

const REMEDY: &str = "try again when upstream has them, put replacements into a directory and add it by `--local DIR`, or leave them out with \
                      --allow-missing";

fn lost_files(files: Vec<String>, remedy: &str) -> Error {
    Error::Incomplete(Box::new(Incomplete { files, remedy: format!("to do: {remedy}"), ..Incomplete::default() }))
}

/// The packages that a snapshot takes.
#[derive(Clone, Debug, Default)]
struct Choice {
    items: Vec<Item>,
    left_out: Vec<String>,
}

impl Choice {
    /// Refuses a selection that is not closed, unless what is missing may be left out.
    fn check(&mut self, selection: &Selection, allow_missing: bool) -> Result<()> {
        let incomplete = Incomplete {
            files: Vec::new(),
            dependencies: selection.missing.iter().map(ToString::to_string).collect(),
            unknown_names: selection.unknown_names.clone(),
            remedy:
                "to do: correct the [filter] of the mirror's definition (a suite or component may be missing from [[source]]), give the \
                     packages in a directory by `--local DIR`, or sync with --allow-missing"
                    .to_owned(),
        };
        if incomplete.is_empty() {
            return Ok(());
        }
        if !allow_missing {
            return Err(Error::Incomplete(Box::new(incomplete)));
        }
        self.left_out.extend(incomplete.dependencies);
        self.left_out.extend(incomplete.unknown_names.into_iter().map(|name| format!("{name}: no package has that name")));
        Ok(())
    }
}

/// Stands in until the tree is known.
fn placeholder() -> Result<SnapshotId> {
    "00000000T000000Z-00000000".parse().map_err(|error| Error::Usage(format!("{error}")))
}

/// Opens a head's object store.
///
/// # Errors
/// If its folder cannot be made.
pub fn open_store(data: &DataDir) -> Result<ObjectStore> {
    std::fs::create_dir_all(data.root()).map_err(|error| atomic::named(error, "create", data.root()))?;
    Ok(ObjectStore::open(data.objects())?)
}
