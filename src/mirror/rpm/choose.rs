//! Which packages a filtered or merged mirror takes. Pure, but for reading records out of the store.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::merge;
use super::modules::Artifacts;
use super::packages::Item;
use super::records::{self, Held, refused};
use super::root::Root;
use crate::domain::mirror::RpmFilter;
use crate::mirror::Result;
use crate::mirror::error::{Incomplete, chain};
use crate::mirror::fetch::Tools;
use crate::repo::rpm::closure::{self, Filter};
use crate::repo::rpm::filelists::FileList;
use crate::repo::rpm::primary::{Package, Packages};
use crate::repo::rpm::universe::{PackageId, Universe};

/// Everything there is to choose from.
#[derive(Default)]
pub struct Offer {
    /// In the order of the universe's packages, where there is one.
    items: Vec<Item>,
    /// What the packages offer and need; filled where a filter will ask for it.
    universe: Universe,
    /// What modules.yaml says of packages, per repository.
    modules: Vec<Artifacts>,
}

/// What is taken.
pub struct Choice {
    /// In the order of the metadata.
    pub items: Vec<Item>,
    /// Dependencies that nothing satisfies.
    pub missing: Vec<String>,
    /// Names in the filter that no package has.
    unknown: Vec<String>,
}

impl Choice {
    /// What keeps the choice from being whole.
    pub fn incomplete(&self) -> Option<Incomplete> {
        let incomplete = Incomplete {
            files: Vec::new(),
            dependencies: self.missing.clone(),
            unknown_names: self.unknown.clone(),
            remedy: "to do: correct the [filter] of the mirror's definition (a [[repository]] may be missing), write `dependencies = false` into \
                     it, or sync with --allow-missing"
                .to_owned(),
        };
        (!incomplete.is_empty()).then_some(incomplete)
    }
}

impl Offer {
    /// Adds a package that nothing chooses.
    pub fn add(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Adds a package that a filter will look at.
    pub fn add_to_choose(&mut self, item: Item, package: &Package) {
        self.universe.add(package);
        self.items.push(item);
    }

    /// Adds what a repository's modules.yaml says.
    ///
    /// # Errors
    /// If it does not read.
    pub fn add_modules(&mut self, tools: &Tools, root: &Root, held: &[Held]) -> Result<()> {
        let mut artifacts = Artifacts::default();
        for held in held.iter().filter(|held| held.record.kind == "modules") {
            let wrong = |problem: String| refused(root, &held.record, problem);
            let text = merge::text(&tools.store, held).map_err(|error| wrong(chain(&error)))?;
            artifacts = Artifacts::of(&text).map_err(|error| wrong(chain(&error)))?;
        }
        self.modules.push(artifacts);
        Ok(())
    }

    /// Looks for files that packages need and primary.xml lists for none. filelists.xml is large, so that it is read when it has to be.
    ///
    /// # Errors
    /// If it does not read.
    pub fn add_files(&mut self, tools: &Tools, roots: &[Root], held: &[Vec<Held>]) -> Result<()> {
        let wanted: HashSet<String> = self.universe.open_paths().into_iter().map(str::to_owned).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for (number, (root, held)) in roots.iter().zip(held).enumerate() {
            let Some(held) = held.iter().find(|held| held.record.kind == "filelists") else { continue };
            let wrong = |problem: String| refused(root, &held.record, problem);
            let items = self.items.iter().zip(self.universe.ids()).filter(|(item, _)| item.root == number);
            let ids: HashMap<&str, PackageId> = items.map(|(item, id)| (item.pkgid.as_str(), id)).collect();
            let mut packages = Packages::new(records::open(&tools.store, held)?);
            while let Some(raw) = packages.next_raw().map_err(|error| wrong(chain(&error)))? {
                let list = FileList::parse(raw).map_err(|error| wrong(chain(&error)))?;
                let Some(id) = ids.get(list.pkgid.as_str()) else { continue };
                for (_, path) in list.files.iter().filter(|(_, path)| wanted.contains(path)) {
                    self.universe.provide_file(*id, path);
                }
            }
        }
        Ok(())
    }

    /// All packages; of a merged mirror each file once.
    pub fn into_items(self, merged: bool) -> Vec<Item> {
        let mut seen = HashSet::new();
        self.items.into_iter().filter(|item| !merged || seen.insert(item.file.sha256)).collect()
    }

    /// Applies a filter: architectures, names, newest; then what the chosen packages need.
    pub fn choose(&self, filter: &RpmFilter, merged: bool) -> Choice {
        let kept = filter.newest.map(|newest| self.newest(newest.get() as usize, merged));
        let selection = closure::select(
            &self.universe,
            &Filter {
                arches: filter.architectures.clone(),
                names: filter.names.clone(),
                exclude: filter.exclude.clone(),
                // What is new enough is counted here, by repository and stream; the closure is to keep that, and nothing else.
                newest: kept.is_some().then_some(0),
                artifacts: kept.unwrap_or_default(),
                // All packages of a distribution that was built as a whole: what they need is there, or nowhere.
                dependencies: filter.dependencies && !filter.names.is_empty(),
                recommends: filter.recommends,
            },
        );
        let mut seen = HashSet::new();
        let items = selection.packages.iter().filter_map(|id| self.items.get(id.0 as usize));
        Choice {
            items: items.filter(|item| !merged || seen.insert(item.file.sha256)).cloned().collect(),
            missing: selection.missing.into_iter().map(|(by, needs)| format!("{by} needs {needs}")).collect(),
            unknown: selection.unknown_names,
        }
    }

    /// The newest versions of each name and architecture within a repository (or all of them, merged), as modules.yaml names packages.
    /// Modular packages compete among themselves only: one of an older stream is not outdone by one of a newer, nor by one of none. All of
    /// the last versions of each stream are kept besides.
    fn newest(&self, count: usize, merged: bool) -> HashSet<String> {
        let mut groups: BTreeMap<(usize, &str, &str, bool), Vec<PackageId>> = BTreeMap::new();
        let mut kept = HashSet::new();
        for (id, item) in self.universe.ids().zip(&self.items) {
            let artifact = self.universe.artifact(id);
            let modular = self.modules.iter().any(|modules| modules.contains(&artifact));
            let repository = if merged { 0 } else { item.root };
            groups.entry((repository, self.universe.name(id), self.universe.arch(id), modular)).or_default().push(id);
            let mut modules = self.modules.iter().enumerate().filter(|(number, _)| merged || *number == item.root);
            if modules.any(|(_, modules)| modules.is_latest(&artifact, count)) {
                kept.insert(artifact);
            }
        }
        for group in groups.into_values() {
            let mut versions: Vec<_> = group.into_iter().map(|id| (self.universe.version(id), id)).collect();
            versions.sort_by(|(a, _), (b, _)| b.compare(a));
            // One version can stand there twice, as two files.
            let newest: Vec<_> = versions.chunk_by(|(a, _), (b, _)| a.compare(b).is_eq()).take(count).flatten().collect();
            kept.extend(newest.into_iter().map(|(_, id)| self.universe.artifact(*id)));
        }
        kept
    }
}
