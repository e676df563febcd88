//! Who would change at the next boot: what each diskless node runs, against what it would be given now.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer_mount::in_use;
use super::list_profiles::list_profiles;
use super::preflight::Bench;
use super::{Error, Head, Result};
use crate::domain::attempt::{Order, State};
use crate::domain::image::{ImageName, VersionId};
use crate::domain::name::{NodeName, ProfileName};
use crate::domain::node::Node;
use crate::domain::nodeset::fold;

/// Nodes that would change in the same way. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    /// Which, folded to a node set.
    pub nodes: String,
    /// How many.
    pub count: usize,
    /// The profile that they are assigned.
    pub profile: Option<ProfileName>,
    /// The image that they run from or would run from.
    pub image: Option<ImageName>,
    /// The version that they run.
    pub running: Option<VersionId>,
    /// The version that they would boot.
    pub next: Option<VersionId>,
    /// What else would change, and why a node could not boot.
    pub changes: Vec<String>,
}

/// What one node's next boot would change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Own {
    profile: Option<ProfileName>,
    image: Option<ImageName>,
    running: Option<VersionId>,
    next: Option<VersionId>,
    changes: Vec<String>,
}

/// Looks at these nodes; those that would not change, and those that have nothing to do with diskless roots, are left out.
///
/// # Errors
/// If the state cannot be read.
pub async fn drift(head: &Head, nodes: &[Node]) -> Result<Vec<Drift>> {
    let bench = Bench::new(head).await?;
    let mut alike: BTreeMap<Own, Vec<NodeName>> = BTreeMap::new();
    for node in nodes {
        if let Some(own) = of_node(head, &bench, node).await? {
            alike.entry(own).or_default().push(node.name.clone());
        }
    }
    let line = |(own, names): (Own, Vec<NodeName>)| Drift {
        nodes: fold(&names),
        count: names.len(),
        profile: own.profile,
        image: own.image,
        running: own.running,
        next: own.next,
        changes: own.changes,
    };
    Ok(alike.into_iter().map(line).collect())
}

async fn of_node(head: &Head, bench: &Bench<'_>, node: &Node) -> Result<Option<Own>> {
    let attempts = head.store.attempts(Some(&node.name)).await?;
    // What a node runs because its installation failed is no drift: `status` tells of it.
    let runs = in_use(&attempts)
        .find(|attempt| attempt.state == State::Verified && attempt.order.kind.is_diskless() && attempt.order.fallback_of.is_none());
    let running = runs.map(|attempt| &attempt.order);
    let assignment = head.store.assignment(&node.name).await?;
    let kind = assignment.as_ref().and_then(|assignment| list_profiles(&head.data).ok()?.kind(&assignment.profile).ok());
    let profile = assignment.as_ref().map(|assignment| assignment.profile.clone());
    let (next, changes) = match (&assignment, kind.filter(|kind| kind.is_diskless())) {
        (Some(assignment), Some(_)) => match bench.order(node, &assignment.profile, assignment.snapshot.as_ref()).await {
            Ok(order) if running == Some(&order) => return Ok(None),
            Ok(order) => {
                let changes = running.map_or_else(|| vec!["first diskless boot".to_owned()], |running| differences(running, &order));
                (order.image, changes)
            }
            Err(Error::Refused(why)) => (None, vec![format!("cannot boot: {why}")]),
            Err(other) => return Err(other),
        },
        _ if running.is_some() => (None, vec!["local disk: it is to run diskless no more".to_owned()]),
        _ => return Ok(None),
    };
    let now = running.and_then(|order| order.image.clone());
    Ok(Some(Own {
        profile,
        image: next.as_ref().or(now.as_ref()).map(|image| image.name.clone()),
        running: now.map(|image| image.version),
        next: next.map(|image| image.version),
        changes,
    }))
}

/// What differs besides the version, in words.
fn differences(running: &Order, next: &Order) -> Vec<String> {
    let mut told = Vec::new();
    if running.image.as_ref().map(|image| &image.name) != next.image.as_ref().map(|image| &image.name) {
        told.push("image".to_owned());
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
