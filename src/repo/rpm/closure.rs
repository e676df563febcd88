//! Which packages of a repository a filter takes, closed under dependencies as far as that goes without a solver.
//!
//! What it does: every requirement (and with `recommends` every recommendation) of a taken package gets a provider: one that is taken
//! already, else the best (see `best`). Files count as provided by those that have them, in primary.xml or as told by
//! [`Universe::provide_file`]. Of a rich dependency everything is taken that any case of it could need: all sides of `and`, `or` and
//! `with`, and what stands before `if` and `unless` and behind `else`, whether or not its condition ever holds.
//!
//! What it does not: conflicts and obsoletes are not looked at, so a mirror may hold what cannot be installed together; `(a with b)` takes
//! a provider of each, not one of both; `without` is taken for its left side; supplements are not followed backwards. So the selection
//! may hold more than an installation needs, and where only one particular choice of providers has no conflict it may hold another.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::rich::{self, Rich};
use super::universe::{Need, PackageId, Universe};
use super::version::{Evr, split};
use crate::repo::glob;

/// Which packages are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Architectures, besides `noarch` which always belongs; empty: all but `src`. `src` only where it is named.
    pub arches: Vec<String>,
    /// Names and globs; empty: all.
    pub names: Vec<String>,
    /// Names and globs that are never taken, not even for a dependency.
    pub exclude: Vec<String>,
    /// Of several versions of a name and architecture only so many of the newest; `None`: all.
    pub newest: Option<usize>,
    /// `name-epoch:version-release.arch` of packages that [`Filter::newest`] does not count: artifacts of the module streams that stay.
    pub artifacts: HashSet<String>,
    /// Follow requirements.
    pub dependencies: bool,
    /// Follow recommendations too.
    pub recommends: bool,
}

/// What was selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The packages, in the repository's order.
    pub packages: Vec<PackageId>,
    /// Requirements that nothing satisfies: the package's `name-version.arch`, and the requirement. Recommendations are not among them.
    pub missing: Vec<(String, String)>,
    /// Names of the filter (without wildcards) that no package has.
    pub unknown_names: Vec<String>,
}

/// Selects by the filter. Deterministic.
pub fn select(universe: &Universe, filter: &Filter) -> Selection {
    let any = |patterns: &[String], name: &str| patterns.iter().any(|pattern| glob::matches(pattern, name));
    let fits = |id: &PackageId| {
        let arch = universe.arch(*id);
        let right = match arch {
            "noarch" => true,
            "src" | "nosrc" => filter.arches.iter().any(|wanted| wanted == arch),
            _ => filter.arches.is_empty() || filter.arches.iter().any(|wanted| wanted == arch),
        };
        right && !any(&filter.exclude, universe.name(*id))
    };
    let possible: Vec<PackageId> = universe.ids().filter(fits).collect();
    let offered: BTreeSet<PackageId> = match filter.newest {
        Some(count) => newest(universe, &possible, count, &filter.artifacts),
        None => possible.iter().copied().collect(),
    };
    let wanted = |id: &PackageId| filter.names.is_empty() || any(&filter.names, universe.name(*id));
    let mut closure = Closure {
        universe,
        possible: possible.iter().copied().collect(),
        offered: &offered,
        taken: BTreeSet::new(),
        missing: BTreeSet::new(),
    };
    let mut work: Vec<PackageId> = offered.iter().copied().filter(wanted).collect();
    closure.taken.extend(&work);
    while let Some(id) = work.pop().filter(|_| filter.dependencies) {
        // Recommendations stand behind all requirements.
        let strong = universe.requirements(id);
        for (at, need) in universe.needs(id, filter.recommends).enumerate() {
            let weak = at >= strong;
            if !closure.satisfy(id, &need, &mut work) && !weak {
                let by = format!("{}-{}.{}", universe.name(id), universe.version(id), universe.arch(id));
                closure.missing.insert((by, need.to_string()));
            }
        }
    }
    let names: HashSet<&str> = universe.ids().map(|id| universe.name(id)).collect();
    let unknown = |name: &&String| !glob::is_glob(name) && !names.contains(name.as_str());
    Selection {
        packages: closure.taken.into_iter().collect(),
        missing: closure.missing.into_iter().collect(),
        unknown_names: filter.names.iter().filter(unknown).cloned().collect(),
    }
}

