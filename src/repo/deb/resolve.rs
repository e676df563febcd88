//! The dependency closure of one architecture: which packages a set of roots brings along.
//!
//! Dependencies with one answer are settled first; those with a choice wait, and then prefer what is already taken, else the first
//! alternative. So the result is small, and depends on nothing but the packages.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::closure::{Missing, Why};
use super::packages::Package;
use super::relation::{self, Dependency, Operator, Relation};
use super::universe::{PackageId, Stanzas, Summary, Universe};

/// A package that is there already (in the installer's initrd) and need not be selected.
pub(super) struct Given<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub provides: &'a str,
}

/// Which dependency fields are followed.
#[derive(Clone, Copy)]
pub(super) struct Follow {
    pub depends: bool,
    pub recommends: bool,
}

/// The closure as it grows.
pub(super) struct Closure<'a> {
    universe: &'a Universe,
    architecture: &'a str,
    follow: Follow,
    /// Why a package may not be taken.
    refused: &'a dyn Fn(&Summary<'a>) -> Option<Why>,
    given: HashMap<&'a str, Vec<Option<&'a str>>>,
    /// Virtual name -> who provides it, and as which version.
    providers: HashMap<&'a str, Vec<Provider<'a>>>,
    stanzas: Stanzas<'a>,
    selected: HashSet<PackageId>,
    unread: VecDeque<PackageId>,
    choices: VecDeque<Choice>,
    missing: BTreeSet<Missing>,
}

#[derive(Clone, Copy)]
struct Provider<'a> {
    id: PackageId,
    version: Option<&'a str>,
}

/// A dependency that several packages could satisfy, and that waits for the rest.
struct Choice {
    by: String,
    text: String,
    candidates: Vec<PackageId>,
}

