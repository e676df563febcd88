//! Checking that a snapshot is what it was: every file of its tree against the digest of its object.

use std::collections::HashMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::Result;
use super::layout::MirrorDir;
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::Snapshot;
use crate::repo::openpgp::Keyring;
use crate::sys::join::inside;
use crate::sys::objects::digest_of;

/// What is wrong with a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files that were read.
    pub files: u64,
    /// Their sizes together, bytes.
    pub bytes: u64,
    /// One line a problem.
    pub problems: Vec<String>,
}

/// What a snapshot's own indices promise.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// By path in the tree.
    pub files: HashMap<String, FileEntry>,
    /// What is wrong with the indices themselves.
    pub problems: Vec<String>,
}

/// Reads everything that a snapshot's own indices name and compares sizes and digests; checks the head's signature on rebuilt suites.
///
/// # Errors
/// If the snapshot's folders do not read at all.
pub fn verify(dir: &MirrorDir, snapshot: &Snapshot, key: Option<&Keyring>, now: time::OffsetDateTime) -> Result<Findings> {
    let tree = dir.tree(&snapshot.id);
    let mut findings = Findings::default();
    let mut expected = Expected::default();
    super::deb::expected(&tree, snapshot, key, now, &mut expected);
    super::rpm::expected(&tree, snapshot, key, now, &mut expected);
    super::medium::expected(&tree, snapshot, &mut expected);
    findings.problems = expected.problems;
    let checked: Vec<(u64, Option<String>)> =
        expected.files.par_iter().map(|(path, entry)| (entry.size, check(&tree, path, *entry).err())).collect();
    for (size, problem) in checked {
        findings.files += 1;
        findings.bytes += size;
        findings.problems.extend(problem);
    }
    findings.problems.sort();
    Ok(findings)
}

fn check(tree: &std::path::Path, path: &str, FileEntry { size, sha256 }: FileEntry) -> std::result::Result<(), String> {
    let place: PathBuf = inside(tree, path).map_err(|error| error.to_string())?;
    let found = std::fs::metadata(&place).map_err(|error| format!("{path}: {error}"))?.len();
    if found != size {
        return Err(format!("{path}: has {found} bytes instead of {size}"));
    }
    let digest = digest_of(&place).map_err(|error| format!("{path}: {error}"))?;
    if digest == sha256 { Ok(()) } else { Err(format!("{path}: has SHA-256 {digest} instead of {sha256}")) }
}
