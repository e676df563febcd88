//! `mirror errata`: the advisories of a mirror, or those that an older snapshot or a node lacks.

use super::add_mirror::read_mirror;
use super::{Error, Result};
use crate::domain::advisory::{Advisory, Severity};
use crate::domain::attempt::State;
use crate::domain::mirror::{Mirror, Snapshot};
use crate::domain::name::{MirrorName, NodeName, SnapshotId};
use crate::mirror::advisories::{self, Baseline};
use crate::mirror::contents;
use crate::mirror::layout::MirrorDir;
use crate::store::Store;
use crate::sys::data_dir::DataDir;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct ErrataRequest {
    /// Only these severities; empty: all.
    pub severity: Vec<Severity>,
    /// Only those about this vulnerability.
    pub cve: Option<String>,
    /// Only those that this snapshot lacks.
    pub since: Option<SnapshotId>,
    /// Only those that this node lacks.
    pub node: Option<NodeName>,
}

impl ErrataRequest {
    /// True if an advisory is looked for.
    fn takes(&self, advisory: &Advisory) -> bool {
        (self.severity.is_empty() || self.severity.contains(&advisory.severity))
            && self.cve.as_ref().is_none_or(|cve| advisory.cves.iter().any(|known| known.eq_ignore_ascii_case(cve)))
    }
}

/// A mirror with a snapshot of it, whose advisories are asked for.
pub struct Errata {
    dir: MirrorDir,
    mirror: Mirror,
    snapshot: Snapshot,
}

impl Errata {
    /// Of a mirror: of one of its snapshots, or what is published.
    ///
    /// # Errors
    /// If there is no mirror of that name, no such snapshot, or nothing published.
    pub fn of(data: &DataDir, name: &MirrorName, snapshot: Option<&SnapshotId>) -> Result<Self> {
        let mirror = read_mirror(data, name)?;
        let dir = MirrorDir::new(data, name);
        let id = snapshot.cloned().or_else(|| dir.published()).ok_or_else(|| crate::mirror::Error::NothingPublished(name.clone()))?;
        let snapshot = named(&dir, &id)?;
        Ok(Self { dir, mirror, snapshot })
    }

    /// How many of a baseline's packages the snapshot has newer.
    ///
    /// # Errors
    /// If an index does not read.
    pub fn newer(&self, baseline: &Baseline) -> Result<usize> {
        Ok(baseline.behind(&contents::read(&self.dir.tree(&self.snapshot.id), &self.snapshot)?))
    }

    /// What another snapshot holds, to hold advisories against.
    ///
    /// # Errors
    /// If there is no such snapshot, or it does not read.
    pub fn baseline(&self, id: &SnapshotId) -> Result<Baseline> {
        let snapshot = named(&self.dir, id)?;
        let held = contents::read(&self.dir.tree(id), &snapshot)?;
        Ok(Baseline::of_snapshot(contents::format(&snapshot), &held))
    }

    /// The advisories of the snapshot; with a baseline those that it lacks.
    ///
    /// # Errors
    /// If an index does not read.
    pub fn against(&self, baseline: Option<&Baseline>) -> Result<Vec<Advisory>> {
        Ok(advisories::advisories(&self.dir, &self.mirror, &self.snapshot, baseline)?)
    }
}

fn named(dir: &MirrorDir, id: &SnapshotId) -> Result<Snapshot> {
    let snapshot = dir.read(id).map_err(crate::mirror::Error::from)?;
    let missing = || crate::mirror::Error::NoSnapshot { mirror: dir.name().clone(), snapshot: Some(id.clone()) };
    snapshot.ok_or_else(|| missing().into())
}

/// What a node has: what it reported since it was installed, or else what the snapshot holds that it was installed from.
///
/// # Errors
/// [`Error::Refused`] if it was not installed from this mirror, or never.
pub async fn node_baseline(store: &dyn Store, errata: &Errata, node: &NodeName) -> Result<Baseline> {
    let name = errata.dir.name();
    let attempts = store.attempts(Some(node)).await?;
    let runs = attempts.iter().find(|attempt| attempt.state == State::Verified);
    let runs =
        runs.ok_or_else(|| Error::Refused(format!("{node} was never installed or booted by this head: nobody knows what it has")))?;
    if let Some(told) = store.packages(node).await?.filter(|told| told.attempt == runs.id) {
        return Ok(Baseline::of_node(told.format, told.packages));
    }
    if runs.order.mirror != *name {
        return Err(Error::Refused(format!(
            "{node} was made from mirror {}: `kickctl mirror errata {0} --node {node}`",
            runs.order.mirror
        )));
    }
    errata.baseline(&runs.order.snapshot)
}

/// Lists a mirror's advisories, the gravest first. `store`: needed where a node is asked about.
///
/// # Errors
/// As [`Errata::of`] and [`node_baseline`]; [`Error::Mirror`] if the mirror can have no advisories.
pub async fn list_errata(data: &DataDir, store: Option<&dyn Store>, name: &MirrorName, request: &ErrataRequest) -> Result<Vec<Advisory>> {
    let errata = Errata::of(data, name, None)?;
    advisories::check(&errata.mirror)?;
    let baseline = match (&request.since, &request.node, store) {
        (Some(id), ..) => Some(errata.baseline(id)?),
        (None, Some(node), Some(store)) => {
            store.node(node).await?.ok_or_else(|| crate::store::Error::NoNode(node.clone()))?;
            Some(node_baseline(store, &errata, node).await?)
        }
        _ => None,
    };
    let mut found = errata.against(baseline.as_ref())?;
    found.retain(|advisory| request.takes(advisory));
    Ok(found)
}
