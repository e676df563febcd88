//! Which packages a filtered mirror takes: the union of the filter's rules, closed under dependencies.

use std::collections::BTreeSet;

use super::resolve::{Closure, Follow};
use super::universe::{PackageId, Summary, Universe};
use crate::domain::mirror::Filter;
use crate::repo::glob;

/// What was selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The packages, by name, then architecture, then version.
    pub packages: Vec<PackageId>,
    /// Dependencies that nothing can satisfy. Empty: the selection is closed.
    pub missing: Vec<Missing>,
    /// Names of the filter (without wildcards) that no package has.
    pub unknown_names: Vec<String>,
}

/// A dependency that nothing in the universe satisfies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The package that needs it: `name version architecture`, or words for a root.
    pub by: String,
    /// The dependency as written, such as `libc6 (>= 2.41) | libc6.1`.
    pub needs: String,
    /// Why it is missing.
    pub why: Why,
}

/// Why a dependency is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// No package has that name or provides it.
    NotFound,
    /// The name exists, but in no version that would do.
    WrongVersion,
    /// Only modules of another kernel would do.
    OtherKernel,
    /// Only what the filter excludes would do.
    Excluded,
    /// The field could not be parsed.
    Malformed,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.why {
            Why::NotFound => "which no package is or provides",
            Why::WrongVersion => "which exists in other versions only",
            Why::OtherKernel => "which exists for other kernels only",
            Why::Excluded => "which the filter excludes",
            Why::Malformed => "which is not a dependency",
        };
        write!(f, "{} needs {}, {why}", self.by, self.needs)
    }
}

/// Selects by the filter. Deterministic: the order in which packages came into the universe does not matter.
///
/// Of several versions of a name (several suites) the highest is offered; an older one is taken only where a dependency accepts no newer.
/// Architectures are closed one by one, each together with `all`. Conflicts are not looked at: a mirror may hold both sides.
pub fn select(universe: &Universe, filter: &Filter) -> Selection {
    let excluded = |summary: &Summary<'_>| {
        let by_name = filter.exclude.iter().any(|pattern| glob::matches(pattern, summary.name));
        by_name.then_some(Why::Excluded)
    };
    let follow = Follow { depends: filter.dependencies, recommends: filter.recommends };
    let (mut packages, mut missing) = (BTreeSet::new(), BTreeSet::new());
    let mut unknown: BTreeSet<&String> = filter.names.iter().filter(|name| !glob::is_glob(name)).collect();
    for architecture in architectures(universe) {
        let mut closure = Closure::new(universe, architecture, follow, &excluded);
        for id in closure.offered() {
            let summary = universe.summary(id);
            if wanted(filter, &summary) {
                closure.take(id);
            }
        }
        for name in filter.names.iter().filter(|name| !glob::is_glob(name)) {
            // A virtual name, such as `mail-transport-agent`, asks for what provides it.
            if universe.named(name).is_empty() && closure.is_provided(name) {
                closure.need(name, "the filter");
                unknown.remove(name);
            }
        }
        let (selected, lacking) = closure.close();
        packages.extend(selected);
        missing.extend(lacking);
    }
    unknown.retain(|name| universe.named(name).is_empty());
    let unknown_names = unknown.into_iter().cloned().collect();
    Selection { packages: in_order(universe, packages), missing: missing.into_iter().collect(), unknown_names }
}

fn wanted(filter: &Filter, summary: &Summary<'_>) -> bool {
    let priority = |priority: &str| filter.priorities.iter().any(|wanted| wanted == priority);
    // Policy 3.8: essential packages are expected wherever `required` ones are.
    priority(summary.priority)
        || (summary.essential && priority("required"))
        || filter.sections.iter().any(|section| section == summary.section)
        || filter.names.iter().any(|pattern| glob::matches(pattern, summary.name))
}

/// The architectures of the packages, `all` only when there is no other.
fn architectures(universe: &Universe) -> Vec<&str> {
    let all: BTreeSet<&str> = universe.ids().map(|id| universe.summary(id).architecture).collect();
    match all.iter().copied().filter(|name| *name != "all").collect::<Vec<_>>() {
        real if real.is_empty() => all.into_iter().collect(),
        real => real,
    }
}

