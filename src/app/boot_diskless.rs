//! Sees to it that a diskless node has an attempt for each boot: what it shall be takes effect then, without a further word.

use time::OffsetDateTime;

use super::change_attempt::change_attempt;
use super::diskless_order::other_writer;
use super::fallback::{fallback_order, falls_back};
use super::preflight::Bench;
use super::settle_failures::retry_at_boot;
use super::{Error, Head, Result};
use crate::config::DhcpMode;
use crate::domain::attempt::boot::{Boot, MAX_FAILED_BOOTS, next_boot};
use crate::domain::attempt::{Attempt, Event, Order};
use crate::domain::node::Node;
use crate::store;

/// What a network boot of a node would lead to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// Its last attempt decides, if it has one: it is not to run diskless, or it is on its way already.
    Last,
    /// A new attempt with this order; the one under way ends for this reason, if there is one.
    Arm(Box<Order>, Option<&'static str>),
    /// It shall run diskless and cannot.
    Cannot(String),
}

/// Tells what a boot would lead to; changes nothing.
///
/// # Errors
/// If the state cannot be read.
pub(super) async fn plan_boot(head: &Head, node: &Node) -> Result<Plan> {
    let Some(assignment) = head.store.assignment(&node.name).await? else { return Ok(Plan::Last) };
    match head.profiles()?.kind(&assignment.profile) {
        Ok(kind) if kind.is_diskless() => {}
        _ => return plan_fallback(head, node).await,
    }
    let bench = Bench::new(head).await?;
    let order = match bench.order(node, &assignment.profile, assignment.snapshot.as_ref()).await {
        Ok(order) => order,
        Err(Error::Refused(why)) => return Ok(Plan::Cannot(why)),
        Err(other) => return Err(other),
    };
    if let Some(other) = other_writer(head, &node.name, &order).await? {
        return Ok(Plan::Cannot(format!("{other} runs read-write from the same image, and only one node may")));
    }
    plan_order(head, node, order).await
}

/// A node that is to be installed and has failed for good runs its fallback profile, each boot an attempt of its own.
async fn plan_fallback(head: &Head, node: &Node) -> Result<Plan> {
    let Some(last) = head.last_attempt(node).await?.filter(falls_back) else { return Ok(Plan::Last) };
    match fallback_order(head, &last).await? {
        Some(order) => plan_order(head, node, order).await,
        None => Ok(Plan::Cannot("its fallback profile has no image that it could boot".into())),
    }
}

async fn plan_order(head: &Head, node: &Node, order: Order) -> Result<Plan> {
    Ok(match next_boot(&head.store.attempts(Some(&node.name)).await?, &order) {
        Boot::GoOn => Plan::Last,
        Boot::Arm => Plan::Arm(Box::new(order), None),
        Boot::Replace(why) => Plan::Arm(Box::new(order), Some(why)),
        Boot::GiveUp => Plan::Cannot(format!(
            "{MAX_FAILED_BOOTS} boots in a row have failed: `kickctl logs {0}` says why, `kickctl reinstall {0}` tries again",
            node.name
        )),
    })
}

/// Carries the plan out: afterwards the node's last attempt is the one for this boot. Returns why there is none, if there should be.
///
/// # Errors
/// If the state cannot be read or written.
pub(super) async fn boot_diskless(head: &Head, node: &Node, now: OffsetDateTime) -> Result<Option<String>> {
    let (order, why) = match plan_boot(head, node).await? {
        Plan::Last => return Ok(None),
        Plan::Cannot(why) => {
            tracing::warn!(node = %node.name, "it boots and cannot be given its root: {why}");
            return Ok(Some(why));
        }
        Plan::Arm(order, why) => (order, why),
    };
    if let (Some(why), Some(last)) = (why, head.last_attempt(node).await?) {
        match change_attempt(&*head.store, last.id, &Event::Replaced { reason: why.into() }, now).await {
            Ok(_) | Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
    }
    match head.store.arm(&node.name, &order, now).await {
        // Another packet of the same machine was quicker.
        Ok(_) | Err(store::Error::Busy { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// True if a boot is seen by this head's DHCP server before anything else. Only then can a script that is asked for by a user of the
/// running node be told from one that the node's loader asks for: no user can send DHCP requests, which takes a privileged port.
pub(super) fn dhcp_sees_boots(head: &Head) -> bool {
    head.config.dhcp.mode == DhcpMode::Server && !head.config.dhcp.beside_other_server
}

/// The attempt that a boot belongs to, for whoever asks first.
pub(super) async fn attempt_for_boot(head: &Head, node: &Node, now: OffsetDateTime) -> Result<Option<Attempt>> {
    retry_at_boot(head, &node.name, now).await?;
    boot_diskless(head, node, now).await?;
    head.last_attempt(node).await
}