/// The newest `count` versions of every name and architecture, and all artifacts.
fn newest(universe: &Universe, possible: &[PackageId], count: usize, artifacts: &HashSet<String>) -> BTreeSet<PackageId> {
    let mut offered = BTreeSet::new();
    let mut by_name: BTreeMap<(&str, &str), Vec<(Evr, PackageId)>> = BTreeMap::new();
    for id in possible {
        if !artifacts.is_empty() && artifacts.contains(&universe.artifact(*id)) {
            offered.insert(*id);
        } else {
            by_name.entry((universe.name(*id), universe.arch(*id))).or_default().push((universe.version(*id), *id));
        }
    }
    for mut versions in by_name.into_values() {
        versions.sort_by(|(a, _), (b, _)| b.compare(a));
        // One version can stand there twice, as two files: both count as one.
        let mut seen = 0;
        let mut last: Option<&Evr> = None;
        for (evr, id) in &versions {
            if last.is_none_or(|last| last.compare(evr).is_ne()) {
                seen += 1;
                last = Some(evr);
            }
            if seen > count {
                break;
            }
            offered.insert(*id);
        }
    }
    offered
}

struct Closure<'a> {
    universe: &'a Universe,
    possible: HashSet<PackageId>,
    offered: &'a BTreeSet<PackageId>,
    taken: BTreeSet<PackageId>,
    missing: BTreeSet<(String, String)>,
}

impl Closure<'_> {
    /// Sees to it that a need of `by` has a provider. False if there is none.
    fn satisfy(&mut self, by: PackageId, need: &Need<'_>, work: &mut Vec<PackageId>) -> bool {
        if need.name.starts_with('(') {
            // What cannot be taken apart cannot be satisfied either.
            return rich::parse(need.name).is_some_and(|rich| self.satisfy_rich(by, &rich, work));
        }
        let providers = self.universe.providers(need.name, need.version.as_ref());
        if providers.iter().any(|id| self.taken.contains(id) && self.suits(*id, by)) {
            return true;
        }
        let Some(best) = self.best(&providers, need.name, by) else { return false };
        if self.taken.insert(best) {
            work.push(best);
        }
        true
    }

    fn satisfy_rich(&mut self, by: PackageId, rich: &Rich<'_>, work: &mut Vec<PackageId>) -> bool {
        match rich {
            Rich::One(name, version) => {
                let version = version.and_then(|(comparison, evr)| {
                    let (epoch, version, release) = split(evr.as_bytes())?;
                    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
                    Some((comparison, Evr { epoch: text(epoch), version: text(version), release: text(release) }))
                });
                self.satisfy(by, &Need { name, version }, work)
            }
            // No short cut: every side is to be taken.
            Rich::All(sides) => sides.iter().filter(|side| !self.satisfy_rich(by, side, work)).count() == 0,
            Rich::Any(sides) => sides.iter().filter(|side| self.satisfy_rich(by, side, work)).count() > 0,
            Rich::Maybe(sides) => {
                sides.iter().for_each(|side| {
                    self.satisfy_rich(by, side, work);
                });
                true
            }
        }
    }

    /// True if a provider is of the same architecture, or either is `noarch`: what a node with `by` could install. Source packages build
    /// with anything.
    fn suits(&self, provider: PackageId, by: PackageId) -> bool {
        let (provider, by) = (self.universe.arch(provider), self.universe.arch(by));
        provider == by || provider == "noarch" || by == "noarch" || by == "src"
    }

    /// The best provider: one that is offered (an older version only where no newer does), of a suitable architecture, named as the
    /// requirement is, of the shortest name, the newest.
    fn best(&self, providers: &[PackageId], name: &str, by: PackageId) -> Option<PackageId> {
        let rank = |id: &PackageId| {
            let own = self.universe.name(*id);
            (!self.offered.contains(id), !self.suits(*id, by), own != name, own.len(), own)
        };
        let candidates =
            providers.iter().copied().filter(|id| self.possible.contains(id) && !matches!(self.universe.arch(*id), "src" | "nosrc"));
        candidates.min_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| self.universe.version(*b).compare(&self.universe.version(*a))))
    }
}

