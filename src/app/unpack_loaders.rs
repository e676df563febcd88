//! Takes the network boot programs that a head lacks out of its own mirrors, so that an air-gapped head needs no other package.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::find_loader::find_loader;
use super::{Error, Head, Result};
use crate::mirror::layout;
use crate::provision::loader::{LOADERS, Loader};
use crate::repo::deb::control::extract;
use crate::sys::atomic;

/// Largest network boot program, and most that is unpacked of a package in search of it, in bytes.
const MAX_LOADER: u64 = 16 << 20;
const MAX_PACKAGE: u64 = 512 << 20;

/// Unpacks each loader that is neither configured nor installed from the newest `ipxe` package of the published mirrors into the data
/// folder's `loaders/`. Returns the files that were made.
///
/// # Errors
/// [`Error::Io`] if a package cannot be read or a file not written.
pub fn unpack_loaders(head: &Head) -> Result<Vec<PathBuf>> {
    let lacking: Vec<&Loader> = LOADERS.iter().filter(|loader| find_loader(&head.config, &head.data, loader).is_none()).collect();
    let mut made = Vec::new();
    if lacking.is_empty() {
        return Ok(made);
    }
    for package in packages(head)? {
        unpack(&package, &lacking, &head.data.loaders(), &mut made)?;
        if made.len() == lacking.len() {
            break;
        }
    }
    Ok(made)
}

/// The `ipxe` packages of all published mirrors. A pool keeps it in `pool/COMPONENT/i/ipxe/`, whatever the component.
fn packages(head: &Head) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Io { what: "the mirrors cannot be searched for network boot programs".into(), source };
    let mut found = Vec::new();
    for mirror in layout::mirrors(&head.data).map_err(failed)? {
        let Some(id) = mirror.published() else { continue };
        let pool = walkdir::WalkDir::new(mirror.tree(&id).join("pool")).max_depth(5);
        let files = pool.into_iter().filter_map(std::result::Result::ok).map(walkdir::DirEntry::into_path);
        found.extend(files.filter(|path| is_ipxe(path)));
    }
    found.sort();
    found.reverse();
    Ok(found)
}

fn is_ipxe(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("ipxe_") && name.ends_with(".deb"))
}

fn unpack(package: &Path, lacking: &[&Loader], folder: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |source| Error::Io { what: format!("network boot programs cannot be unpacked from {}", package.display()), source };
    let wanted = |path: &str| lacking.iter().any(|loader| loader.packaged_as == path);
    let deb = File::open(package).map_err(failed)?;
    fs::create_dir_all(folder).map_err(failed)?;
    extract(deb, &wanted, MAX_PACKAGE, &mut |path, contents| {
        let Some(loader) = lacking.iter().find(|loader| loader.packaged_as == path) else { return Ok(()) };
        let mut bytes = Vec::new();
        contents.take(MAX_LOADER).read_to_end(&mut bytes)?;
        let file = folder.join(loader.file);
        atomic::write(&file, &bytes, 0o644)?;
        made.push(file);
        Ok(())
    })
    .map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(())
}
