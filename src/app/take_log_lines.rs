//! Files syslog lines under the attempts of the nodes that they came from.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Head, Result};
use crate::domain::attempt::AttemptId;
use crate::store::LogLine;

/// Appends each line to the last attempt of the node whose address it came from; other lines are dropped.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn take_log_lines(head: &Head, lines: Vec<(Ipv4Addr, LogLine)>) -> Result<()> {
    let mut by_peer: BTreeMap<Ipv4Addr, Vec<LogLine>> = BTreeMap::new();
    for (peer, line) in lines {
        by_peer.entry(peer).or_default().push(line);
    }
    for (peer, lines) in by_peer {
        if let Some(attempt) = attempt_at(head, peer).await? {
            head.store.append_log(attempt, &lines).await?;
        }
    }
    Ok(())
}

async fn attempt_at(head: &Head, peer: Ipv4Addr) -> Result<Option<AttemptId>> {
    for node in head.store.nodes().await? {
        if head.addresses_of(&node).await?.contains(&peer) {
            return Ok(head.store.last_attempt(&node.name).await?.map(|attempt| attempt.id));
        }
    }
    Ok(None)
}
