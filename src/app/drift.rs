//! Who would change at the next boot or reinstallation: what each node runs, against what it would be given now.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer_mount::in_use;
use super::drift_behind::{Behind, Judge};
use super::preflight::Bench;
use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, Order, State};
use crate::domain::image::ImageName;
use crate::domain::name::{MirrorName, NodeName, ProfileName};
use crate::domain::node::Node;
use crate::domain::nodeset::fold;

/// Nodes that would change in the same way. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    /// Which, folded to a node set.
    pub nodes: String,
    /// How many.
    pub count: usize,
    /// What they are, and what would become of them.
    #[serde(flatten)]
    pub what: Own,
}

/// What would make a node change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Its next boot.
    Reboot,
    /// `kickctl reinstall`; packages also by its own package manager.
    Reinstall,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reboot => "reboot",
            Self::Reinstall => "reinstall",
        })
    }
}

/// What one node is, and what would become of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Own {
    /// The profile that it is assigned.
    pub profile: Option<ProfileName>,
    /// The image that a diskless node runs from or would run from.
    pub image: Option<ImageName>,
    /// The mirror that an installed node was, or would be, installed from.
    pub mirror: Option<MirrorName>,
    /// The version of the image, or the snapshot, that it runs.
    pub running: Option<String>,
    /// The one that it would be given.
    pub next: Option<String>,
    /// What it takes.
    pub by: By,
    /// How many of its packages are behind, and the advisories that it lacks.
    #[serde(flatten)]
    pub behind: Behind,
    /// What else would change, and why a node could not boot or be installed.
    pub changes: Vec<String>,
}

/// Looks at these nodes; those that would not change, and those that no head has made yet, are left out.
///
/// # Errors
/// If the state cannot be read.
pub async fn drift(head: &Head, nodes: &[Node]) -> Result<Vec<Drift>> {
    let bench = Bench::new(head).await?;
    let mut judge = Judge::new(head);
    let mut alike: BTreeMap<Own, Vec<NodeName>> = BTreeMap::new();
    for node in nodes {
        if let Some(own) = of_node(head, &bench, &mut judge, node).await? {
            alike.entry(own).or_default().push(node.name.clone());
        }
    }
    let line = |(what, names): (Own, Vec<NodeName>)| Drift { nodes: fold(&names), count: names.len(), what };
    Ok(alike.into_iter().map(line).collect())
}

async fn of_node(head: &Head, bench: &Bench<'_>, judge: &mut Judge<'_>, node: &Node) -> Result<Option<Own>> {
    let attempts = head.store.attempts(Some(&node.name)).await?;
    // What a node runs because its installation failed is no drift: `status` tells of it.
    let runs = in_use(&attempts).find(|attempt| attempt.state == State::Verified && attempt.order.fallback_of.is_none());
    let assignment = head.store.assignment(&node.name).await?;
    let kind = assignment.as_ref().and_then(|assignment| head.profiles().ok()?.kind(&assignment.profile).ok());
    let profile = assignment.as_ref().map(|assignment| assignment.profile.clone());
    let next = match &assignment {
        None => None,
        Some(assignment) => match bench.order(node, &assignment.profile, assignment.snapshot.as_ref()).await {
            Ok(order) => Some(Ok(order)),
            Err(Error::Refused(why)) => Some(Err(why)),
            Err(other) => return Err(other),
        },
    };
    let will_run_diskless = kind.is_some_and(|kind| kind.is_diskless());
    match (runs, next) {
        (Some(runs), Some(Ok(next))) if !runs.order.kind.is_diskless() && !will_run_diskless => {
            installed(judge, profile, runs, &next).await
        }
        (Some(runs), Some(Err(why))) if !runs.order.kind.is_diskless() && !will_run_diskless => {
            let base = of_installed(profile, &runs.order);
            Ok(Some(Own { changes: vec![format!("cannot be installed: {why}")], ..base }))
        }
        (runs, next) if will_run_diskless => diskless(judge, profile, runs.map(|runs| &*runs.order), next).await,
        (Some(runs), _) if runs.order.kind.is_diskless() => {
            let own = of_diskless(profile, Some(&runs.order), None);
            Ok(Some(Own { changes: vec!["local disk: it is to run diskless no more".to_owned()], ..own }))
        }
        _ => Ok(None),
    }
}

