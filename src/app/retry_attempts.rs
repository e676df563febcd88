//! A person's word that a failed order is to be tried once more, whatever the limits say.

use time::OffsetDateTime;

use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, Class, State};
use crate::domain::node::Node;
use crate::store::Arming;

/// Arms the frozen order of each node's last attempt again, if that attempt failed; all or none. Nodes with power control are switched off
/// and on.
///
/// # Errors
/// [`Error::Refused`] if one of them has no failed attempt.
pub async fn retry_attempts(head: &Head, nodes: &[Node], dry_run: bool, now: OffsetDateTime) -> Result<Vec<Attempt>> {
    let power = head.store.power().await?;
    let mut failed = vec![];
    for node in nodes {
        let name = &node.name;
        let last = head.last_attempt(node).await?.ok_or_else(|| {
            Error::Refused(format!("{name} has no attempt that could be tried again: `kickctl reinstall {name}` starts one"))
        })?;
        failed.push(failed_order(head, last).await?);
    }
    let mut armed = vec![];
    for attempt in &failed {
        if dry_run {
            armed.push(attempt.clone());
            continue;
        }
        let why = format!("by `kickctl attempt retry`, after attempt {}", attempt.number);
        let cycle = power.contains_key(&attempt.node);
        armed.push(head.store.arm_and(&Arming { node: &attempt.node, order: &attempt.order, after: None, cycle, why }, now).await?);
    }
    Ok(armed)
}

/// The failed installation that the node's last attempt is, or that its fallback took the place of.
async fn failed_order(head: &Head, last: Attempt) -> Result<Attempt> {
    let (node, number, state) = (last.node.clone(), last.number, last.state.name());
    let failed = match last.order.fallback_of {
        Some(of) if last.state.is_over() => head.store.attempts(Some(&node)).await?.into_iter().find(|attempt| attempt.number == of),
        Some(_) => None,
        None => Some(last),
    };
    let is_failed = |state: &State| state.failure().is_some_and(|failure| failure.class != Class::Aborted);
    failed.filter(|attempt| is_failed(&attempt.state)).ok_or_else(|| {
        Error::Refused(format!(
            "attempt {number} of {node} is {state}, and only one that failed can be tried again: `kickctl reinstall {node}`"
        ))
    })
}
