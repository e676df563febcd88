//! Package indices: which a suite has, fetching them, and taking their stanzas in.

use std::collections::BTreeMap;
use std::io::{self, BufReader};

use super::root::Root;
use crate::domain::mirror::DebianSource;
use crate::domain::node::Arch;
use crate::mirror::assemble::Tree;
use crate::mirror::fetch::{File, Tools, describe};
use crate::mirror::{Error, Result};
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::deb::paragraph::ParagraphError;
use crate::repo::deb::path::archive_path;
use crate::repo::deb::release::FileEntry;
use crate::repo::deb::universe::{IndexError, Origin, Universe};
use crate::sys::fetch::{Outcome, address};

/// The suffix of a component that holds the installer's packages.
pub const UDEBS: &str = "/debian-installer";
/// What an index may grow to when the Release file does not tell: Debian's compress by six, a bomb by thousands.
const MOST_GROWTH: u64 = 40;
const LEAST_LIMIT: u64 = 1 << 20;
/// No index is larger decompressed (all of Debian's main has 53 MB).
const MOST: u64 = 1 << 30;

/// One index of a suite.
#[derive(Clone, Debug)]
pub struct Index {
    /// Which of the roots it belongs to.
    pub root: usize,
    /// Such as `main`, `main/debian-installer`.
    pub component: String,
    /// The architecture that it is read for.
    pub arch: Arch,
    /// Its forms, the best to read first: path below `dists/<suite>/`, size and digest.
    forms: Vec<(String, FileEntry)>,
    /// The most it may decompress to.
    limit: u64,
}

impl Index {
    /// True if it lists the installer's packages.
    pub fn is_udebs(&self) -> bool {
        self.component.ends_with(UDEBS)
    }
}

/// An index that is in the store.
#[derive(Clone, Debug)]
pub struct Held {
    /// Which.
    pub index: Index,
    /// The form that was had.
    pub file: File,
}

/// Which indices a definition asks for.
///
/// # Errors
/// [`Error::NotOffered`], naming what there is instead.
pub fn wanted(root: &Root, number: usize, source: &DebianSource) -> Result<Vec<Index>> {
    let mut indices = Vec::new();
    for component in &source.components {
        for arch in &source.architectures {
            // FORMATS: without `No-Support-for-Architecture-all` the `all` packages stand in an index of their own as well or only.
            let separate_all = root.release.architectures.iter().any(|name| name == "all") && !root.release.no_support_for_arch_all;
            let names = std::iter::once(arch.debian()).chain(separate_all.then_some("all"));
            for name in names {
                let found = index(root, number, component, *arch, name);
                // A suite of updates need not have udebs, nor an archive `binary-all`.
                if found.is_none() && name != "all" && !component.ends_with(UDEBS) {
                    let offered = format!("components {} for {}", root.release.components.join(" "), root.release.architectures.join(" "));
                    return Err(Error::NotOffered { url: root.address(), what: format!("{component}/binary-{name}/Packages"), offered });
                }
                indices.extend(found);
            }
        }
    }
    Ok(indices)
}

fn index(root: &Root, number: usize, component: &str, arch: Arch, name: &str) -> Option<Index> {
    let plain = format!("{component}/binary-{name}/Packages");
    let entry = |path: &str| root.release.files.get(&archive_path(path).ok()?).copied();
    // gzip before xz: a third more to fetch, an eighth of the time to decompress. For Debian's main that is 3 MB for a second.
    let suffixes = [Compression::Zst, Compression::Gz, Compression::Xz, Compression::Bz2, Compression::None].map(Compression::suffix);
    let forms: Vec<(String, FileEntry)> =
        suffixes.into_iter().map(|suffix| format!("{plain}{suffix}")).filter_map(|path| entry(&path).map(|entry| (path, entry))).collect();
    let compressed = forms.first()?.1.size;
    let limit = entry(&plain).map_or(compressed.saturating_mul(MOST_GROWTH).max(LEAST_LIMIT), |entry| entry.size).min(MOST);
    Some(Index { root: number, component: component.to_owned(), arch, forms, limit })
}

/// Adds an index to a tree, under its name and by its hash.
pub fn add_index(tree: &mut Tree, path: &str, entry: FileEntry) {
    tree.add(path, entry.sha256, entry.size);
    if let Some((folder, _)) = path.rsplit_once('/') {
        tree.add(format!("{folder}/by-hash/SHA256/{}", entry.sha256), entry.sha256, entry.size);
    }
}

