//! What a snapshot's own Debian indices promise.

use std::path::Path;

use time::OffsetDateTime;

use super::contents;
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::Snapshot;
use crate::mirror::verify::Expected;
use crate::repo::deb::release::Release;
use crate::repo::openpgp::{Keyring, verify_detached};

/// Collects what the Release files and indices of all suites name; checks the head's signature on rebuilt ones.
pub fn expected(tree: &Path, snapshot: &Snapshot, key: Option<&Keyring>, now: OffsetDateTime, expected: &mut Expected) {
    for suite in &snapshot.suites {
        let dists = format!("dists/{}", suite.suite);
        let folder = tree.join(&dists);
        let text = std::fs::read_to_string(folder.join("Release")).or_else(|_| std::fs::read_to_string(folder.join("InRelease")));
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                expected.problems.push(format!("{dists}/Release: {error}"));
                continue;
            }
        };
        if let (true, Some(key)) = (suite.rebuilt, key) {
            let signature = std::fs::read(folder.join("Release.gpg")).unwrap_or_default();
            if let Err(error) = verify_detached(text.as_bytes(), &signature, key, now) {
                expected.problems.push(format!("{dists}/Release.gpg: {error}"));
            }
        }
        let body = signed_part(&text);
        match Release::parse(body) {
            Err(error) => expected.problems.push(format!("{dists}/Release: {error}")),
            Ok(release) => {
                for (path, entry) in release.files {
                    let path = format!("{dists}/{path}");
                    // A whole suite's Release names files that are not mirrored.
                    if suite.rebuilt || tree.join(&path).exists() {
                        expected.files.insert(path, entry);
                    }
                }
            }
        }
    }
    for path in
        expected.files.keys().filter(|path| path.ends_with("/Packages.gz") || path.ends_with("/Packages.xz")).cloned().collect::<Vec<_>>()
    {
        if let Err(problem) = read_index(&tree.join(&path), expected) {
            expected.problems.push(format!("{path}: {problem}"));
        }
    }
}

/// The text within a cleartext signature, or the text as it is.
pub(super) fn signed_part(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----") else { return text };
    let body = rest.split_once("\n\n").map_or("", |(_, body)| body);
    body.split_once("-----BEGIN PGP SIGNATURE-----").map_or(body, |(body, _)| body)
}

fn read_index(path: &Path, expected: &mut Expected) -> std::result::Result<(), String> {
    contents::each(path, &mut |package| {
        let file = package.file()?;
        expected.files.insert(file.path.to_string(), FileEntry { size: file.size, sha256: file.sha256 });
        Ok(())
    })
}
