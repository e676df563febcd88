//! A repository without filter: as upstream has it, byte for byte, with upstream's signature.

use super::packages::Item;
use super::published;
use super::records::Held;
use super::root::Root;
use crate::domain::mirror::Repository;
use crate::mirror::Result;
use crate::mirror::assemble::Tree;
use crate::sys::objects::ObjectStore;

/// Adds a repository's metadata and packages to a tree.
///
/// # Errors
/// If the disk is full.
pub fn add_to(tree: &mut Tree, store: &ObjectStore, repository: &Repository, root: &Root, held: &[Held], items: &[Item]) -> Result<()> {
    let at = |path: &str| published(&repository.path, path);
    tree.add_bytes(store, at("repodata/repomd.xml"), &root.bytes)?;
    if let Some(signature) = &root.signature {
        tree.add_bytes(store, at("repodata/repomd.xml.asc"), signature)?;
    }
    held.iter().for_each(|held| tree.add(at(held.path.as_str()), held.file.sha256, held.file.size));
    items.iter().for_each(|item| tree.add(at(item.href.as_str()), item.file.sha256, item.file.size));
    Ok(())
}
