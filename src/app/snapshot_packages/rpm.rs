//! Names of packages and groups in the RPM repositories of a snapshot.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::app::{Error, Result};
use crate::domain::mirror::PublishedRepository;
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::rpm::comps::{Comps, MAX_COMPS};
use crate::repo::rpm::primary::{Kind, Packages};
use crate::repo::rpm::repomd::Repomd;
use crate::sys::join::inside;

/// Most bytes of primary.xml, decompressed; Fedora's largest has 400 MB.
const MAX_PRIMARY: u64 = 4 << 30;
/// Most bytes of repomd.xml.
const MAX_REPOMD: u64 = 16 << 20;

/// Adds what a repository of the tree has: packages with what they provide; groups as a kickstart names them, `@core` and
/// `@^minimal-environment`.
pub(super) fn read_into(tree: &Path, repository: &PublishedRepository, names: &mut BTreeSet<String>) -> Result<()> {
    let folder = if repository.path.is_empty() { tree.to_owned() } else { tree.join(&repository.path) };
    let path = folder.join("repodata/repomd.xml");
    let mut text = Vec::new();
    open(&path, MAX_REPOMD)?.read_to_end(&mut text).map_err(|error| unread(&path, &error))?;
    let repomd = Repomd::parse(&text).map_err(|error| unread(&path, &error))?;
    let file = |kind: &str| repomd.record(kind).and_then(|record| inside(&folder, &record.href).ok());
    let Some(primary) = file("primary") else { return Err(unread(&path, &"it names no primary.xml")) };
    let packages = Packages::new(BufReader::new(open(&primary, MAX_PRIMARY)?));
    packages
        .for_each(|_, package| {
            names.extend(package.of_kind(Kind::Provides).iter().map(|provided| provided.name.clone()));
            names.insert(package.name);
        })
        .map_err(|error| unread(&primary, &error))?;
    if let Some(comps) = file("group").or_else(|| file("group_gz")) {
        let mut text = Vec::new();
        open(&comps, MAX_COMPS)?.read_to_end(&mut text).map_err(|error| unread(&comps, &error))?;
        let comps = Comps::parse(&text).map_err(|error| unread(&comps, &error))?;
        names.extend(comps.groups.iter().map(|group| format!("@{}", group.id)));
        names.extend(comps.environments.iter().map(|environment| format!("@^{}", environment.id)));
    }
    Ok(())
}

fn open(path: &Path, limit: u64) -> Result<Box<dyn Read>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let file = File::open(path).map_err(|error| unread(path, &error))?;
    decompress_bounded(file, Compression::of_name(name), limit).map_err(|error| unread(path, &error))
}

fn unread(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::Io { what: format!("cannot read {}", path.display()), source: std::io::Error::other(what.to_string()) }
}
