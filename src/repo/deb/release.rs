//! Release files: what a suite consists of, and how old it is.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::path::ArchivePath;
use crate::domain::checksum::Sha256;

/// A file that a Release names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// A parsed Release file. Text fields that are absent are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Who made it, such as `Debian`.
    pub origin: String,
    /// Such as `Debian`.
    pub label: String,
    /// Such as `stable`.
    pub suite: String,
    /// Such as `trixie`.
    pub codename: String,
    /// Such as `13.2`.
    pub version: String,
    /// What it is.
    pub description: String,
    /// When it was made.
    pub date: OffsetDateTime,
    /// Until when it may be used. Ubuntu and Debian's main suite have none.
    pub valid_until: Option<OffsetDateTime>,
    /// Such as `main`, `updates/main`; empty in a flat repository.
    pub components: Vec<String>,
    /// Such as `all`, `amd64`; empty in a flat repository.
    pub architectures: Vec<String>,
    /// Files can be fetched as `by-hash/SHA256/<digest>` beside where they are named.
    pub acquire_by_hash: bool,
    /// `No-Support-for-Architecture-all: Packages`: each architecture's index already holds the `all` packages, `binary-all` repeats them.
    pub no_support_for_arch_all: bool,
    /// Files by their path relative to the Release file. Not all exist on the server: the uncompressed ones often do not.
    pub files: BTreeMap<ArchivePath, FileEntry>,
}

/// Why a Release file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Not deb822, or a field out of its form.
    #[error("Release file, {field}: {problem}")]
    Malformed {
        /// The field.
        field: String,
        /// What is wrong with it, with the value.
        problem: String,
    },
    /// Files have MD5 or SHA-1 digests only.
    #[error("the Release file has no SHA256 digests, only weaker ones: refused; ask the archive's keeper for SHA256")]
    WeakDigests,
    /// Its Valid-Until has passed.
    #[error(
        "the Release file of {suite} expired at {valid_until} (now {now}): upstream is stale or replayed; check the address and the clock"
    )]
    Expired {
        /// The suite.
        suite: String,
        /// When.
        valid_until: OffsetDateTime,
        /// The time it was checked.
        now: OffsetDateTime,
    },
    /// Older than what is held already.
    #[error("the Release file of {suite} is dated {date}, older than the {held} already held: refused as a rollback")]
    Rollback {
        /// The suite.
        suite: String,
        /// Its date.
        date: OffsetDateTime,
        /// The date of the one held.
        held: OffsetDateTime,
    },
}

impl Release {
    /// Parses the verified text of a Release file.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        todo!()
    }

    /// The text of a Release file as apt, debootstrap and the Debian installer read it. No line ends in a blank, so that it can be signed.
    pub fn to_text(&self) -> String {
        todo!()
    }

    /// Refuses a Release past its Valid-Until, or dated before the one already held.
    pub fn check(&self, now: OffsetDateTime, held: Option<OffsetDateTime>) -> Result<(), ReleaseError> {
        todo!()
    }
}
