//! Files syslog lines under the attempts of the nodes that they came from.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Head, Result};
use crate::domain::name::NodeName;
use crate::store::{self, LogLine};

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
    let append = async |(peer, lines): (Ipv4Addr, Vec<LogLine>)| -> Result<()> {
        let Some(node) = nodes.get(&peer) else { return Ok(()) };
        match head.store.last_attempt(node).await? {
            Some(attempt) => match head.store.append_log(attempt.id, &lines).await {
                // It was removed in this moment; the others' lines are kept.
                Err(store::Error::NoAttempt(_)) => Ok(()),
                done => Ok(done?),
            },
            None => Ok(()),
        }
    };
    // All at once: they are committed together.
    futures::future::try_join_all(by_peer.into_iter().map(append)).await.map(|_| ())
}

/// Who speaks from which address: reservations, and leases of the nodes without one.
async fn node_addresses(head: &Head) -> Result<BTreeMap<Ipv4Addr, NodeName>> {
    let mut addresses = BTreeMap::new();
    for lease in head.store.leases().await? {
        if let Some(node) = head.store.node_by_mac(lease.mac).await?.filter(|node| node.address.is_none()) {
            addresses.insert(lease.address, node.name);
        }
    }
    addresses.extend(head.store.reserved_addresses().await?.iter().map(|(node, address)| (*address, node.clone())));
    Ok(addresses)
}
