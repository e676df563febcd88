//! `mirror refresh`: a sync that asks the update sources only, and tells what it brought.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::add_mirror::read_mirror;
use super::sync_mirror::{SyncOptions, SyncReport, sync_mirror};
use super::{Error, Result};
use crate::domain::advisory;
use crate::domain::mirror::Snapshot;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::package::PackageStep;
use crate::mirror::advisories::{Baseline, advisories};
use crate::mirror::layout::{self, MirrorDir};
use crate::mirror::{Progress, contents};
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;

/// What a refresh came to; kept as the mirror's `refresh.json`, so that a failure shows until the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    /// The mirror.
    pub name: MirrorName,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// `published`, `unchanged`, `held`, `not published`, `planned` or `failed`.
    pub result: String,
    /// Why it failed.
    pub problem: Option<String>,
    /// The snapshot that upstream's state makes.
    pub snapshot: Option<SnapshotId>,
    /// The snapshot that it is compared with: what was published before.
    pub former: Option<SnapshotId>,
    /// Packages that came, each version counted.
    pub added: usize,
    /// Packages that went.
    pub superseded: usize,
    /// Advisories that the former snapshot lacked, by severity; those that are not about security under `other`.
    pub advisories: BTreeMap<String, usize>,
    /// Files fetched (with `--dry-run`: to be fetched).
    pub fetched_files: u64,
    /// Their sizes together.
    pub fetched_bytes: u64,
}

/// A refresh in full.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefreshReport {
    /// What is kept of it.
    #[serde(flatten)]
    pub refresh: Refresh,
    /// What became of each package.
    pub packages: Vec<PackageStep>,
    /// What was left out, by leave.
    pub left_out: Vec<String>,
}

/// Refreshes one mirror.
///
/// # Errors
/// [`Error::Mirror`]; what was published stays published, and `status` tells of it.
pub async fn refresh_mirror(data: &DataDir, name: &MirrorName, options: SyncOptions, progress: Arc<dyn Progress>) -> Result<RefreshReport> {
    read_mirror(data, name)?;
    let dir = MirrorDir::new(data, name);
    let at = OffsetDateTime::now_utc();
    let former = former(&dir)?;
    let outcome = match sync_mirror(data, name, SyncOptions { updates_only: true, ..options }, progress).await {
        Ok(synced) => report(data, &dir, at, &former, synced),
        Err(error) => Err(error),
    };
    if options.dry_run {
        return outcome;
    }
    let record = match &outcome {
        Ok(report) => report.refresh.clone(),
        Err(error) => Refresh { problem: Some(whole(error)), ..blank(name, at, "failed", Some(&former)) },
    };
    keep(&dir, &record)?;
    outcome
}

/// What the last refresh of a mirror came to.
///
/// # Errors
/// If its record does not read.
pub fn last_refresh(dir: &MirrorDir) -> Result<Option<Refresh>> {
    Ok(layout::read_json(&dir.refreshed()).map_err(crate::mirror::Error::from)?)
}

fn keep(dir: &MirrorDir, record: &Refresh) -> Result<()> {
    let json = serde_json::to_vec_pretty(record).map_err(std::io::Error::other);
    let written = json.and_then(|json| atomic::write(&dir.refreshed(), &json, 0o644));
    Ok(written.map_err(crate::mirror::Error::from)?)
}

/// What clients see before the refresh.
fn former(dir: &MirrorDir) -> Result<Snapshot> {
    let snapshots = dir.list().map_err(crate::mirror::Error::from)?;
    let published = dir.published();
    let found = snapshots.iter().find(|snapshot| Some(&snapshot.id) == published.as_ref()).or(snapshots.last());
    found.cloned().ok_or_else(|| crate::mirror::Error::NothingPublished(dir.name().clone()).into())
}

fn blank(name: &MirrorName, at: OffsetDateTime, result: &str, former: Option<&Snapshot>) -> Refresh {
    Refresh {
        name: name.clone(),
        at,
        result: result.to_owned(),
        problem: None,
        snapshot: None,
        former: former.map(|former| former.id.clone()),
        added: 0,
        superseded: 0,
        advisories: BTreeMap::new(),
        fetched_files: 0,
        fetched_bytes: 0,
    }
}

fn report(data: &DataDir, dir: &MirrorDir, at: OffsetDateTime, former: &Snapshot, synced: SyncReport) -> Result<RefreshReport> {
    let mut refresh = blank(dir.name(), at, "planned", Some(former));
    let (mut packages, mut left_out) = (Vec::new(), Vec::new());
    match synced {
        SyncReport::Planned(planned) => {
            (refresh.fetched_files, refresh.fetched_bytes) = (planned.fetch_files, planned.fetch_bytes);
        }
        SyncReport::Done { snapshot, fetched, published } => {
            refresh.result = published.word(fetched.is_some()).to_owned();
            let fetched = fetched.unwrap_or_default();
            (refresh.fetched_files, refresh.fetched_bytes) = (fetched.files, fetched.bytes);
            if snapshot.id != former.id {
                let read = |snapshot: &Snapshot| contents::read(&dir.tree(&snapshot.id), snapshot);
                let (before, after) = (read(former)?, read(&snapshot)?);
                let format = contents::format(&snapshot);
                let changes = contents::changes(format, &before, &after);
                (refresh.added, refresh.superseded, packages) = (changes.added, changes.superseded, changes.steps);
                let baseline = Baseline::of_snapshot(format, &before);
                let mirror = read_mirror(data, dir.name())?;
                refresh.advisories = advisory::count(&advisories(dir, &mirror, &snapshot, Some(&baseline))?);
            }
            refresh.snapshot = Some(snapshot.id);
            left_out = snapshot.left_out;
        }
    }
    Ok(RefreshReport { refresh, packages, left_out })
}

/// An error with its causes in one line.
fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.contains(&error.to_string()) {
            text = format!("{text}: {error}");
        }
        cause = error.source();
    }
    text
}