impl<'a> Closure<'a> {
    pub fn new(universe: &'a Universe, architecture: &'a str, follow: Follow, refused: &'a dyn Fn(&Summary<'a>) -> Option<Why>) -> Self {
        let mut closure = Self {
            universe,
            architecture,
            follow,
            refused,
            given: HashMap::new(),
            providers: HashMap::new(),
            stanzas: universe.stanzas(),
            selected: HashSet::new(),
            unread: VecDeque::new(),
            choices: VecDeque::new(),
            missing: BTreeSet::new(),
        };
        for id in closure.offered() {
            for (name, version) in provided(universe.summary(id).provides) {
                closure.providers.entry(name).or_default().push(Provider { id, version });
            }
        }
        for providers in closure.providers.values_mut() {
            // `offered` goes by name and the sort is stable: the more important first, then by name.
            providers.sort_by_key(|provider| importance(universe.summary(provider.id).priority));
        }
        closure
    }

    /// Declares a package that is there already.
    pub fn give(&mut self, given: &Given<'a>) {
        self.given.entry(given.name).or_default().push(Some(given.version));
        for (name, version) in provided(given.provides) {
            self.given.entry(name).or_default().push(version);
        }
    }

    /// The newest version of every name that may be taken, by name.
    pub fn offered(&self) -> Vec<PackageId> {
        let mut last = "";
        let mut offered = Vec::new();
        for id in self.universe.sorted() {
            let summary = self.universe.summary(*id);
            if summary.name != last && self.here(&summary, None) && (self.refused)(&summary).is_none() {
                last = summary.name;
                offered.push(*id);
            }
        }
        offered
    }

    /// True if some package that may be taken provides this virtual name.
    pub fn is_provided(&self, name: &str) -> bool {
        self.providers.contains_key(name)
    }

    /// Takes a package as a root.
    pub fn take(&mut self, id: PackageId) {
        if self.selected.insert(id) {
            self.unread.push_back(id);
        }
    }

    /// Takes what satisfies a dependency that is written in no package. `by`: who asks.
    pub fn need(&mut self, dependency: &str, by: &str) {
        match relation::parse(dependency) {
            Ok(parsed) => parsed.iter().for_each(|dependency| self.depend(dependency, by, true)),
            Err(_) => self.lacks(by, dependency, Why::Malformed),
        }
    }

    /// Follows the dependencies of everything taken so far. Returns what was selected, and what nothing satisfies.
    pub fn close(mut self) -> (HashSet<PackageId>, BTreeSet<Missing>) {
        loop {
            if let Some(id) = self.unread.pop_front() {
                self.follow_package(id);
            } else if let Some(choice) = self.choices.pop_front() {
                self.choose(&choice);
            } else {
                return (self.selected, self.missing);
            }
        }
    }

    fn follow_package(&mut self, id: PackageId) {
        if !self.follow.depends && !self.follow.recommends {
            return;
        }
        let stanza = self.stanzas.read(id).to_owned();
        let Ok(package) = Package::parse(&stanza) else { return };
        let by = format!("{} {} {}", package.name, package.version, package.architecture);
        let required = [package.pre_depends, package.depends].map(|field| (field, true, self.follow.depends));
        for (field, required, followed) in required.into_iter().chain([(package.recommends, false, self.follow.recommends)]) {
            match relation::parse(field) {
                _ if !followed => {}
                Ok(parsed) => parsed.iter().for_each(|dependency| self.depend(dependency, &by, required)),
                Err(_) if required => self.lacks(&by, field, Why::Malformed),
                Err(_) => {}
            }
        }
    }

    fn depend(&mut self, dependency: &Dependency<'_>, by: &str, required: bool) {
        let counted = || dependency.alternatives.iter().filter(|relation| relation.applies_to(self.architecture));
        if counted().next().is_none() || counted().any(|relation| self.satisfied(relation)) {
            return;
        }
        let (mut candidates, mut why) = (Vec::new(), Why::NotFound);
        for relation in counted() {
            why = why.max(self.candidates(relation, true, &mut candidates));
        }
        if candidates.is_empty() {
            // Superseded versions, for those who accept nothing newer.
            counted().for_each(|relation| why = why.max(self.candidates(relation, false, &mut candidates)));
        }
        match candidates[..] {
            [] if required => self.lacks(by, dependency.text, why),
            [] => {}
            [only] => self.take(only),
            _ => self.choices.push_back(Choice { by: by.to_owned(), text: dependency.text.to_owned(), candidates }),
        }
    }

    fn choose(&mut self, choice: &Choice) {
        let taken = choice.candidates.iter().any(|id| self.selected.contains(id));
        // What satisfies it may also be a version that is no candidate: look at all that was taken.
        let parsed = relation::parse(&choice.text).unwrap_or_default();
        if taken || parsed.iter().flat_map(|dependency| &dependency.alternatives).any(|relation| self.satisfied(relation)) {
            return;
        }
        match choice.candidates.first() {
            Some(first) => self.take(*first),
            None => self.lacks(&choice.by, &choice.text, Why::NotFound),
        }
    }

    /// True if something given or taken satisfies the relation.
    fn satisfied(&self, relation: &Relation<'_>) -> bool {
        let given = self.given.get(relation.name).is_some_and(|versions| versions.iter().any(|version| accepts(relation, *version)));
        let taken = || {
            let mut named = self.universe.named(relation.name).iter();
            named.any(|id| self.selected.contains(id) && self.fits(relation, &self.universe.summary(*id)))
        };
        let provided = || {
            let mut providers = self.providers.get(relation.name).into_iter().flatten();
            providers.any(|provider| self.selected.contains(&provider.id) && accepts(relation, provider.version))
        };
        given || taken() || provided()
    }

    /// Adds what could satisfy the relation, the best first: the package itself, then what provides it. Says why it added nothing.
    fn candidates(&self, relation: &Relation<'_>, newest_only: bool, candidates: &mut Vec<PackageId>) -> Why {
        let mut why = Why::NotFound;
        for id in self.universe.named(relation.name) {
            let summary = self.universe.summary(*id);
            if !self.here(&summary, relation.qualifier) {
                continue;
            }
            if let Some(refusal) = (self.refused)(&summary) {
                why = why.max(refusal);
            } else if self.fits(relation, &summary) {
                candidates.push(*id);
                break;
            } else {
                why = why.max(Why::WrongVersion);
                if newest_only {
                    break;
                }
            }
        }
        for provider in self.providers.get(relation.name).into_iter().flatten() {
            if !accepts(relation, provider.version) {
                why = why.max(Why::WrongVersion);
            } else if !candidates.contains(&provider.id) {
                candidates.push(provider.id);
            }
        }
        why
    }

    fn fits(&self, relation: &Relation<'_>, summary: &Summary<'_>) -> bool {
        self.here(summary, relation.qualifier) && relation.accepts(summary.version)
    }

    /// True if the package is of the architecture that the relation means.
    fn here(&self, summary: &Summary<'_>, qualifier: Option<&str>) -> bool {
        match qualifier {
            None | Some("any" | "native") => summary.architecture == self.architecture || summary.architecture == "all",
            Some(foreign) => summary.architecture == foreign,
        }
    }

    fn lacks(&mut self, by: &str, needs: &str, why: Why) {
        self.missing.insert(Missing { by: by.to_owned(), needs: needs.to_owned(), why });
    }
}

/// The names in a `Provides` field, with their versions where they have one (only `=` is allowed there, Policy 7.5).
fn provided(field: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let parsed = if field.is_empty() { Vec::new() } else { relation::parse(field).unwrap_or_default() };
    parsed.into_iter().flat_map(|dependency| dependency.alternatives).map(|relation| {
        let version = relation.version.filter(|(operator, _)| *operator == Operator::Equal).map(|(_, version)| version);
        (relation.name, version)
    })
}

/// Policy 7.5: a relation with a version is satisfied by a versioned provides only.
fn accepts(relation: &Relation<'_>, version: Option<&str>) -> bool {
    relation.version.is_none() || version.is_some_and(|version| relation.accepts(version))
}

fn importance(priority: &str) -> u8 {
    match priority {
        "required" => 0,
        "important" => 1,
        "standard" => 2,
        "optional" => 3,
        _ => 4,
    }
}
