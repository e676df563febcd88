//! Orders an installation: the one word that lets a node's disk be written.

use futures::stream::{self, StreamExt, TryStreamExt};
use time::OffsetDateTime;

use super::preflight::{Ready, preflight};
use super::{Error, Head, Result};
use crate::domain::attempt::Attempt;
use crate::domain::name::NodeName;
use crate::domain::profile::Assignment;
use crate::store::Arming;

/// How many nodes are armed together.
const TOGETHER: usize = 64;

/// Arms an attempt for each node, after a preflight for all of them. Snapshot, profile digest and variables are frozen here. `cycle`: nodes
/// with power control are switched off and on for it.
///
/// # Errors
/// [`Error::Refused`] if one of them has no assignment, an unfinished attempt, or fails the preflight: none is armed then.
pub async fn reinstall(head: &Head, nodes: &[NodeName], cycle: bool, dry_run: bool, now: OffsetDateTime) -> Result<Vec<Attempt>> {
    let mut assignments: Vec<Assignment> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let assignment = head.store.assignment(node).await?;
        assignments.push(
            assignment
                .ok_or_else(|| Error::Refused(format!("{node} has no profile: `kickctl profile assign {node} PROFILE` gives it one")))?,
        );
        if let Some(last) = head.store.last_attempt(node).await?.filter(|last| !last.state.is_over()) {
            return Err(crate::store::Error::Busy { node: node.clone(), number: last.number, state: last.state.name() }.into());
        }
    }
    let ready: Vec<Ready> = preflight(head, &assignments).await?;
    let power = head.store.power().await?;
    if dry_run {
        return Ok(vec![]);
    }
    let arm = async |Ready { node, order, .. }: &Ready| {
        let cycle = cycle && power.contains_key(&node.name);
        head.store.arm_and(&Arming { node: &node.name, order, after: None, cycle, why: "by `kickctl reinstall`".into() }, now).await
    };
    // Many at once: they are committed together.
    Ok(stream::iter(ready.iter().map(arm)).buffered(TOGETHER).try_collect().await?)
}
