//! Writes an exports file for the system's own NFS server (`nfs = "kernel"`): to each node the versions that it runs, and the one that it would
//! boot now. It has to be written again after `image publish` and after assigning nodes, before they boot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use super::answer_mount::in_use;
use super::export_path::export_root;
use super::preflight::Bench;
use super::{Error, Head, Result};
use crate::domain::attempt::Order;
use crate::domain::profile::ProfileKind;

/// A directory, and who may mount it.
pub(super) type Lines = BTreeMap<(PathBuf, bool), BTreeSet<Ipv4Addr>>;

/// The text of an exports(5) file.
///
/// # Errors
/// If the state cannot be read.
pub async fn export_nfs(head: &Head) -> Result<String> {
    let mut text = String::from(
        "# Written by `kickctl export exports`; write it again after `image publish` and `profile assign`, then: exportfs -ra\n",
    );
    for ((root, writable), clients) in lines(head).await? {
        // A path with blanks is quoted; `secure`, the default, lets reserved ports in only. The root of a node is of no use to a root
        // user who cannot read it.
        let _ = write!(text, "\"{}\"", root.display());
        for client in clients {
            let _ = write!(text, " {client}({},no_root_squash,no_subtree_check)", if writable { "rw,sync" } else { "ro" });
        }
        text.push('\n');
    }
    Ok(text)
}

/// What has to be exported and is not, by the server's own table (`/var/lib/nfs/etab`, see exportfs(8)): `PATH to ADDRESS`.
pub(super) fn not_live(lines: &Lines, table: &str) -> Vec<String> {
    let live = |root: &str, client: &str| {
        table.lines().any(|line| {
            // Blanks are written in octal there.
            let mut words = line.split_whitespace();
            let path = words.next().map(|path| path.replace("\\040", " "));
            path.as_deref() == Some(root) && words.any(|word| word.split('(').next() == Some(client))
        })
    };
    let all =
        lines.iter().flat_map(|((root, _), clients)| clients.iter().map(move |client| (root.display().to_string(), client.to_string())));
    all.filter(|(root, client)| !live(root, client)).map(|(root, client)| format!("{root} to {client}")).collect()
}

/// What has to be exported now.
pub(super) async fn lines(head: &Head) -> Result<Lines> {
    let bench = Bench::new(head).await?;
    let mut lines = Lines::new();
    for node in head.store.nodes().await? {
        let attempts = head.store.attempts(Some(&node.name)).await?;
        let mut orders: Vec<Arc<Order>> = in_use(&attempts).map(|attempt| Arc::clone(&attempt.order)).collect();
        if let Some(assignment) = head.store.assignment(&node.name).await? {
            match bench.order(&node, &assignment.profile, assignment.snapshot.as_ref()).await {
                Ok(order) => orders.push(Arc::new(order)),
                Err(Error::Refused(_)) => {}
                Err(other) => return Err(other),
            }
        }
        let addresses = head.addresses_of(&node).await?;
        for order in orders.iter().filter(|order| order.kind.needs_nfs()) {
            let Some(root) = export_root(&head.data, &node.name, order) else { continue };
            lines.entry((root, order.kind == ProfileKind::NfsRw)).or_default().extend(addresses.iter().copied());
        }
    }
    lines.retain(|_, clients| !clients.is_empty());
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_does_not_export_is_named() {
        let client = |last| Ipv4Addr::new(10, 0, 0, last);
        let lines = Lines::from([
            ((PathBuf::from("/srv/a b/root"), false), BTreeSet::from([client(7), client(8)])),
            ((PathBuf::from("/srv/c/root"), true), BTreeSet::from([client(7)])),
        ]);
        let table = "/srv/a\\040b/root\t10.0.0.7(ro,sync)\n/srv/c\t10.0.0.7(rw,sync)\n";
        assert_eq!(not_live(&lines, table), ["/srv/a b/root to 10.0.0.8", "/srv/c/root to 10.0.0.7"]);
        assert_eq!(not_live(&Lines::new(), ""), Vec::<String>::new());
    }
}