/// A node that boots its own disk: nothing changes before somebody reinstalls it, or it upgrades itself.
async fn installed(judge: &mut Judge<'_>, profile: Option<ProfileName>, runs: &Attempt, next: &Order) -> Result<Option<Own>> {
    let changes = differences(&runs.order, next);
    let behind = judge.installed(runs, next).await?;
    let same = runs.order.snapshot == next.snapshot && runs.order.mirror == next.mirror;
    // What it reported counts: a node that upgraded itself is not behind, whatever it was installed from.
    if changes.is_empty() && behind.is_none() && (same || behind.reported) {
        return Ok(None);
    }
    let next = Some(next.snapshot.to_string());
    Ok(Some(Own { next, behind, changes, ..of_installed(profile, &runs.order) }))
}

fn of_installed(profile: Option<ProfileName>, runs: &Order) -> Own {
    Own {
        profile,
        image: None,
        mirror: Some(runs.mirror.clone()),
        running: Some(runs.snapshot.to_string()),
        next: None,
        by: By::Reinstall,
        behind: Behind::default(),
        changes: Vec::new(),
    }
}

/// A node that is to run diskless: its next boot changes it.
async fn diskless(
    judge: &mut Judge<'_>,
    profile: Option<ProfileName>,
    runs: Option<&Order>,
    next: Option<std::result::Result<Order, String>>,
) -> Result<Option<Own>> {
    let running = runs.filter(|order| order.kind.is_diskless());
    match next {
        Some(Ok(next)) if running == Some(&next) => Ok(None),
        Some(Ok(next)) => {
            let changes = running.map_or_else(|| vec!["first diskless boot".to_owned()], |running| differences(running, &next));
            let images = running.and_then(|running| running.image.as_ref()).zip(next.image.as_ref());
            let behind = match images {
                Some((before, after)) => judge.images(before, after)?,
                None => Behind::default(),
            };
            Ok(Some(Own { behind, changes, ..of_diskless(profile, running, Some(&next)) }))
        }
        Some(Err(why)) => Ok(Some(Own { changes: vec![format!("cannot boot: {why}")], ..of_diskless(profile, running, None) })),
        None => Ok(None),
    }
}

fn of_diskless(profile: Option<ProfileName>, running: Option<&Order>, next: Option<&Order>) -> Own {
    let image = |order: Option<&Order>| order.and_then(|order| order.image.clone());
    let (now, next) = (image(running), image(next));
    Own {
        profile,
        image: next.as_ref().or(now.as_ref()).map(|image| image.name.clone()),
        mirror: None,
        running: now.map(|image| image.version.to_string()),
        next: next.map(|image| image.version.to_string()),
        by: By::Reboot,
        behind: Behind::default(),
        changes: Vec::new(),
    }
}

/// What differs besides the version, in words.
fn differences(running: &Order, next: &Order) -> Vec<String> {
    let mut told = Vec::new();
    if running.image.as_ref().map(|image| &image.name) != next.image.as_ref().map(|image| &image.name) {
        told.push("image".to_owned());
    }
    if running.image.is_none() && running.mirror != next.mirror {
        told.push(format!("mirror {} -> {}", running.mirror, next.mirror));
    }
    if running.profile != next.profile {
        told.push(format!("profile {} -> {}", running.profile, next.profile));
    } else if running.profile_digest != next.profile_digest {
        told.push(format!("files of profile {}", next.profile));
    }
    let (before, after) = (&running.variables.values.0, &next.variables.values.0);
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).filter(|key| before.get(*key) != after.get(*key)).collect();
    keys.sort();
    keys.dedup();
    if !keys.is_empty() {
        told.push(format!("variables {}", keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ")));
    }
    told
}
