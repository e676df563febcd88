//! The metadata of the snapshot before: a client that read the former repomd.xml still finds what it names.

use crate::mirror::assemble::Tree;
use crate::mirror::layout::MirrorDir;
use crate::repo::rpm::repomd::Repomd;
use crate::sys::objects::ObjectStore;

use super::published;
use super::records::sha256;

/// Adds the metadata files of what is published now to the tree that will replace it, where their names are not taken.
pub fn add_records(dir: &MirrorDir, store: &ObjectStore, tree: &mut Tree) {
    let Some(former) = dir.published() else { return };
    let Ok(Some(record)) = dir.read(&former) else { return };
    for repository in &record.repositories {
        let file = dir.tree(&former).join(published(&repository.path, "repodata/repomd.xml"));
        let Ok(repomd) = std::fs::read(file).map_err(drop).and_then(|bytes| Repomd::parse(&bytes).map_err(drop)) else { continue };
        for record in &repomd.records {
            let path = published(&repository.path, &record.href);
            if let (Some(digest), Some(size)) = (sha256(&record.checksum), record.size)
                && store.contains(digest, size)
                && !tree.contains(&path)
            {
                tree.add(path, digest, size);
            }
        }
    }
}
