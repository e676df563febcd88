//! Fetching what the object store lacks, and telling how it goes.

use std::sync::Arc;

use super::progress::{Event, Progress};
use crate::domain::checksum::Sha256;
use crate::repo::deb::path::ArchivePath;
use crate::sys::fetch::{Fetcher, Job, Outcome, Watch};
use crate::sys::objects::ObjectStore;

/// A file that a snapshot is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the tree, relative to the archive's root.
    pub path: ArchivePath,
    /// Bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// Where it can be had; empty for what is in the store already (local files).
    pub urls: Vec<String>,
}

/// What every stage of a sync works with.
#[derive(Clone)]
pub struct Tools {
    /// Fetches.
    pub fetcher: Fetcher,
    /// Keeps.
    pub store: ObjectStore,
    /// Hears.
    pub progress: Arc<dyn Progress>,
}

impl Tools {
    /// Tells a person something that stops nothing.
    pub fn note(&self, text: &str) {
        self.progress.event(Event::Note(text));
    }

    /// A new stage begins.
    pub fn stage(&self, text: &str) {
        self.progress.event(Event::Stage(text));
    }

    /// Fetches those of the files that the store lacks, all of them whatever happens to one. Returns what went wrong: the file's position
    /// and its outcome.
    ///
    /// # Errors
    /// Only if the disk is full or failing.
    pub async fn obtain(&self, files: &[File]) -> std::io::Result<Obtained> {
        let mut lacking: Vec<usize> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (number, file) in files.iter().enumerate() {
            if !self.store.contains(file.sha256, file.size) && seen.insert(file.sha256) {
                lacking.push(number);
            }
        }
        // The largest first: a kernel that starts last is waited for alone.
        lacking.sort_by_key(|number| std::cmp::Reverse(files[*number].size));
        let bytes = lacking.iter().map(|number| files[*number].size).sum();
        let mut obtained = Obtained { files: lacking.len() as u64, bytes, failed: Vec::new() };
        if lacking.is_empty() {
            return Ok(obtained);
        }
        self.progress.event(Event::Fetching { files: obtained.files, bytes });
        let jobs = lacking.iter().map(|number| {
            let file = &files[*number];
            Job { urls: file.urls.clone(), size: file.size, sha256: file.sha256 }
        });
        let watch = Arc::new(Forward(Arc::clone(&self.progress)));
        let outcomes = self.fetcher.fetch_all(&self.store, jobs.collect(), watch).await;
        self.progress.event(Event::Fetched);
        let failed = lacking.into_iter().zip(outcomes?).filter(|(_, outcome)| *outcome != Outcome::Done);
        obtained.failed = failed.collect();
        obtained.failed.sort_by_key(|(number, _)| *number);
        Ok(obtained)
    }
}

/// What came of fetching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obtained {
    /// Files that the store lacked.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Which could not be had (positions), and why.
    pub failed: Vec<(usize, Outcome)>,
}

/// An outcome in words.
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "is there".to_owned(),
        Outcome::Missing => "upstream does not have it (404)".to_owned(),
        Outcome::Wrong { expected, got } => format!("upstream has something else under that name (expected {expected}, got {got})"),
        Outcome::Failed(problem) => format!("could not be fetched: {problem}"),
    }
}

struct Forward(Arc<dyn Progress>);

impl Watch for Forward {
    fn received(&self, bytes: i64) {
        self.0.event(Event::Received(bytes));
    }

    fn finished(&self, _: &Job, _: &Outcome) {
        self.0.event(Event::FileDone);
    }
}
