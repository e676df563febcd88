//! The archive of packages on a medium: which suites it offers, and that every package is what its index says. Who signed it does not matter here:
//! whoever imports the medium vouches for it, as for one in a drive; apt on the nodes looks at the signature that lies beside it.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::domain::checksum::FileEntry;
use crate::domain::mirror::PublishedSuite;
use crate::mirror::assemble::Tree;
use crate::mirror::error::chain;
use crate::mirror::{Error, Result};
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::deb::packages::Package;
use crate::repo::deb::paragraph::Paragraphs;
use crate::repo::deb::release::Release;
use crate::sys::objects::ObjectStore;

/// The most of a Release file that is read, bytes; that of Debian's main has 200 KB.
const MOST_RELEASE: u64 = 4 << 20;
/// The most that an index decompresses to.
const MOST_INDEX: u64 = 256 << 20;

/// The suites of a tree that was taken from a medium. One without an archive has none.
///
/// # Errors
/// [`Error::Metadata`] if a Release file or an index does not read, or something is not as it says.
pub(super) fn suites(image: &Path, store: &ObjectStore, tree: &Tree) -> Result<Vec<PublishedSuite>> {
    let there: HashMap<&str, FileEntry> = tree.files().collect();
    let check = Check { image, store, there: &there };
    let suite_of =
        |path: &str| path.strip_prefix("dists/")?.strip_suffix("/Release").filter(|suite| !suite.contains('/')).map(str::to_owned);
    let suites = there.iter().filter_map(|(path, entry)| Some((suite_of(path)?, *entry)));
    let mut suites: Vec<PublishedSuite> = suites.map(|(suite, release)| check.suite(suite, release)).collect::<Result<_>>()?;
    suites.sort_by(|a, b| a.suite.cmp(&b.suite));
    Ok(suites)
}

struct Check<'a> {
    image: &'a Path,
    store: &'a ObjectStore,
    there: &'a HashMap<&'a str, FileEntry>,
}

impl Check<'_> {
    fn suite(&self, suite: String, release: FileEntry) -> Result<PublishedSuite> {
        let place = format!("dists/{suite}");
        let mut text = String::new();
        self.store.read(release.sha256)?.take(MOST_RELEASE).read_to_string(&mut text)?;
        let release = Release::parse(&text).map_err(|error| self.refused(&place, &chain(&error)))?;
        for (path, promised) in &release.files {
            let path = format!("{place}/{path}");
            // A Release file names indices in forms that the medium does not carry.
            let Some(found) = self.there.get(path.as_str()) else { continue };
            if found != promised {
                return Err(self.refused(&path, "is not what the Release file says: the image is damaged"));
            }
            if path.rsplit('/').next().is_some_and(|name| name.starts_with("Packages")) {
                self.index(&path, *found)?;
            }
        }
        Ok(PublishedSuite { suite, codename: release.codename, components: release.components, rebuilt: false })
    }

    fn index(&self, path: &str, entry: FileEntry) -> Result<()> {
        let file = BufReader::new(self.store.read(entry.sha256)?);
        let text = decompress_bounded(file, Compression::of_name(path), MOST_INDEX)?;
        let mut paragraphs = Paragraphs::new(BufReader::new(text));
        while let Some(paragraph) = paragraphs.next().map_err(|error| self.refused(path, &chain(&error)))? {
            let package = Package::parse(paragraph.text()).map_err(|error| self.refused(path, &chain(&error)))?;
            let file = package.file()?;
            let found = self.there.get(file.path.as_str());
            if found != Some(&FileEntry { size: file.size, sha256: file.sha256 }) {
                return Err(self.refused(file.path.as_str(), "is not there, or not what its index says: the image is damaged"));
            }
        }
        Ok(())
    }

    fn refused(&self, place: &str, problem: &str) -> Error {
        Error::Metadata { url: self.image.display().to_string(), problem: format!("{place}: {problem}") }
    }
}