/// By name, architecture and version.
pub(super) fn in_order(universe: &Universe, packages: impl IntoIterator<Item = PackageId>) -> Vec<PackageId> {
    let mut packages: Vec<PackageId> = packages.into_iter().collect();
    packages.sort_by(|a, b| {
        let (left, right) = (universe.summary(*a), universe.summary(*b));
        (left.name, left.architecture)
            .cmp(&(right.name, right.architecture))
            .then_with(|| super::version::compare(left.version, right.version))
            .then(left.origin.cmp(&right.origin))
    });
    packages
}

#[cfg(test)]
mod tests {
    use super::super::universe::tests::universe;
    use super::*;

    fn filter(names: &[&str]) -> Filter {
        Filter { names: names.iter().map(|name| (*name).to_owned()).collect(), dependencies: true, ..Filter::default() }
    }

    /// `name version` of what was selected.
    fn picked(universe: &Universe, filter: &Filter) -> Vec<String> {
        let selection = select(universe, filter);
        assert_eq!(selection.missing, []);
        names(universe, &selection)
    }

    fn names(universe: &Universe, selection: &Selection) -> Vec<String> {
        selection.packages.iter().map(|id| universe.summary(*id)).map(|s| format!("{} {}", s.name, s.version)).collect()
    }

    #[test]
    fn rules_are_a_union_and_essential_packages_come_with_the_required() {
        let universe = universe(&[
            ("a 1 all", "Priority: required"),
            ("b 1 amd64", "Priority: optional\nEssential: yes"),
            ("c 1 amd64", "Section: admin"),
            ("linux-image-6-amd64 1 amd64", ""),
            ("d 1 amd64", "Priority: optional"),
        ]);
        let filter = Filter { priorities: vec!["required".into()], sections: vec!["admin".into()], ..filter(&["linux-image-*-amd64"]) };
        assert_eq!(picked(&universe, &filter), ["a 1", "b 1", "c 1", "linux-image-6-amd64 1"]);
    }

    #[test]
    fn dependencies_are_followed_and_recommends_on_request() {
        let universe = universe(&[
            ("a 1 amd64", "Depends: b (>= 1)\nPre-Depends: c\nRecommends: r, gone"),
            ("b 1 amd64", "Depends: a"),
            ("c 1 amd64", ""),
            ("r 1 amd64", ""),
        ]);
        assert_eq!(picked(&universe, &filter(&["a"])), ["a 1", "b 1", "c 1"]);
        assert_eq!(picked(&universe, &Filter { recommends: true, ..filter(&["a"]) }), ["a 1", "b 1", "c 1", "r 1"]);
        assert_eq!(picked(&universe, &Filter { dependencies: false, ..filter(&["a"]) }), ["a 1"]);
    }

    #[test]
    fn an_alternative_that_is_taken_anyway_is_preferred_to_the_first() {
        let packages = [("a 1 amd64", "Depends: x | y"), ("z 1 amd64", "Depends: y"), ("x 1 amd64", ""), ("y 1 amd64", "")];
        assert_eq!(picked(&universe(&packages), &filter(&["a", "z"])), ["a 1", "y 1", "z 1"]);
        assert_eq!(picked(&universe(&packages), &filter(&["a"])), ["a 1", "x 1"]);
        assert_eq!(picked(&universe(&[packages[0], packages[3]]), &filter(&["a"])), ["a 1", "y 1"]);
    }

    #[test]
    fn provides_satisfy_and_a_version_asks_for_a_versioned_one() {
        let universe = universe(&[
            ("a 1 amd64", "Depends: mta"),
            ("postfix 1 amd64", "Provides: mta"),
            ("exim 1 amd64", "Provides: mta (= 3)\nPriority: standard"),
            ("b 1 amd64", "Depends: mta (>= 2)"),
            ("c 1 amd64", "Depends: mta (>= 4)"),
        ]);
        assert_eq!(picked(&universe, &filter(&["a"])), ["a 1", "exim 1"]);
        assert_eq!(picked(&universe, &filter(&["a", "postfix"])), ["a 1", "postfix 1"]);
        assert_eq!(picked(&universe, &filter(&["b", "postfix"])), ["b 1", "exim 1", "postfix 1"]);
        assert_eq!(picked(&universe, &filter(&["mta"])), ["exim 1"]);
        let missing = select(&universe, &filter(&["c"])).missing;
        assert_eq!(missing, [Missing { by: "c 1 amd64".into(), needs: "mta (>= 4)".into(), why: Why::WrongVersion }]);
    }

