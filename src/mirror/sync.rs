//! One sync of one mirror, from upstream's root files to a snapshot; what depends on the repository format is behind `format`.

use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;

use super::deb::Debian;
use super::directory::Directory;
use super::fetch::Tools;
use super::format::{Format, Gathered, may_have_changed};
use super::layout::MirrorDir;
use super::medium::Medium;
use super::rpm::Rpm;
use super::{Error, Result, assemble, record};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::{Mirror, Snapshot, Upstream, UpstreamState};
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
    /// Ask upstream only for what brings updates; the rest is taken from the newest snapshot as it was.
    pub updates_only: bool,
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

/// What a snapshot keeps of a suite or repository of upstream.
#[derive(Clone, Debug)]
pub struct Kept<'a> {
    /// The folder of upstream's own files.
    pub folder: PathBuf,
    /// What it was like.
    pub state: &'a UpstreamState,
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
        if self.options.allow_missing && self.mirror.is_whole() {
            let text = "--allow-missing is refused: without a filter upstream's own index is kept byte for byte with upstream's signature, and \
                        packages cannot be left out of it; give the mirror a [filter]";
            return Err(Error::Refused(text.to_owned()));
        }
        let _objects = self.tools.store.lock(Mode::Shared, LOCK_LIMIT).await?;
        assemble::remove_unfinished(self.dir)?;
        match &self.mirror.upstream {
            Upstream::Debian(definition) => self.run_as(&Debian { sync: self, definition }).await,
            Upstream::Rpm(definition) => self.run_as(&Rpm { sync: self, definition }).await,
            Upstream::Directory(definition) => self.run_as(&Directory { sync: self, definition }).await,
            Upstream::Medium(definition) => self.run_as(&Medium { sync: self, definition }).await,
        }
    }

    async fn run_as(&self, format: &impl Format) -> Result<Synced> {
        let snapshots = self.dir.list()?;
        let newest = snapshots.last();
        self.tools.stage("asking upstream");
        let mut roots = format.ask(newest).await?;
        let mut states = format.states(&roots);
        let mut input = self.input(&states, &format.further_input(&roots))?;
        if let Some(same) = snapshots.iter().rev().find(|snapshot| snapshot.input == input && snapshot.left_out.is_empty()) {
            return Ok(Synced::Same(same.clone()));
        }
        for again in [true, false] {
            match format.gather(&roots).await {
                Ok(Gathered::Planned(planned)) => return Ok(Synced::Planned(planned)),
                Ok(Gathered::Content(content, fetched)) => {
                    self.tools.stage("writing the snapshot");
                    let snapshot = record::of(self, &content, states, input, newest)?;
                    let snapshot = assemble::write(self.dir, &self.tools.store, &content.tree, &content.upstream, snapshot)?;
                    return Ok(Synced::New(snapshot, fetched));
                }
                Err(error) if !again || !may_have_changed(&error) => return Err(error),
                Err(error) => {
                    // Upstream may have changed under way: then its new state is tried, once.
                    roots = format.ask(newest).await?;
                    states = format.states(&roots);
                    let now = self.input(&states, &format.further_input(&roots))?;
                    if now == input {
                        return Err(error);
                    }
                    input = now;
                    self.tools.note("upstream changed under way: reading it once more");
                }
            }
        }
        Err(Error::Refused("upstream keeps changing: try again later".to_owned()))
    }

    /// What the newest snapshot keeps of a suite or repository that is not to be asked for: where upstream's own files of it are, and what
    /// it was like. `None`: upstream is to be asked.
    pub(super) fn kept<'b>(&self, newest: Option<&'b Snapshot>, url: &str, name: &str, is_asked: bool) -> Option<Kept<'b>> {
        let newest = newest.filter(|_| self.options.updates_only && !is_asked)?;
        let number = newest.upstream.iter().position(|state| state.url == url && state.suite == name)?;
        Some(Kept { folder: self.dir.upstream(&newest.id).join(number.to_string()), state: &newest.upstream[number] })
    }

    /// Definition, upstream's state, further input and (where it signs) the head's key, in one digest.
    fn input(&self, states: &[UpstreamState], further: &str) -> Result<String> {
        // When a mirror is refreshed changes nothing of what comes of it.
        let definition = serde_json::to_string(&Mirror { refresh: None, ..self.mirror.clone() }).map_err(std::io::Error::other)?;
        let key = self.key.filter(|_| !self.mirror.is_whole()).map(SigningKey::fingerprint).unwrap_or_default();
        let upstream: String = states.iter().map(|state| format!("{} {} {}\n", state.url, state.suite, state.release)).collect();
        let text = format!("{RECIPE}\n{definition}\n{key}\n{upstream}{further}");
        Ok(Sha256::of(text.as_bytes()).to_string())
    }
}

/// Opens a head's object store.
///
/// # Errors
/// If its folder cannot be made.
pub fn open_store(data: &DataDir) -> Result<ObjectStore> {
    std::fs::create_dir_all(data.root()).map_err(|error| atomic::named(error, "create", data.root()))?;
    Ok(ObjectStore::open(data.objects())?)
}
