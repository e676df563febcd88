//! A mirror without filter: suites as upstream has them, byte for byte, with upstream's signature.

use super::indices::{Held, add_index, suite_file};
use super::installer::{Chosen, add_images};
use super::root::Root;
use crate::domain::mirror::{DebianMirror, DebianSource, PublishedSuite};
use crate::mirror::Result;
use crate::mirror::assemble::Tree;
use crate::mirror::fetch::{File, Tools};
use crate::repo::deb::release::FileEntry;

/// Adds upstream's indices (canonical and by hash) and root files to a tree.
///
/// # Errors
/// If the disk is full.
pub async fn add_to(
    tools: &Tools,
    tree: &mut Tree,
    mirror: &DebianMirror,
    roots: &[Root],
    held: &[Held],
    installers: &[Chosen],
) -> Result<Vec<PublishedSuite>> {
    let sources = mirror.sources.iter().flat_map(|source| source.suites.iter().map(move |_| source));
    let mut suites = Vec::new();
    for held in held {
        add_index(tree, held.file.path.as_str(), FileEntry { size: held.file.size, sha256: held.file.sha256 });
    }
    for (root, source) in roots.iter().zip(sources) {
        for file in further_indices(tools, root, source).await? {
            add_index(tree, file.path.as_str(), FileEntry { size: file.size, sha256: file.sha256 });
        }
        for (name, bytes) in &root.files {
            tree.add_bytes(&tools.store, format!("dists/{}/{name}", root.suite), bytes)?;
        }
        let codename = if root.release.codename.is_empty() { root.suite.clone() } else { root.release.codename.clone() };
        let components = source.components.iter().filter(|component| !component.ends_with(super::indices::UDEBS)).cloned().collect();
        suites.push(PublishedSuite { suite: root.suite.clone(), codename, components, rebuilt: false });
    }
    if let Some(definition) = &mirror.installer {
        installers.iter().for_each(|installer| add_images(tree, &format!("dists/{}", definition.suite), installer));
    }
    Ok(suites)
}

/// What else clients ask for: other compressions, translations, per-index Release files. A Release file lists forms that are not on the
/// server, so that none of these must be there.
async fn further_indices(tools: &Tools, root: &Root, source: &DebianSource) -> Result<Vec<File>> {
    let wanted = |path: &str| {
        source.components.iter().any(|component| {
            let Some(below) = path.strip_prefix(component.as_str()).and_then(|below| below.strip_prefix('/')) else { return false };
            let named =
                |arch: &str| below.strip_prefix("binary-").and_then(|rest| rest.split_once('/')).is_some_and(|(name, _)| name == arch);
            let binary = source.architectures.iter().any(|arch| named(arch.debian())) || named("all");
            (binary && below.matches('/').count() == 1) || below.starts_with("i18n/Translation-en")
        })
    };
    let mut files = Vec::new();
    for (path, entry) in root.release.files.iter().filter(|(path, _)| wanted(path.as_str())) {
        // Uncompressed indices are rarely on the server, and large where they are.
        if !path.file_name().ends_with("Packages") && !path.file_name().starts_with("Translation-en") || path.as_str().ends_with('z') {
            files.push(suite_file(root, path.as_str(), *entry)?);
        }
    }
    if root.kept {
        // What upstream had is in the store: it was linked beside the snapshot.
        files.retain(|file| tools.store.contains(file.sha256, file.size));
    }
    let failed = tools.obtain(&files).await?.failed;
    let lost: Vec<usize> = failed.into_iter().map(|(number, _)| number).collect();
    Ok(files.into_iter().enumerate().filter(|(number, _)| !lost.contains(number)).map(|(_, file)| file).collect())
}
