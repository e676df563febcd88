//! The ssh host keys of diskless nodes: made once by `ssh-keygen`, kept by the head, the same at every boot.

use super::{Error, Head, Result};
use crate::domain::name::NodeName;
use crate::store::HostKey;
use crate::sys::ssh_keygen;

/// What a node has. ssh prefers ed25519; ECDSA is for clients that are old or bound to NIST curves.
pub(super) const KINDS: [&str; 2] = ["ed25519", "ecdsa"];

/// A node's host keys; they are made if it has none yet.
///
/// # Errors
/// If the state cannot be read or written, or `ssh-keygen` fails.
pub(super) async fn host_keys(head: &Head, node: &NodeName) -> Result<Vec<HostKey>> {
    let known = head.store.host_keys(node).await?;
    if !known.is_empty() {
        return Ok(known);
    }
    let (folder, comment) = (head.data.keys(), format!("root@{node}"));
    let made = tokio::task::spawn_blocking(move || {
        KINDS
            .iter()
            .map(|kind| {
                let (private, public) = ssh_keygen::generate(kind, &comment, &folder)?;
                Ok(HostKey { name: format!("ssh_host_{kind}_key"), private, public })
            })
            .collect::<std::io::Result<Vec<_>>>()
    });
    let made = made.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    let made = made.map_err(|source| Error::Io { what: "ssh host keys cannot be made (apt install openssh-client)".into(), source })?;
    Ok(head.store.keep_host_keys(node, &made).await?)
}
