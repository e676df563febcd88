//! All packages of a repository, small: what a closure has to know of each, with every text kept once.

use std::collections::{HashMap, HashSet};

use super::depends::Comparison;
use super::primary::{Dependency, Kind, Package};
use super::version::Evr;

/// A package of a universe, in the order they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub u32);

/// A text, by its place.
type Symbol = u32;

/// The packages. Names, versions and paths are kept once, however often they occur.
#[derive(Default)]
pub struct Universe {
    texts: Vec<Box<str>>,
    symbols: HashMap<Box<str>, Symbol>,
    packages: Vec<Entry>,
    relations: Vec<Relation>,
    provides: HashMap<Symbol, Vec<(PackageId, Option<Version>)>>,
}

struct Entry {
    name: Symbol,
    arch: Symbol,
    evr: [Symbol; 3],
    pkgid: Box<str>,
    /// In `relations`: requirements, then recommendations.
    requires: std::ops::Range<u32>,
    recommends: std::ops::Range<u32>,
}

/// A comparison with epoch, version, release.
type Version = (Comparison, [Symbol; 3]);

#[derive(Clone, Copy)]
struct Relation {
    name: Symbol,
    version: Option<Version>,
}

/// A dependency of a package, borrowed from the universe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    /// Name, path or rich dependency.
    pub name: &'a str,
    /// Its version.
    pub version: Option<(Comparison, Evr)>,
}

impl Universe {
    /// Takes a package of primary.xml.
    ///
    /// Errors: none; beyond four thousand million packages or texts everything is the last one.
    pub fn add(&mut self, package: &Package) -> PackageId {
        let id = PackageId(self.packages.len().try_into().unwrap_or(u32::MAX));
        for provide in package.of_kind(Kind::Provides) {
            let relation = self.relation(provide);
            self.provides.entry(relation.name).or_default().push((id, relation.version));
        }
        for (_, path) in &package.files {
            self.provide_file(id, path);
        }
        let requires = self.relations(package.of_kind(Kind::Requires));
        let recommends = self.relations(package.of_kind(Kind::Recommends));
        let entry = Entry {
            name: self.symbol(&package.name),
            arch: self.symbol(&package.arch),
            evr: self.evr(&package.evr),
            pkgid: package.checksum.hex().into(),
            requires,
            recommends,
        };
        self.packages.push(entry);
        id
    }

    /// Paths that some package requires and none is known to have: to be looked for in filelists.xml.
    pub fn open_paths(&self) -> HashSet<&str> {
        let mut open = HashSet::new();
        let mut look = |name: Symbol, path: &str| {
            if path.starts_with('/') && !self.provides.contains_key(&name) {
                open.insert(name);
            }
        };
        let mut rich = vec![];
        for relation in &self.relations {
            let text = self.text(relation.name);
            if text.starts_with('(') { rich.push(text) } else { look(relation.name, text) }
        }
        let mut open: HashSet<&str> = open.into_iter().map(|symbol| self.text(symbol)).collect();
        for text in rich {
            let words = text.split([' ', '(', ')']).filter(|word| word.starts_with('/'));
            open.extend(words.filter(|path| self.symbols.get(*path).is_none_or(|symbol| !self.provides.contains_key(symbol))));
        }
        open
    }

    /// Tells that a package has a file.
    pub fn provide_file(&mut self, id: PackageId, path: &str) {
        let symbol = self.symbol(path);
        self.provides.entry(symbol).or_default().push((id, None));
    }

    /// All packages.
    pub fn ids(&self) -> impl Iterator<Item = PackageId> + use<> {
        (0..self.packages.len().try_into().unwrap_or(u32::MAX)).map(PackageId)
    }

    /// A package's name.
    pub fn name(&self, id: PackageId) -> &str {
        self.text(self.entry(id).name)
    }

    /// A package's architecture.
    pub fn arch(&self, id: PackageId) -> &str {
        self.text(self.entry(id).arch)
    }

    /// A package's epoch, version, release.
    pub fn version(&self, id: PackageId) -> Evr {
        self.owned(self.entry(id).evr)
    }

    /// A package's identifier: the digits of its checksum.
    pub fn pkgid(&self, id: PackageId) -> &str {
        &self.entry(id).pkgid
    }

    /// `name-epoch:version-release.arch`, as modules.yaml names artifacts: the epoch always.
    pub fn artifact(&self, id: PackageId) -> String {
        let entry = self.entry(id);
        let [epoch, version, release] = entry.evr.map(|part| self.text(part));
        format!("{}-{epoch}:{version}-{release}.{}", self.text(entry.name), self.text(entry.arch))
    }

