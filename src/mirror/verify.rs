//! Checking that a snapshot is what it was: every file of its tree against the digest of its object.

use std::collections::HashMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::Result;
use super::layout::MirrorDir;
use crate::domain::checksum::Sha256;
use crate::domain::mirror::Snapshot;
use crate::repo::deb::packages::Package;
use crate::repo::deb::paragraph::Paragraphs;
use crate::repo::deb::release::Release;
use crate::repo::openpgp::{Keyring, verify_detached};
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

/// Reads everything that a snapshot's own indices name and compares sizes and digests; checks the head's signature on rebuilt suites.
///
/// # Errors
/// If the snapshot's folders do not read at all.
pub fn verify(dir: &MirrorDir, snapshot: &Snapshot, key: Option<&Keyring>, now: time::OffsetDateTime) -> Result<Findings> {
    let tree = dir.tree(&snapshot.id);
    let mut findings = Findings::default();
    let mut expected: HashMap<String, (Sha256, u64)> = HashMap::new();
    for suite in &snapshot.suites {
        let dists = format!("dists/{}", suite.suite);
        let folder = tree.join(&dists);
        let text = std::fs::read_to_string(folder.join("Release")).or_else(|_| std::fs::read_to_string(folder.join("InRelease")));
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                findings.problems.push(format!("{dists}/Release: {error}"));
                continue;
            }
        };
        if let (true, Some(key)) = (suite.rebuilt, key) {
            let signature = std::fs::read(folder.join("Release.gpg")).unwrap_or_default();
            if let Err(error) = verify_detached(text.as_bytes(), &signature, key, now) {
                findings.problems.push(format!("{dists}/Release.gpg: {error}"));
            }
        }
        let body = signed_part(&text);
        match Release::parse(body) {
            Err(error) => findings.problems.push(format!("{dists}/Release: {error}")),
            Ok(release) => {
                for (path, entry) in release.files {
                    let path = format!("{dists}/{path}");
                    // A whole suite's Release names files that are not mirrored.
                    if suite.rebuilt || tree.join(&path).exists() {
                        expected.insert(path, (entry.sha256, entry.size));
                    }
                }
            }
        }
    }
    for path in expected.keys().filter(|path| path.ends_with("/Packages.gz") || path.ends_with("/Packages.xz")).cloned().collect::<Vec<_>>()
    {
        if let Err(problem) = read_index(&tree.join(&path), &mut expected) {
            findings.problems.push(format!("{path}: {problem}"));
        }
    }
    let checked: Vec<(u64, Option<String>)> =
        expected.par_iter().map(|(path, (sha256, size))| (*size, check(&tree, path, *sha256, *size).err())).collect();
    for (size, problem) in checked {
        findings.files += 1;
        findings.bytes += size;
        findings.problems.extend(problem);
    }
    findings.problems.sort();
    Ok(findings)
}

/// The text within a cleartext signature, or the text as it is.
fn signed_part(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----") else { return text };
    let body = rest.split_once("\n\n").map_or("", |(_, body)| body);
    body.split_once("-----BEGIN PGP SIGNATURE-----").map_or(body, |(body, _)| body)
}

fn read_index(path: &PathBuf, expected: &mut HashMap<String, (Sha256, u64)>) -> std::result::Result<(), String> {
    let name = path.to_string_lossy();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let reader = crate::repo::compress::decompress_bounded(
        std::io::BufReader::new(file),
        crate::repo::compress::Compression::of_name(&name),
        1 << 30,
    )
    .map_err(|error| error.to_string())?;
    let mut paragraphs = Paragraphs::new(std::io::BufReader::new(reader));
    while let Some(paragraph) = paragraphs.next().map_err(|error| super::error::chain(&error))? {
        let file = Package::parse(paragraph.text()).and_then(|package| package.file()).map_err(|error| super::error::chain(&error))?;
        expected.insert(file.path.to_string(), (file.sha256, file.size));
    }
    Ok(())
}

fn check(tree: &std::path::Path, path: &str, sha256: Sha256, size: u64) -> std::result::Result<(), String> {
    let place: PathBuf = inside(tree, path).map_err(|error| error.to_string())?;
    let found = std::fs::metadata(&place).map_err(|error| format!("{path}: {error}"))?.len();
    if found != size {
        return Err(format!("{path}: has {found} bytes instead of {size}"));
    }
    let digest = digest_of(&place).map_err(|error| format!("{path}: {error}"))?;
    if digest == sha256 { Ok(()) } else { Err(format!("{path}: has SHA-256 {digest} instead of {sha256}")) }
}
