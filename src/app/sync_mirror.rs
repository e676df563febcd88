//! `mirror sync`: brings a mirror up to date and publishes what came of it.

use std::sync::Arc;

use time::OffsetDateTime;

use super::add_mirror::read_mirror;
use super::head_keys::signing_key;
use super::{Error, Result};
use crate::domain::mirror::Snapshot;
use crate::domain::name::MirrorName;
use crate::mirror::fetch::Tools;
use crate::mirror::layout::MirrorDir;
use crate::mirror::sync::{self, Fetched, Options, Planned, Sync, Synced};
use crate::mirror::{Progress, publish};
use crate::sys::data_dir::DataDir;
use crate::sys::fetch::{Fetcher, PARALLEL};

/// How to sync.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncOptions {
    /// Plan only.
    pub dry_run: bool,
    /// Leave out what upstream lost.
    pub allow_missing: bool,
    /// Make the snapshot, but do not publish it.
    pub no_publish: bool,
    /// Ask only the sources that bring updates.
    pub updates_only: bool,
    /// Downloads at a time; eight if not said.
    pub parallel: Option<usize>,
}

/// What a sync came to.
#[derive(Clone, Debug)]
pub enum SyncReport {
    /// What would be done.
    Planned(Planned),
    /// The snapshot that upstream's state makes.
    Done {
        /// It.
        snapshot: Box<Snapshot>,
        /// What was fetched for it; `None` if it was there already.
        fetched: Option<Fetched>,
        /// Whether it is published now, and if not, why.
        published: Published,
    },
}

/// Whether a snapshot is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is.
    Yes,
    /// A rollback holds the mirror at another snapshot.
    Held,
    /// Nobody wanted it.
    NotAsked,
}

impl Published {
    /// In a word, as output tells it. `is_new`: the snapshot was made by this sync.
    pub fn word(self, is_new: bool) -> &'static str {
        match (self, is_new) {
            (Self::Held, _) => "held",
            (Self::NotAsked, _) => "not published",
            (Self::Yes, false) => "unchanged",
            (Self::Yes, true) => "published",
        }
    }
}

/// Syncs one mirror.
///
/// # Errors
/// [`Error::Mirror`]; what was published stays published.
pub async fn sync_mirror(data: &DataDir, name: &MirrorName, options: SyncOptions, progress: Arc<dyn Progress>) -> Result<SyncReport> {
    let mirror = read_mirror(data, name)?;
    let dir = MirrorDir::new(data, name);
    let _lock = sync::lock_mirror(&dir).await.map_err(Error::from)?;
    let fetcher =
        Fetcher::new(options.parallel.unwrap_or(PARALLEL)).map_err(|error| Error::Refused(format!("TLS cannot be set up: {error}")))?;
    let tools = Tools { fetcher, store: sync::open_store(data)?, progress };
    let key = if mirror.is_whole() { None } else { Some(signing_key(data)?) };
    let synced = Sync {
        key: key.as_ref(),
        dir: &dir,
        mirror: &mirror,
        options: Options { dry_run: options.dry_run, allow_missing: options.allow_missing, updates_only: options.updates_only },
        tools,
        now: OffsetDateTime::now_utc(),
    };
    let (snapshot, fetched) = match synced.run().await? {
        Synced::Planned(planned) => return Ok(SyncReport::Planned(planned)),
        Synced::Same(snapshot) => (snapshot, None),
        Synced::New(snapshot, fetched) => (snapshot, Some(fetched)),
    };
    let published = dir.published();
    let published = if published.as_ref() == Some(&snapshot.id) {
        Published::Yes
    } else if dir.is_held() {
        Published::Held
    } else if options.no_publish || options.dry_run {
        Published::NotAsked
    } else {
        publish::publish(&dir, &snapshot.id)?;
        Published::Yes
    };
    Ok(SyncReport::Done { snapshot: Box::new(snapshot), fetched, published })
}
