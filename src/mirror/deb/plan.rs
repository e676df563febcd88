//! Which packages a snapshot takes and which files that means. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::domain::mirror::Filter;
use crate::domain::node::Arch;
use crate::mirror::Result;
use crate::mirror::fetch::File;
use crate::repo::deb::closure::{self, Selection};
use crate::repo::deb::packages::Package;
use crate::repo::deb::path::{ArchivePath, archive_path};
use crate::repo::deb::relation;
use crate::repo::deb::universe::{Origin, PackageId, Universe};
use crate::sys::fetch::address;

/// Where the stanzas of one origin came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The archive's root; `None` for a local directory.
    pub url: Option<String>,
    /// The component that its packages are published in.
    pub component: String,
}

/// Everything there is to choose from.
#[derive(Default)]
pub struct Offer {
    /// Packages.
    pub debs: Universe,
    /// Installer packages, per architecture.
    pub udebs: BTreeMap<Arch, Universe>,
    /// By the number of an [`Origin`].
    pub sources: Vec<Source>,
    /// Installer packages whose files upstream turned out not to have, per architecture.
    pub lost: BTreeMap<Arch, Vec<Lost>>,
    /// Indices of installer packages that upstream does not have as its Release file says, for messages.
    pub lost_indices: Vec<String>,
}

/// A package that upstream names and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which.
    pub id: PackageId,
    /// Its name.
    pub name: String,
    /// What happened, for messages.
    pub line: String,
}

impl Offer {
    /// A new origin; one asked for first is preferred among equals.
    pub fn origin(&mut self, source: Source) -> Origin {
        self.sources.push(source);
        Origin(u16::try_from(self.sources.len() - 1).unwrap_or(u16::MAX))
    }

    fn source(&self, origin: Origin) -> Option<&Source> {
        self.sources.get(usize::from(origin.0))
    }
}

/// A package that the snapshot takes.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its place in the universe that it was chosen from.
    pub id: PackageId,
    /// `name version architecture`.
    pub label: String,
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// The component it is published in.
    pub component: String,
    /// Its index stanza, as it will be published.
    pub stanza: String,
    /// Its file.
    pub file: File,
    /// True if it comes from a local directory.
    pub is_local: bool,
}

/// Chooses packages by the filter; everything without one.
pub fn select(debs: &Universe, filter: Option<&Filter>) -> Selection {
    match filter {
        Some(filter) => closure::select(debs, filter),
        None => Selection { packages: debs.sorted().to_vec(), ..Selection::default() },
    }
}

/// The files of chosen packages. Two that claim one path with different contents (archives that know nothing of each other) are told apart
/// by putting the second below a folder named by its digest, where the mirror is rebuilt and may do so.
///
/// # Errors
/// If a stanza does not read; the universe has checked that before.
pub fn items(
    offer: &Offer,
    universe: &Universe,
    chosen: &[PackageId],
    taken: &mut BTreeMap<ArchivePath, crate::domain::checksum::Sha256>,
) -> Result<Vec<Item>> {
    // In the order they came in: stanzas are unpacked block by block.
    let mut ids = chosen.to_vec();
    ids.sort();
    let mut stanzas = universe.stanzas();
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        let stanza = stanzas.read(id).to_owned();
        let package = Package::parse(&stanza)?;
        let found = package.file()?;
        let source = offer.source(universe.summary(id).origin);
        let url = source.and_then(|source| source.url.as_deref());
        let urls = url.map(|url| address(url, found.path.as_str())).into_iter().collect();
        let label = format!("{} {} {}", package.name, package.version, package.architecture);
        let (name, architecture) = (package.name.to_owned(), package.architecture.to_owned());
        let component = source.map_or("main", |source| source.component.as_str()).to_owned();
        let mut path = found.path;
        if taken.get(&path).is_some_and(|sha256| *sha256 != found.sha256) {
            path = archive_path(&format!("pool/same-name/{}/{}", found.sha256, path.file_name()))?;
        }
        taken.insert(path.clone(), found.sha256);
        let file = File { path, size: found.size, sha256: found.sha256, urls };
        items.push(Item { id, label, name, architecture, component, stanza, file, is_local: url.is_none() });
    }
    Ok(items)
}

/// Who among the chosen packages names this one in a dependency: at most three, for messages.
pub fn needed_by(items: &[Item], name: &str) -> String {
    let needs = |item: &&Item| {
        Package::parse(&item.stanza).is_ok_and(|package| {
            let fields = [package.pre_depends, package.depends];
            let parsed = fields.iter().flat_map(|field| relation::parse(field).unwrap_or_default());
            parsed.flat_map(|dependency| dependency.alternatives).any(|relation| relation.name == name)
        })
    };
    let all: BTreeSet<&str> = items.iter().filter(needs).map(|item| item.name.as_str()).collect();
    match all.len() {
        0 => "the mirror's definition".to_owned(),
        1..=3 => all.into_iter().collect::<Vec<_>>().join(", "),
        more => format!("{} and {} more", all.into_iter().take(2).collect::<Vec<_>>().join(", "), more - 2),
    }
}

/// What replaces packages whose files upstream lost, when they are left out: true if each of them has a local one of its name instead.
/// An older one of upstream is no replacement: a lost security update must not turn into a silent downgrade.
pub fn replaced_locally(lost: &[Item], now: &[Item]) -> (Vec<String>, Vec<String>) {
    let local: HashSet<(&str, &str)> =
        now.iter().filter(|item| item.is_local).map(|item| (item.name.as_str(), item.architecture.as_str())).collect();
    let (replaced, gone): (Vec<&Item>, Vec<&Item>) =
        lost.iter().partition(|item| local.contains(&(item.name.as_str(), item.architecture.as_str())));
    let labels = |items: Vec<&Item>| items.into_iter().map(|item| item.label.clone()).collect();
    (labels(replaced), labels(gone))
}
