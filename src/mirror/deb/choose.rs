//! The packages that a snapshot takes, around what upstream names and does not have.

use std::collections::BTreeMap;

use super::Debian;
use super::installer::Chosen;
use super::plan::{self, Item, Offer};
use crate::domain::checksum::Sha256;
use crate::mirror::error::Incomplete;
use crate::mirror::fetch::{File, describe};
use crate::mirror::sync::{Fetched, Planned};
use crate::mirror::{Error, Result};
use crate::repo::deb::closure::Selection;
use crate::sys::objects::ObjectStore;

const REMEDY: &str = "try again when upstream has them, put replacements into a directory and add it by `--local DIR`, or leave them out with \
                      --allow-missing";

fn lost_files(files: Vec<String>, remedy: &str) -> Error {
    Error::Incomplete(Box::new(Incomplete { files, remedy: format!("to do: {remedy}"), ..Incomplete::default() }))
}

impl Debian<'_> {
    /// Chooses packages by the filter, without those that were lost.
    pub(super) fn choose(&self, offer: &Offer) -> Result<Choice> {
        let selection = plan::select(&offer.debs, self.definition.filter.as_ref());
        let mut taken = BTreeMap::new();
        let mut items = plan::items(offer, &offer.debs, &selection.packages, &mut taken)?;
        if self.definition.filter.is_none() {
            // A whole mirror: the installer's packages as they stand in upstream's index.
            for udebs in offer.udebs.values().filter(|_| self.is_whole()) {
                items.extend(plan::items(offer, udebs, udebs.sorted(), &mut taken)?);
            }
        }
        let mut choice = Choice { items, ..Choice::default() };
        choice.check(&selection, self.sync.options.allow_missing)?;
        Ok(choice)
    }

    /// Fetches what was chosen. What upstream lost is replaced by local packages, or left out by leave, or reported as a whole.
    pub(super) async fn fetch(&self, offer: &mut Offer, choice: &mut Choice, fetched: &mut Fetched) -> Result<()> {
        let mut lost: Vec<Item> = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        loop {
            let files: Vec<File> = choice.items.iter().map(|item| item.file.clone()).collect();
            let obtained = self.sync.tools.obtain(&files).await?;
            fetched.files += obtained.files - obtained.failed.len() as u64;
            fetched.bytes += obtained.bytes - obtained.failed.iter().map(|(number, _)| files[*number].size).sum::<u64>();
            if obtained.failed.is_empty() {
                break;
            }
            for (number, outcome) in &obtained.failed {
                let item = &choice.items[*number];
                let needed = plan::needed_by(&choice.items, &item.name);
                lines.push(format!("{} ({}): {}; needed by {needed}", item.file.path, item.label, describe(outcome)));
                lost.push(item.clone());
            }
            if self.is_whole() {
                return Err(lost_files(
                    lines,
                    "this mirror keeps upstream's own indices, so that all they name must be there: try again later",
                ));
            }
            lost.iter().for_each(|item| offer.debs.leave_out(item.id));
            match self.choose(offer) {
                Ok(next) => *choice = next,
                Err(_) if !self.sync.options.allow_missing => return Err(lost_files(lines, REMEDY)),
                Err(other) => return Err(other),
            }
            let (_, gone) = plan::replaced_locally(&lost, &choice.items);
            if !gone.is_empty() && !self.sync.options.allow_missing {
                return Err(lost_files(lines, REMEDY));
            }
        }
        let (replaced, gone) = plan::replaced_locally(&lost, &choice.items);
        replaced.iter().for_each(|label| self.sync.tools.note(&format!("upstream lost {label}: the local package takes its place")));
        if !gone.is_empty() {
            choice.left_out.extend(lines);
        }
        Ok(())
    }
}

/// The packages that a snapshot takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// In the order of the index.
    pub items: Vec<Item>,
    /// What was left out, by leave.
    pub left_out: Vec<String>,
}

impl Choice {
    /// Refuses a selection that is not closed, unless what is missing may be left out.
    fn check(&mut self, selection: &Selection, allow_missing: bool) -> Result<()> {
        let incomplete = Incomplete {
            files: Vec::new(),
            dependencies: selection.missing.iter().map(ToString::to_string).collect(),
            unknown_names: selection.unknown_names.clone(),
            remedy:
                "to do: correct the [filter] of the mirror's definition (a suite or component may be missing from [[source]]), give the \
                     packages in a directory by `--local DIR`, or sync with --allow-missing"
                    .to_owned(),
        };
        if incomplete.is_empty() {
            return Ok(());
        }
        if !allow_missing {
            return Err(Error::Incomplete(Box::new(incomplete)));
        }
        self.left_out.extend(incomplete.dependencies);
        self.left_out.extend(incomplete.unknown_names.into_iter().map(|name| format!("{name}: no package has that name")));
        Ok(())
    }

    /// What a sync would do.
    pub(super) fn planned(&self, installers: &[Chosen], store: &ObjectStore) -> Planned {
        let lacking: BTreeMap<Sha256, u64> = self
            .items
            .iter()
            .map(|item| (item.file.sha256, item.file.size))
            .filter(|(sha256, size)| !store.contains(*sha256, *size))
            .collect();
        let udebs = installers.iter().flat_map(|installer| &installer.udebs);
        Planned {
            packages: self.items.len() as u64,
            udebs: udebs.clone().count() as u64,
            bytes: self.items.iter().chain(udebs).map(|item| item.file.size).sum(),
            fetch_files: lacking.len() as u64,
            fetch_bytes: lacking.values().sum(),
        }
    }
}