impl std::fmt::Display for Need<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use super::depends::Comparison::{Eq, Ge, Gt, Le, Lt};
        f.write_str(self.name)?;
        match &self.version {
            None => Ok(()),
            Some((comparison, evr)) => {
                let sign = match comparison {
                    Lt => "<",
                    Le => "<=",
                    Eq => "=",
                    Ge => ">=",
                    Gt => ">",
                };
                write!(f, " {sign} {evr}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::rpm::primary::Package;

    /// A package by `name version arch`, with entries such as `requires: b >= 2` and `file: /usr/bin/x`.
    fn package(nva: &str, entries: &[&str]) -> Package {
        let [name, version, arch] = nva.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let digits = crate::domain::checksum::Sha256::of(nva.as_bytes());
        let mut sections = format!("<rpm:provides><rpm:entry name='{name}' flags='EQ' epoch='0' ver='{version}' rel='1'/></rpm:provides>");
        for entry in entries {
            let (kind, what) = entry.split_once(": ").unwrap();
            if kind == "file" {
                sections.push_str(&format!("<file>{what}</file>"));
                continue;
            }
            let words: Vec<_> = if what.starts_with('(') { vec![what] } else { what.split(' ').collect() };
            let sign = words.get(1).map(|sign| match *sign {
                "<" => "LT",
                ">=" => "GE",
                _ => "EQ",
            });
            let version = sign.map(|sign| format!("flags='{sign}' epoch='0' ver='{}'", words[2])).unwrap_or_default();
            sections.push_str(&format!("<rpm:{kind}><rpm:entry name='{}' {version}/></rpm:{kind}>", words[0].replace('<', "&lt;")));
        }
        let xml = format!(
            "<package><name>{name}</name><arch>{arch}</arch><version epoch='0' ver='{version}' rel='1'/>\
             <checksum type='sha256'>{digits}</checksum><location href='x'/><format>{sections}</format></package>"
        );
        Package::parse(xml.as_bytes()).unwrap()
    }

    fn universe(packages: &[(&str, &[&str])]) -> Universe {
        let mut universe = Universe::default();
        packages.iter().for_each(|(nva, entries)| {
            universe.add(&package(nva, entries));
        });
        universe
    }

    fn selected(universe: &Universe, filter: &Filter) -> (Vec<String>, Vec<String>) {
        let selection = select(universe, filter);
        let nva = |id: &PackageId| format!("{} {} {}", universe.name(*id), universe.version(*id).version, universe.arch(*id));
        (selection.packages.iter().map(nva).collect(), selection.missing.into_iter().map(|(by, needs)| format!("{by}: {needs}")).collect())
    }

    fn names(names: &[&str]) -> Filter {
        Filter { names: names.iter().map(|name| (*name).to_owned()).collect(), dependencies: true, ..Filter::default() }
    }

    #[test]
    fn a_closure_follows_names_versions_provides_and_files() {
        let universe = universe(&[
            ("app 1 x86_64", &["requires: lib >= 2", "requires: virtual", "requires: /usr/bin/tool", "requires: gone"]),
            ("lib 1 x86_64", &[]),
            ("lib 2 x86_64", &["requires: app"]),
            ("long-provider 1 x86_64", &["provides: virtual"]),
            ("provider 1 x86_64", &["provides: virtual"]),
            ("tools 1 noarch", &["file: /usr/bin/tool"]),
            ("unrelated 1 x86_64", &[]),
        ]);
        let (packages, missing) = selected(&universe, &names(&["app"]));
        assert_eq!(packages, ["app 1 x86_64", "lib 2 x86_64", "provider 1 x86_64", "tools 1 noarch"]);
        assert_eq!(missing, ["app-1-1.x86_64: gone"]);
        let selection = select(&universe, &names(&["ap*", "nobody", "no*"]));
        assert_eq!(selection.unknown_names, ["nobody"]);
    }

    #[test]
    fn files_that_primary_does_not_list_are_looked_for_in_filelists() {
        let mut universe = universe(&[("app 1 x86_64", &["requires: /usr/share/x", "requires: (/opt/y if z)"]), ("data 1 noarch", &[])]);
        let mut open: Vec<_> = universe.open_paths().into_iter().collect();
        open.sort_unstable();
        assert_eq!(open, ["/opt/y", "/usr/share/x"]);
        universe.provide_file(PackageId(1), "/usr/share/x");
        assert_eq!(universe.open_paths().len(), 1);
        let (packages, missing) = selected(&universe, &names(&["app"]));
        assert_eq!((packages.len(), missing.len()), (2, 0));
    }

    #[test]
    fn newest_counts_versions_by_name_and_architecture_and_spares_artifacts() {
        let universe = universe(&[
            ("a 1 x86_64", &[]),
            ("a 3 x86_64", &[]),
            ("a 2 x86_64", &[]),
            ("a 1 i686", &[]),
            ("a 0.5 x86_64", &[]),
            ("b 1.0~rc1 noarch", &[]),
            ("b 1.0 noarch", &[]),
        ]);
        let filter = Filter { newest: Some(1), artifacts: HashSet::from(["a-0:0.5-1.x86_64".to_owned()]), ..Filter::default() };
        assert_eq!(selected(&universe, &filter).0, ["a 3 x86_64", "a 1 i686", "a 0.5 x86_64", "b 1.0 noarch"]);
        let filter = Filter { newest: Some(2), arches: vec!["x86_64".into()], exclude: vec!["b*".into()], ..Filter::default() };
        assert_eq!(selected(&universe, &filter).0, ["a 3 x86_64", "a 2 x86_64"]);
    }

    #[test]
    fn an_older_version_is_taken_where_a_dependency_accepts_no_newer() {
        let universe = universe(&[("app 1 x86_64", &["requires: lib < 2"]), ("lib 1 x86_64", &[]), ("lib 2 x86_64", &[])]);
        let filter = Filter { newest: Some(1), ..names(&["app"]) };
        assert_eq!(selected(&universe, &filter).0, ["app 1 x86_64", "lib 1 x86_64"]);
    }

    #[test]
    fn the_provider_is_of_the_same_architecture() {
        let universe = universe(&[
            ("app 1 x86_64", &["requires: lib"]),
            ("app 1 i686", &["requires: lib"]),
            ("lib 2 i686", &[]),
            ("lib 1 x86_64", &[]),
            ("lib 9 src", &[]),
        ]);
        assert_eq!(selected(&universe, &names(&["app"])).0, ["app 1 x86_64", "app 1 i686", "lib 2 i686", "lib 1 x86_64"]);
    }

    #[test]
    fn of_a_rich_dependency_every_case_is_taken() {
        let universe = universe(&[
            (
                "app 1 noarch",
                &["requires: (a if nobody)", "requires: (b or c)", "requires: (d and (e or nothing))", "requires: (nothing or void)"],
            ),
            ("a 1 noarch", &[]),
            ("b 1 noarch", &[]),
            ("c 1 noarch", &[]),
            ("d 1 noarch", &[]),
            ("e 1 noarch", &[]),
        ]);
        let (packages, missing) = selected(&universe, &names(&["app"]));
        assert_eq!((packages.len(), missing), (6, vec!["app-1-1.noarch: (nothing or void)".to_owned()]));
    }

    #[test]
    fn recommendations_are_followed_on_request_and_never_missing() {
        let universe = universe(&[("app 1 noarch", &["recommends: nice", "recommends: gone"]), ("nice 1 noarch", &[])]);
        assert_eq!(selected(&universe, &names(&["app"])).0.len(), 1);
        let (packages, missing) = selected(&universe, &Filter { recommends: true, ..names(&["app"]) });
        assert_eq!((packages.len(), missing.len()), (2, 0));
    }
}
