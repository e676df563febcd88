//! Who may mount what over NFS: a node gets the version that its attempt booted, from its own address, and nothing else. All of it follows
//! from the state, so a head that was restarted answers as before.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::change_attempt::change_attempt;
use super::export_path::{export_path, export_root};
use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, Event, State};
use crate::domain::checksum::Sha256;
use crate::domain::node::Node;
use crate::domain::profile::ProfileKind;
use crate::provision::decide::{Answer, Asker, Request, decide};

/// Something that a node may mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path that the node asks for.
    pub path: String,
    /// The same number for the same path at any time.
    pub id: u64,
    /// The tree on the head.
    pub root: PathBuf,
    /// True if the node may change it.
    pub writable: bool,
}

/// Answers a mount request; `None` if this path is not for whoever asks. The node's attempt learns that its root was asked for.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn answer_mount(head: &Head, peer: Ipv4Addr, path: &str, now: OffsetDateTime) -> Result<Option<Mount>> {
    let path = path.trim_end_matches('/');
    let Some((attempt, mount)) = mounts(head, peer).await?.into_iter().find(|(_, mount)| mount.path == path) else {
        tracing::warn!(%peer, path, "NFS: refused, no attempt of a node with this address has booted it");
        return Ok(None);
    };
    match change_attempt(&*head.store, attempt.id, &Event::RootAsked, now).await {
        Ok(_) | Err(Error::Rejected(_)) => Ok(Some(mount)),
        Err(error) => Err(error),
    }
}

/// All that whoever speaks from this address may read; whoever serves asks again every now and then.
///
/// # Errors
/// If the state cannot be read.
pub async fn mounts_of(head: &Head, peer: Ipv4Addr) -> Result<Vec<Mount>> {
    Ok(mounts(head, peer).await?.into_iter().map(|(_, mount)| mount).collect())
}

async fn mounts(head: &Head, peer: Ipv4Addr) -> Result<Vec<(Attempt, Mount)>> {
    let Some(node) = node_at(head, peer).await? else { return Ok(vec![]) };
    let attempts = head.store.attempts(Some(&node.name)).await?;
    let mount = |attempt: Attempt| {
        let (path, root) = (export_path(&node.name, &attempt.order)?, export_root(&head.data, &node.name, &attempt.order)?);
        let digest = Sha256::of(path.as_bytes());
        let id = digest.bytes().iter().take(8).fold(0_u64, |id, byte| (id << 8) | u64::from(*byte));
        Some((attempt.clone(), Mount { path, id, root, writable: attempt.order.kind == ProfileKind::NfsRw }))
    };
    Ok(in_use(&attempts).cloned().filter_map(mount).collect())
}

/// The attempts whose versions the node may still run from, of all its attempts, the newest first: the one that called home last, and
/// what came after it. Somebody who sends DHCP requests in a node's name cannot take away the root that the node runs from.
pub(super) fn in_use(attempts: &[Attempt]) -> impl Iterator<Item = &Attempt> {
    let running = attempts.iter().position(|attempt| attempt.state == State::Verified).map_or(attempts.len(), |at| at + 1);
    attempts[..running].iter().filter(|attempt| decide(Asker::Attempt(&attempt.state), Request::Mount) == Answer::Granted)
}

async fn node_at(head: &Head, peer: Ipv4Addr) -> Result<Option<Node>> {
    let nodes = head.store.nodes().await?;
    if let Some(node) = nodes.iter().find(|node| node.address == Some(peer)) {
        return Ok(Some(node.clone()));
    }
    let leases = head.store.leases().await?;
    let Some(lease) = leases.iter().find(|lease| lease.address == peer) else { return Ok(None) };
    Ok(nodes.into_iter().find(|node| node.address.is_none() && node.macs.contains(&lease.mac)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{NOW, armed, fresh};
    use crate::store::Store;

    #[tokio::test]
    async fn what_a_node_runs_from_is_in_use_until_the_next_boot_called_home() {
        let (_folder, store) = fresh().await;
        let first = armed(&store, "node07", 7).await;
        let numbers = async || {
            let attempts = store.attempts(Some(&first.node)).await.unwrap();
            in_use(&attempts).map(|attempt| attempt.number).collect::<Vec<_>>()
        };
        let put = async |state: State| {
            let mut attempt = store.last_attempt(&first.node).await.unwrap().unwrap();
            attempt.state = state;
            store.save_attempt(&attempt, &[]).await.unwrap();
        };
        assert!(numbers().await.is_empty(), "nothing was booted yet");
        put(State::Verified).await;
        store.arm(&first.node, &first.order, NOW).await.unwrap();
        assert_eq!(numbers().await, [1], "a boot that only began leaves the running system its root");
        put(State::Starting).await;
        assert_eq!(numbers().await, [2, 1]);
        put(State::Verified).await;
        assert_eq!(numbers().await, [2]);
    }
}
