//! What a node runs whose installation has failed for good: a shared root, if there is one that it could boot.

use super::preflight::examine;
use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, Order, State};
use crate::domain::name::ProfileName;
use crate::domain::profile::Assignment;
use crate::provision::Settings;

/// The fallback profile that was frozen into an attempt's order.
fn profile(order: &Order) -> Option<ProfileName> {
    Settings::read(&order.variables).ok()?.fallback.0
}

/// What the node of a failed attempt would run in its place; `None` if it has no fallback profile, that is none that runs diskless, or
/// there is no published image for this node.
///
/// # Errors
/// If the state cannot be read.
pub(super) async fn fallback_order(head: &Head, failed: &Attempt) -> Result<Option<Order>> {
    let (profile, of) = match failed.order.fallback_of {
        Some(number) => (Some(failed.order.profile.clone()), number),
        None => (profile(&failed.order), failed.number),
    };
    let Some(profile) = profile else { return Ok(None) };
    let assignment = Assignment { node: failed.node.clone(), profile, snapshot: None };
    let ready = match examine(head, &[assignment]).await {
        Ok((ready, _)) => ready,
        Err(Error::Store(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(node = %failed.node, "its fallback profile cannot be used: {error}");
            return Ok(None);
        }
    };
    let order = ready.into_iter().map(|ready| ready.order).find(|order| order.kind.is_diskless());
    Ok(order.map(|order| Order { fallback_of: Some(of), ..order }))
}

/// True if the node runs its fallback profile, or will from its next boot on.
pub(super) fn falls_back(last: &Attempt) -> bool {
    matches!(last.state, State::Fallback(_)) || last.order.fallback_of.is_some()
}
