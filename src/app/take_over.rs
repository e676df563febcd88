//! The installer takes over: the boot token's last use, and the only moment at which the report token is handed out.

use std::net::Ipv4Addr;

use time::OffsetDateTime;

use super::authorize::authorize;
use super::change_attempt::change_attempt;
use super::head::Head;
use super::{Result, material};
use crate::domain::attempt::Event;
use crate::provision::decide::Request;
use crate::provision::tokens::{self, Purpose};

/// Gives the installer its take-over script with the report token in it; `None` if the boot token does not open it now.
///
/// # Errors
/// If the state cannot be read or written, or the script cannot be rendered.
pub async fn take_over(head: &Head, token: &str, peer: Ipv4Addr, now: OffsetDateTime) -> Result<Option<String>> {
    let Some(granted) = authorize(head, token, Request::TakeOver, peer).await? else { return Ok(None) };
    if granted.attempt.order.kind.is_diskless() {
        tracing::warn!(node = %granted.node.name, "refused: a diskless attempt has no installer that could take over");
        return Ok(None);
    }
    let report = tokens::mint(&head.token_secret, granted.attempt.id, Purpose::Report);
    let script = material::gather(head, &granted.node, &granted.attempt).await?.render(head, "takeover.sh", Some(&report)).await?;
    change_attempt(&*head.store, granted.attempt.id, &Event::TookOver, now).await?;
    Ok(Some(script))
}
