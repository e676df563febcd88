//! The indices of the snapshot before: a client that read the former root file still finds them by hash.

use crate::mirror::assemble::Tree;
use crate::mirror::layout::MirrorDir;
use crate::repo::deb::release::Release;
use crate::sys::objects::ObjectStore;

/// Adds the indices of what is published now to the tree that will replace it.
pub fn add_indices(dir: &MirrorDir, store: &ObjectStore, tree: &mut Tree) {
    let Some(former) = dir.published() else { return };
    let dists = dir.tree(&former).join("dists");
    let Ok(Some(record)) = dir.read(&former) else { return };
    for suite in record.suites.iter().filter(|suite| suite.rebuilt) {
        let text = std::fs::read_to_string(dists.join(&suite.suite).join("Release")).unwrap_or_default();
        let Ok(release) = Release::parse(&text) else { continue };
        let indices = release.files.iter().filter(|(path, _)| path.file_name().starts_with("Packages"));
        for (path, entry) in indices.filter(|(_, entry)| store.contains(entry.sha256, entry.size)) {
            let folder = path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
            let path = format!("dists/{}/{folder}/by-hash/SHA256/{}", suite.suite, entry.sha256);
            tree.add(path, entry.sha256, entry.size);
        }
    }
}