/// A file below `dists/<suite>/`, with the addresses it can be had at: by its hash first, which no update of upstream takes away at once.
pub fn suite_file(root: &Root, path: &str, entry: FileEntry) -> Result<File> {
    let below = format!("dists/{}/{path}", root.suite);
    let mut urls = vec![address(&root.url, &below)];
    if let (true, Some((folder, _))) = (root.release.acquire_by_hash, below.rsplit_once('/')) {
        urls.insert(0, address(&root.url, &format!("{folder}/by-hash/SHA256/{}", entry.sha256)));
    }
    Ok(File { path: archive_path(&below)?, size: entry.size, sha256: entry.sha256, urls })
}

/// Fetches indices into the store, each in the best form that upstream has (a Release file lists forms that are not on the server).
/// With `spare_udebs` an index of the installer's packages that cannot be had is told in the second list instead of ending the sync:
/// whether they are missed is for the installer to say, since a site's own may stand in for them.
///
/// # Errors
/// [`Error::IndexFetch`] for the first that cannot be had.
pub async fn obtain(tools: &Tools, roots: &[Root], indices: Vec<Index>, spare_udebs: bool) -> Result<(Vec<Held>, Vec<String>)> {
    let first = |index: &Index| index.forms.first().map(|(path, entry)| suite_file(&roots[index.root], path, *entry));
    let files: Vec<File> = indices.iter().filter_map(first).collect::<Result<_>>()?;
    let mut failed = BTreeMap::from_iter(tools.obtain(&files).await?.failed);
    let (mut held, mut lost) = (Vec::new(), Vec::new());
    for (number, (index, first)) in indices.into_iter().zip(files).enumerate() {
        let Some(outcome) = failed.remove(&number) else {
            held.push(Held { index, file: first });
            continue;
        };
        let root = &roots[index.root];
        match other_form(tools, root, &index).await? {
            Some(file) => held.push(Held { index, file }),
            None => {
                let error = unavailable(root, &first, &outcome);
                if !(spare_udebs && index.is_udebs()) {
                    return Err(error);
                }
                lost.push(error.to_string());
            }
        }
    }
    Ok((held, lost))
}

fn unavailable(root: &Root, file: &File, outcome: &Outcome) -> Error {
    let problem = match outcome {
        Outcome::Missing => "is not there (404)".to_owned(),
        other => describe(other),
    };
    Error::IndexFetch { url: address(&root.url, file.path.as_str()), problem }
}

async fn other_form(tools: &Tools, root: &Root, index: &Index) -> Result<Option<File>> {
    for (path, entry) in index.forms.iter().skip(1) {
        let file = suite_file(root, path, *entry)?;
        if tools.obtain(std::slice::from_ref(&file)).await?.failed.is_empty() {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Reads an index that is in the store into a universe; one thread decompresses while another parses.
///
/// # Errors
/// [`Error::Index`]: not what it should be, too large, a path that leaves the archive.
pub fn read(tools: &Tools, url: &str, held: &Held, universe: &mut Universe, origin: Origin) -> Result<usize> {
    let file = BufReader::with_capacity(1 << 16, tools.store.read(held.file.sha256)?);
    let (compression, limit) = (Compression::of_name(held.file.path.as_str()), held.index.limit);
    let (output, mut input) = io::pipe()?;
    let (read, decompressed) = std::thread::scope(|scope| {
        let decoder = scope.spawn(move || io::copy(&mut decompress_bounded(file, compression, limit)?, &mut input));
        // The pipe's end goes with the reader: a decoder whose reader gave up is told so.
        let read = universe.read_index(BufReader::with_capacity(1 << 16, output), origin);
        (read, decoder.join().unwrap_or_else(|_| Err(io::Error::other("the decoder failed"))))
    });
    let refused = |source: IndexError| Error::Index { url: address(url, held.file.path.as_str()), source: Box::new(source) };
    let count = read.map_err(refused)?;
    // A decoder that stopped looks like the end of the file to the reader.
    match decompressed {
        Ok(_) => Ok(count),
        Err(source) => Err(refused(IndexError { line: 0, source: ParagraphError::Read { line: 0, source }.into() })),
    }
}
