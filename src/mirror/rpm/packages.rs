//! The packages of a repository: read out of its primary record, and fetched.

use super::records::{self, Held, refused};
use super::root::Root;
use crate::domain::checksum::FileEntry;
use crate::mirror::error::{Incomplete, chain};
use crate::mirror::fetch::{File, Tools, describe};
use crate::mirror::sync::Fetched;
use crate::mirror::{Error, Result};
use crate::repo::path::{ArchivePath, archive_path};
use crate::repo::rpm::primary::{Package, Packages};
use crate::sys::fetch::address;

/// No package is larger, bytes.
const MAX_PACKAGE: u64 = 64 << 30;

/// A package of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which of the roots it belongs to.
    pub root: usize,
    /// `name-version-release.arch`, for messages.
    pub label: String,
    /// Digits of its checksum: by these the metadata files know it.
    pub pkgid: String,
    /// Its path below the repository, upstream.
    pub href: ArchivePath,
    /// Its file.
    pub file: FileEntry,
}

impl Item {
    /// What a package's entry means.
    ///
    /// # Errors
    /// In words: a location that leads out or elsewhere, another checksum than SHA-256, too large.
    pub fn of(root: usize, package: &Package) -> std::result::Result<Self, String> {
        let label = package.nevra();
        if !package.base.is_empty() {
            return Err(format!("{label} lies elsewhere ({}), where nothing is fetched from", package.base));
        }
        let Some(sha256) = records::sha256(&package.checksum) else {
            return Err(format!("{label} has a checksum of kind {}, and only SHA-256 is taken", package.checksum.kind().name()));
        };
        let size = package.size_package;
        if size > MAX_PACKAGE {
            return Err(format!("{label} has {size} bytes, more than the {MAX_PACKAGE} allowed"));
        }
        let href = archive_path(&package.href).map_err(|error| format!("{label}: {error}"))?;
        Ok(Self { root, label, pkgid: package.checksum.hex().to_owned(), href, file: FileEntry { size, sha256 } })
    }
}

/// Reads a repository's primary record, package by package.
///
/// # Errors
/// [`Error::Metadata`]: not well-formed, too large, a package that leads out of the repository.
pub fn read(tools: &Tools, root: &Root, number: usize, held: &[Held], mut take: impl FnMut(Item, Package)) -> Result<()> {
    let Some(primary) = held.iter().find(|held| held.record.kind == "primary") else {
        return Err(Error::Metadata { url: root.address("repodata/repomd.xml"), problem: "it names no `primary` record".to_owned() });
    };
    let mut bad = None;
    let read = Packages::new(records::open(&tools.store, primary)?).for_each(|_, package| {
        if bad.is_none() {
            match Item::of(number, &package) {
                Ok(item) => take(item, package),
                Err(problem) => bad = Some(problem),
            }
        }
    });
    match (read, bad) {
        (Err(error), _) => Err(refused(root, &primary.record, chain(&error))),
        (Ok(()), Some(problem)) => Err(refused(root, &primary.record, problem)),
        (Ok(()), None) => Ok(()),
    }
}

/// Fetches packages. With leave, what upstream lost is taken out of `items`, and named.
///
/// # Errors
/// [`Error::Incomplete`], naming all that could not be had.
pub async fn fetch(
    tools: &Tools,
    roots: &[Root],
    items: &mut Vec<Item>,
    allow_missing: bool,
    fetched: &mut Fetched,
) -> Result<Vec<String>> {
    let urls = |item: &Item| roots[item.root].bases.iter().map(|base| address(base, item.href.as_str())).collect();
    let file = |item: &Item| File { path: item.href.clone(), size: item.file.size, sha256: item.file.sha256, urls: urls(item) };
    let files: Vec<File> = items.iter().map(file).collect();
    let obtained = tools.obtain(&files).await?;
    fetched.files += obtained.files - obtained.failed.len() as u64;
    fetched.bytes += obtained.bytes - obtained.failed.iter().map(|(number, _)| files[*number].size).sum::<u64>();
    if obtained.failed.is_empty() {
        return Ok(Vec::new());
    }
    let line = |(number, outcome): &(usize, _)| format!("{} ({}): {}", items[*number].href, items[*number].label, describe(outcome));
    let lines: Vec<String> = obtained.failed.iter().map(line).collect();
    if !allow_missing {
        let remedy = "to do: try again when upstream has them, or name another address (baseurl takes several); a mirror with a [filter] can \
                      leave them out: --allow-missing";
        return Err(Error::Incomplete(Box::new(Incomplete { files: lines, remedy: remedy.to_owned(), ..Incomplete::default() })));
    }
    let lost: std::collections::HashSet<_> = obtained.failed.iter().map(|(number, _)| items[*number].file.sha256).collect();
    items.retain(|item| !lost.contains(&item.file.sha256));
    Ok(lines)
}
