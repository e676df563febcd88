//! How far a node is behind: packages, and advisories by severity.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::list_errata::{Errata, node_baseline};
use super::list_images::find_version;
use super::{Error, Head, Result};
use crate::domain::advisory::{self, Advisory};
use crate::domain::attempt::{Attempt, ImageRef, Order};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::PackageFormat;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::package::Installed;
use crate::mirror::advisories::Baseline;

/// How far a node is behind what it would be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Behind {
    /// Packages of which there is a newer version.
    pub packages: usize,
    /// Advisories that it lacks, by severity; those that are not about security under `other`.
    pub advisories: BTreeMap<String, usize>,
    /// True if this is by the node's own report, false if by what it was made from.
    pub reported: bool,
}

impl Behind {
    /// True if it is not behind.
    pub fn is_none(&self) -> bool {
        self.packages == 0 && self.advisories.is_empty()
    }
}

/// What is looked up for one node is kept for those that are like it: most nodes of a cluster are.
pub struct Judge<'a> {
    head: &'a Head,
    known: HashMap<(MirrorName, SnapshotId, Sha256), Behind>,
}

impl<'a> Judge<'a> {
    /// Of a head.
    pub fn new(head: &'a Head) -> Self {
        Self { head, known: HashMap::new() }
    }

    /// How far an installed node is behind the snapshot that it would be installed from. Where a mirror or snapshot is gone nothing is known.
    ///
    /// # Errors
    /// If the state, or an index, does not read.
    pub async fn installed(&mut self, runs: &Attempt, next: &Order) -> Result<Behind> {
        let told = self.head.store.packages(&runs.node).await?.filter(|told| told.attempt == runs.id);
        let key = match &told {
            Some(told) => Sha256::of(format!("{:?} {:?}", told.format, told.packages).as_bytes()),
            None => Sha256::of(format!("{} {}", runs.order.mirror, runs.order.snapshot).as_bytes()),
        };
        let key = (next.mirror.clone(), next.snapshot.clone(), key);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let Some(errata) = present(Errata::of(&self.head.data, &next.mirror, Some(&next.snapshot)))? else { return Ok(Behind::default()) };
        let Some(baseline) = present(node_baseline(&*self.head.store, &errata, &runs.node).await)? else { return Ok(Behind::default()) };
        let behind = Behind {
            packages: errata.newer(&baseline)?,
            advisories: advisory::count(&errata.against(Some(&baseline))?),
            reported: told.is_some(),
        };
        self.known.insert(key, behind.clone());
        Ok(behind)
    }

    /// How far one version of an image is behind another: the advisories that the other has and it lacks.
    ///
    /// # Errors
    /// If an index does not read.
    pub fn images(&mut self, before: &ImageRef, after: &ImageRef) -> Result<Behind> {
        let find = |image: &ImageRef| find_version(&self.head.data, &format!("{}@{}", image.name, image.version));
        let (Ok((_, old)), Ok((_, new))) = (find(before), find(after)) else { return Ok(Behind::default()) };
        let packages = crate::image::compare::packages(&old, &new).len();
        let Some(errata) = present(Errata::of(&self.head.data, &new.mirror, None))? else {
            return Ok(Behind { packages, ..Behind::default() });
        };
        let baseline = |packages: &[crate::domain::package::Package]| {
            let installed = packages.iter().map(|package| Installed { package: package.clone(), module: None });
            Baseline::of_node(PackageFormat::Deb, installed.collect())
        };
        let lacks = errata.against(Some(&baseline(&old.packages)))?;
        let still = errata.against(Some(&baseline(&new.packages)))?;
        let gained: Vec<Advisory> = lacks.into_iter().filter(|own| !still.iter().any(|other| other.id == own.id)).collect();
        Ok(Behind { packages, advisories: advisory::count(&gained), reported: false })
    }
}

/// What is not there any more is not known; anything else is an error.
fn present<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::Refused(_)) => Ok(None),
        Err(Error::Mirror(error)) => match *error {
            crate::mirror::Error::NoMirror { .. } | crate::mirror::Error::NoSnapshot { .. } | crate::mirror::Error::NothingPublished(_) => {
                Ok(None)
            }
            other => Err(other.into()),
        },
        Err(other) => Err(other),
    }
}
