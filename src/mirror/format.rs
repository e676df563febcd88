//! The seam between what every mirror does ([`super::sync`], snapshots, publishing, pruning) and what a repository format does.

use super::assemble::Tree;
use super::sync::{Fetched, Planned};
use super::{Error, Result};
use crate::domain::mirror::{InstallerFiles, PublishedRepository, PublishedSuite, Snapshot, UpstreamState};

/// What a repository format does for a sync. Two steps: ask upstream what it has, which is cheap, and gather all of that, which is not.
pub(super) trait Format {
    /// Upstream's roots of trust, fetched and verified.
    type Roots;

    /// Asks upstream what it has now. `newest`: something older than what it was made from is refused as a rollback; with `updates_only` it
    /// stands for all that brings no updates.
    async fn ask(&self, newest: Option<&Snapshot>) -> Result<Self::Roots>;

    /// What the snapshot will remember of them.
    fn states(&self, roots: &Self::Roots) -> Vec<UpstreamState>;

    /// What else the snapshot is made from, as text that changes with it: files of the site, an installer's root file.
    fn further_input(&self, roots: &Self::Roots) -> String;

    /// Chooses and fetches what the roots lead to; with `dry_run` only says what that would be.
    async fn gather(&self, roots: &Self::Roots) -> Result<Gathered>;
}

/// What gathering came to.
pub(super) enum Gathered {
    /// What would be done (`dry_run`).
    Planned(Planned),
    /// What a snapshot is made of; all its files are in the object store.
    Content(Box<Content>, Fetched),
}

/// What a snapshot is made of.
#[derive(Default)]
pub(super) struct Content {
    /// What clients see.
    pub tree: Tree,
    /// Upstream's own root files and indices, kept so that nothing is fetched twice and what a snapshot was made from can be looked at.
    pub upstream: Tree,
    /// Suites that a client can name.
    pub suites: Vec<PublishedSuite>,
    /// RPM repositories that a client can name.
    pub repositories: Vec<PublishedRepository>,
    /// Packages.
    pub packages: u64,
    /// Packages of Debian's installer.
    pub udebs: u64,
    /// Kernels and initrds.
    pub installers: Vec<InstallerFiles>,
    /// What was left out, by leave.
    pub left_out: Vec<String>,
}

/// True if the reason may be that upstream changed under way: then its new state is worth a try.
pub(super) fn may_have_changed(error: &Error) -> bool {
    matches!(error, Error::Incomplete(_) | Error::IndexFetch { .. } | Error::Installer { .. })
}