    /// What a package requires, and with `recommends` what it recommends.
    pub(super) fn needs(&self, id: PackageId, recommends: bool) -> impl Iterator<Item = Need<'_>> {
        let entry = self.entry(id);
        let range = |range: &std::ops::Range<u32>| &self.relations[range.start as usize..range.end as usize];
        let weak = if recommends { range(&entry.recommends) } else { &[] };
        range(&entry.requires).iter().chain(weak).map(|relation| Need {
            name: self.text(relation.name),
            version: relation.version.map(|(comparison, evr)| (comparison, self.owned(evr))),
        })
    }

    /// How many requirements a package has.
    pub(super) fn requirements(&self, id: PackageId) -> usize {
        self.entry(id).requires.len()
    }

    /// The packages that satisfy a plain dependency.
    pub(super) fn providers(&self, name: &str, version: Option<&(Comparison, Evr)>) -> Vec<PackageId> {
        let Some(all) = self.symbols.get(name).and_then(|symbol| self.provides.get(symbol)) else { return vec![] };
        let fits = |provided: &Option<Version>| match (version, provided) {
            // rpm and libsolv: what provides a name without a version provides every version of it.
            (None, _) | (_, None) => true,
            (Some(needed), Some((comparison, evr))) => overlap((*comparison, &self.owned(*evr)), (needed.0, &needed.1)),
        };
        let mut found: Vec<_> = all.iter().filter(|(_, provided)| fits(provided)).map(|(id, _)| *id).collect();
        found.dedup();
        found
    }

    fn entry(&self, id: PackageId) -> &Entry {
        &self.packages[id.0 as usize]
    }

    fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol as usize]
    }

    fn owned(&self, evr: [Symbol; 3]) -> Evr {
        let [epoch, version, release] = evr.map(|part| self.text(part).to_owned());
        Evr { epoch, version, release }
    }

    fn symbol(&mut self, text: &str) -> Symbol {
        if let Some(known) = self.symbols.get(text) {
            return *known;
        }
        let symbol = self.texts.len().try_into().unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.symbols.insert(text.into(), symbol);
        symbol
    }

    fn evr(&mut self, evr: &Evr) -> [Symbol; 3] {
        // An absent epoch and 0 are the same thing.
        let epoch = if evr.epoch.is_empty() { "0" } else { &evr.epoch };
        [epoch, &evr.version, &evr.release].map(|part| self.symbol(part))
    }

    fn relation(&mut self, dependency: &Dependency) -> Relation {
        let version = dependency.version.as_ref().map(|(comparison, evr)| (*comparison, self.evr(evr)));
        Relation { name: self.symbol(&dependency.name), version }
    }

    fn relations(&mut self, dependencies: &[Dependency]) -> std::ops::Range<u32> {
        let end = |relations: &Vec<Relation>| relations.len().try_into().unwrap_or(u32::MAX);
        let start = end(&self.relations);
        for dependency in dependencies {
            let relation = self.relation(dependency);
            self.relations.push(relation);
        }
        start..end(&self.relations)
    }
}

/// True if a version exists that is within both ranges (rpm's `rpmdsCompare`).
fn overlap(provided: (Comparison, &Evr), needed: (Comparison, &Evr)) -> bool {
    let below = |comparison| matches!(comparison, Comparison::Lt | Comparison::Le);
    let above = |comparison| matches!(comparison, Comparison::Gt | Comparison::Ge);
    let equal = |comparison| matches!(comparison, Comparison::Le | Comparison::Eq | Comparison::Ge);
    let (p, n) = (provided.0, needed.0);
    match provided.1.compare_in_dependency(needed.1) {
        std::cmp::Ordering::Less => above(p) || below(n),
        std::cmp::Ordering::Greater => below(p) || above(n),
        std::cmp::Ordering::Equal => (equal(p) && equal(n)) || (below(p) && below(n)) || (above(p) && above(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_as_rpm_says() {
        use Comparison::{Eq, Ge, Gt, Le, Lt};
        let evr = |text: &str| {
            let (version, release) = text.split_once('-').unwrap_or((text, ""));
            Evr { epoch: "0".into(), version: version.into(), release: release.into() }
        };
        for (p, provided, n, needed, expected) in [
            (Eq, "1.0-1", Ge, "1.0", true),
            (Eq, "1.0-1", Gt, "1.0", false),
            (Eq, "1.0-1", Eq, "1.0-2", false),
            (Eq, "2", Lt, "2", false),
            (Eq, "2", Le, "2", true),
            (Ge, "1", Lt, "2", true),
            (Ge, "3", Lt, "2", false),
            (Lt, "2", Lt, "1", true),
            (Eq, "1.0~rc1", Ge, "1.0", false),
            (Eq, "1.0^git", Ge, "1.0", true),
        ] {
            assert_eq!(overlap((p, &evr(provided)), (n, &evr(needed))), expected, "{p:?} {provided} for {n:?} {needed}");
        }
    }
}
