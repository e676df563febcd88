//! Files syslog lines under the attempts of the nodes that they came from.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Head, Result};
use crate::domain::name::NodeName;
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
    let nodes = node_addresses(head).await?;
    for (peer, lines) in by_peer {
        let Some(node) = nodes.get(&peer) else { continue };
        if let Some(attempt) = head.store.last_attempt(node).await? {
            head.store.append_log(attempt.id, &lines).await?;
        }
    }
    Ok(())
}

/// Who speaks from which address: reservations, and leases of the nodes without one.
async fn node_addresses(head: &Head) -> Result<BTreeMap<Ipv4Addr, NodeName>> {
    let leases = head.store.leases().await?;
    let mut addresses = BTreeMap::new();
    for node in head.store.nodes().await? {
        let leased = leases.iter().filter(|lease| node.address.is_none() && node.macs.contains(&lease.mac)).map(|lease| lease.address);
        addresses.extend(leased.chain(node.address).map(|address| (address, node.name.clone())));
    }
    Ok(addresses)
}
