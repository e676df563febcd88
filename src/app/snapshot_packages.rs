//! Which packages a snapshot has, by name.

mod rpm;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::{Error, Result};
use crate::domain::mirror::{PublishedSuite, Snapshot};
use crate::domain::node::Arch;
use crate::repo::compress::{Compression, decompress_bounded};
use crate::repo::deb::paragraph::Paragraphs;

/// Most bytes of an index that are read; Debian's largest has 60 MB.
const MAX_INDEX: u64 = 1 << 30;

/// The names of a snapshot's packages for one architecture, what they provide among them; of RPM repositories also their groups (`@core`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPackages {
    packages: BTreeSet<String>,
    udebs: BTreeSet<String>,
}

impl SnapshotPackages {
    /// Reads the indices of all suites and repositories of a snapshot's tree.
    ///
    /// # Errors
    /// If an index does not read. A suite without an index for the architecture has none of its packages.
    pub fn read(tree: &Path, snapshot: &Snapshot, arch: Arch) -> Result<Self> {
        let mut names = Self::default();
        for suite in &snapshot.suites {
            for component in components(tree, suite) {
                let udebs = component.ends_with("/debian-installer");
                let folder = tree.join("dists").join(&suite.suite).join(&component).join(format!("binary-{}", arch.debian()));
                if let Some(index) = index(&folder) {
                    read_into(&index, if udebs { &mut names.udebs } else { &mut names.packages })?;
                }
            }
        }
        for manifest in snapshot.installers.iter().filter_map(|installer| installer.live.as_ref()).flat_map(|live| &live.manifests) {
            manifest_into(&tree.join(manifest), &mut names.packages)?;
        }
        for repository in &snapshot.repositories {
            rpm::read_into(tree, repository, &mut names.packages)?;
        }
        Ok(names)
    }

    /// True if there is a package of this name, or one that provides it.
    pub fn has(&self, name: &str) -> bool {
        self.packages.contains(name)
    }

    /// True if there is an installer package of this name, or one that provides it.
    pub fn has_udeb(&self, name: &str) -> bool {
        self.udebs.contains(name)
    }

    /// Names that begin alike, for messages.
    pub fn like(&self, name: &str) -> Vec<&str> {
        let stem: String = name.chars().take((name.len() * 2 / 3).max(3)).collect();
        self.packages.iter().map(String::as_str).filter(|known| known.starts_with(&stem)).take(3).collect()
    }
}

/// The suite's components, with the installer's part of each where there is one.
fn components(tree: &Path, suite: &PublishedSuite) -> BTreeSet<String> {
    let installer =
        suite.components.iter().filter(|component| !component.contains('/')).map(|component| format!("{component}/debian-installer"));
    let there = |component: &String| tree.join("dists").join(&suite.suite).join(component).is_dir();
    suite.components.iter().cloned().chain(installer).filter(there).collect()
}

fn index(folder: &Path) -> Option<(PathBuf, Compression)> {
    let forms = [("Packages", Compression::None), ("Packages.xz", Compression::Xz), ("Packages.gz", Compression::Gz)];
    forms.into_iter().map(|(name, compression)| (folder.join(name), compression)).find(|(path, _)| path.is_file())
}

/// A list of what a root file system holds: `NAME[:ARCH] VERSION` a line; snaps stand in it as `snap:NAME`.
fn manifest_into(path: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    let failed = |source| Error::Io { what: format!("read {}", path.display()), source };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_INDEX).read_to_string(&mut text)).map_err(failed)?;
    let words = text.lines().filter_map(|line| line.split_whitespace().next()).filter(|word| !word.starts_with("snap:"));
    names.extend(words.filter_map(|word| word.split(':').next()).map(str::to_owned));
    Ok(())
}

fn read_into((path, compression): &(PathBuf, Compression), names: &mut BTreeSet<String>) -> Result<()> {
    let failed = |what: &dyn std::fmt::Display| Error::Io {
        what: format!("cannot read {}", path.display()),
        source: std::io::Error::other(what.to_string()),
    };
    let file = File::open(path).map_err(|error| failed(&error))?;
    let reader = decompress_bounded(file, *compression, MAX_INDEX).map_err(|error| failed(&error))?;
    let mut paragraphs = Paragraphs::new(BufReader::new(reader));
    while let Some(stanza) = paragraphs.next().map_err(|error| failed(&error))? {
        names.extend(stanza.get("Package").map(str::to_owned));
        let provided = stanza.get("Provides").unwrap_or_default().split(',').filter_map(|name| name.split_whitespace().next());
        names.extend(provided.map(str::to_owned));
    }
    Ok(())
}