    #[test]
    fn only_the_newest_version_is_offered_unless_an_older_one_is_demanded() {
        let packages = [
            ("a 1.9 amd64", "Depends: old"),
            ("a 1.10~rc1 amd64", ""),
            ("a 1.10 amd64", "Depends: new"),
            ("new 1 amd64", ""),
            ("old 1 amd64", ""),
            ("exact 1 amd64", "Depends: a (= 1.9)"),
        ];
        assert_eq!(picked(&universe(&packages), &filter(&["a"])), ["a 1.10", "new 1"]);
        assert_eq!(picked(&universe(&packages), &filter(&["exact"])), ["a 1.9", "exact 1", "old 1"]);
    }

    #[test]
    fn a_package_whose_file_is_gone_gives_way_to_an_older_or_local_one() {
        let mut universe = universe(&[("a 1 amd64", "Depends: e2fsprogs"), ("e2fsprogs 1+b12 amd64", ""), ("e2fsprogs 1+b11 amd64", "")]);
        assert_eq!(picked(&universe, &filter(&["a"])), ["a 1", "e2fsprogs 1+b12"]);
        let newest = universe.named("e2fsprogs")[0];
        universe.leave_out(newest);
        assert_eq!(picked(&universe, &filter(&["a"])), ["a 1", "e2fsprogs 1+b11"]);
    }

    #[test]
    fn what_is_missing_is_told_with_who_needs_it() {
        let universe = universe(&[
            ("a 1 amd64", "Depends: gone, b (>= 2) | gone2, x, (bad"),
            ("b 1 all", ""),
            ("x 1 amd64", ""),
            ("c 1 amd64", "Depends: gone, x"),
        ]);
        let selection = select(&universe, &Filter { exclude: vec!["x".into()], ..filter(&["a", "c", "nonsense", "no*"]) });
        let told: Vec<String> = selection.missing.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "a 1 amd64 needs gone, b (>= 2) | gone2, x, (bad, which is not a dependency",
                "c 1 amd64 needs gone, which no package is or provides",
                "c 1 amd64 needs x, which the filter excludes"
            ]
        );
        assert_eq!(selection.unknown_names, ["nonsense"]);
    }

    #[test]
    fn what_is_excluded_is_never_taken() {
        let universe = universe(&[("a 1 amd64", "Depends: x | y"), ("x 1 amd64", ""), ("y 1 amd64", ""), ("x2 1 amd64", "")]);
        assert_eq!(picked(&universe, &Filter { exclude: vec!["x*".into()], ..filter(&["a", "x", "x2"]) }), ["a 1", "y 1"]);
    }

    #[test]
    fn architectures_are_closed_one_by_one_with_all() {
        let universe = universe(&[
            ("a 1 amd64", "Depends: lib, data"),
            ("a 1 arm64", "Depends: lib:any, only-amd64 [amd64]"),
            ("lib 1 amd64", ""),
            ("lib 1 arm64", ""),
            ("data 1 all", "Depends: lib"),
            ("tool 1 arm64", "Depends: lib:amd64"),
        ]);
        let selection = select(&universe, &filter(&["a", "tool"]));
        assert_eq!(selection.missing, []);
        let all: Vec<_> =
            selection.packages.iter().map(|id| universe.summary(*id)).map(|s| format!("{}:{}", s.name, s.architecture)).collect();
        assert_eq!(all, ["a:amd64", "a:arm64", "data:all", "lib:amd64", "lib:arm64", "tool:arm64"]);
    }

    #[test]
    fn the_order_in_which_packages_came_does_not_matter() {
        let mut packages = vec![
            ("a 1 amd64", "Depends: m1 | m2, v"),
            ("m1 1 amd64", "Depends: v"),
            ("m2 1 amd64", ""),
            ("p 1 amd64", "Provides: v"),
            ("q 1 amd64", "Provides: v"),
            ("q 2 amd64", "Provides: v"),
            ("b 1 amd64", "Depends: m2 | m1, q | p"),
        ];
        let expected = picked(&universe(&packages), &filter(&["a", "b"]));
        for _ in 0..packages.len() {
            packages.rotate_left(1);
            assert_eq!(picked(&universe(&packages), &filter(&["a", "b"])), expected);
            let mut reversed = packages.clone();
            reversed.reverse();
            assert_eq!(picked(&universe(&reversed), &filter(&["a", "b"])), expected);
        }
    }
}
