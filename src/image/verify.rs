//! Reads every byte of a version and compares it with what was written down when it was made.

use super::layout::ImageDir;
use super::manifest::Manifest;
use super::{Result, squash};
use crate::domain::checksum::Sha256;
use crate::domain::image::{Artefact, ImageVersion};
use crate::sys::objects::digest_of;

/// Compares a version with its record.
///
/// # Errors
/// If a file that must be there does not read.
pub fn verify(dir: &ImageDir, version: &ImageVersion) -> Result<Vec<String>> {
    let place = dir.version(&version.id);
    let mut problems = Vec::new();
    let artefacts: [(_, &Artefact); 4] = [
        (place.kernel(), &version.kernel),
        (place.initrd(), &version.initrd),
        (place.root_squashfs(), &version.root_squashfs),
        (place.base_squashfs(), &version.base_squashfs),
    ];
    for (path, expected) in artefacts {
        match squash::artefact(&path) {
            Ok(found) if found == *expected => {}
            Ok(found) => problems.push(format!("{} has SHA-256 {} instead of {}", path.display(), found.sha256, expected.sha256)),
            Err(error) => problems.push(error.to_string()),
        }
    }
    let listed = Manifest::read(&place.manifest())?;
    if digest_of(&place.manifest())? != version.tree || Sha256::of(listed.to_text().as_bytes()) != version.tree {
        problems.push(format!("{} is not the list that was made with it", place.manifest().display()));
        return Ok(problems);
    }
    let (found, _) = Manifest::of(&place.root())?;
    let root = place.root();
    problems.extend(listed.changes(&found).into_iter().map(|(path, change)| {
        let change = serde_json::to_string(&change).unwrap_or_default();
        format!("{}{path}: {}", root.display(), change.trim_matches('"'))
    }));
    Ok(problems)
}
