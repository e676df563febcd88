//! The packages that Debian indices name, one by one.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::indices::UDEBS;
use super::verify::signed_part;
use crate::domain::checksum::FileEntry;
use crate::domain::mirror::PublishedSuite;
use crate::domain::package::Package as Named;
use crate::mirror::Result;
use crate::mirror::contents::{Held, unread};
use crate::mirror::error::chain;
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::deb::packages::{Package, PackageError};
use crate::repo::deb::paragraph::{Paragraph, Paragraphs};
use crate::repo::deb::release::Release;
use crate::sys::join::inside;

/// The most that is decompressed of an index, bytes.
const MAX_INDEX: u64 = 1 << 30;

/// Hands the packages of one index to `take`.
///
/// # Errors
/// In words: the index does not read, or `take` refused a package.
pub fn each(path: &Path, take: &mut dyn FnMut(Package<'_>) -> std::result::Result<(), PackageError>) -> std::result::Result<(), String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let compression = Compression::of_name(&path.to_string_lossy());
    let reader = decompress_bounded(BufReader::new(file), compression, MAX_INDEX).map_err(|error| error.to_string())?;
    let mut paragraphs = Paragraphs::new(BufReader::new(reader));
    while let Some(paragraph) = paragraphs.next().map_err(|error| chain(&error))? {
        Package::parse(paragraph.text()).and_then(&mut *take).map_err(|error| chain(&error))?;
    }
    Ok(())
}

/// Adds the packages that a suite of a tree offers.
///
/// # Errors
/// [`crate::mirror::Error::Unread`].
pub fn read(tree: &Path, suite: &PublishedSuite, held: &mut Vec<Held>) -> Result<()> {
    let folder = tree.join("dists").join(&suite.suite);
    let text = ["Release", "InRelease"].iter().find_map(|name| std::fs::read_to_string(folder.join(name)).ok());
    let text = text.ok_or_else(|| unread(&folder, "it has neither Release nor InRelease"))?;
    let release = Release::parse(signed_part(&text)).map_err(|error| unread(&folder.join("Release"), error))?;
    let there = release.files.keys().filter_map(|path| inside(&folder, path.as_str()).ok()).filter(|path| path.is_file());
    for index in forms(there) {
        add(&index, &suite.suite, held)?;
    }
    Ok(())
}

/// Adds the packages of one index.
///
/// # Errors
/// [`crate::mirror::Error::Unread`].
pub fn add(index: &Path, origin: &str, held: &mut Vec<Held>) -> Result<()> {
    let mut take = |package: Package<'_>| -> std::result::Result<(), PackageError> {
        let file = package.file()?;
        let named = Named { name: package.name.to_owned(), arch: package.architecture.to_owned(), version: package.version.to_owned() };
        held.push(Held {
            package: named,
            source: package.source.to_owned(),
            source_version: source_version(&package).to_owned(),
            origin: origin.to_owned(),
            path: file.path.to_string(),
            file: FileEntry { size: file.size, sha256: file.sha256 },
        });
        Ok(())
    };
    each(index, &mut take).map_err(|problem| unread(index, problem))
}

/// Of the package indices among some files one form each, the quickest to read; the installer's left out.
pub fn forms(files: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    const BEST: [&str; 5] = ["Packages", "Packages.zst", "Packages.gz", "Packages.xz", "Packages.bz2"];
    let rank = |path: &Path| BEST.iter().position(|name| path.file_name().is_some_and(|file| file == *name));
    let mut best: BTreeMap<PathBuf, (usize, PathBuf)> = BTreeMap::new();
    for path in files.filter(|path| !path.to_string_lossy().contains(&format!("{UDEBS}/"))) {
        let (Some(rank), Some(folder)) = (rank(&path), path.parent()) else { continue };
        let entry = best.entry(folder.to_owned()).or_insert_with(|| (rank, path.clone()));
        if rank < entry.0 {
            *entry = (rank, path);
        }
    }
    best.into_values().map(|(_, path)| path).collect()
}

/// `Source: name (version)`; without it the package's own.
fn source_version<'a>(package: &Package<'a>) -> &'a str {
    let source = Paragraph::of(package.stanza).get("Source").unwrap_or_default();
    source.split_once('(').map_or(package.version, |(_, version)| version.trim_end_matches(')').trim())
}
