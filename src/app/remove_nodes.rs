//! Removing nodes.

use super::{Error, Result};
use crate::domain::node::Node;
use crate::domain::nodeset::fold;
use crate::store::Store;

/// Removes nodes with their assignments, attempts and logs, all or none.
///
/// # Errors
/// [`Error::Refused`] while any of them has an attempt that is not over.
pub async fn remove_nodes(store: &dyn Store, nodes: &[Node], dry_run: bool) -> Result<()> {
    let names: Vec<_> = nodes.iter().map(|node| node.name.clone()).collect();
    let attempts = store.last_attempts().await?;
    let busy: Vec<_> =
        attempts.iter().filter(|attempt| !attempt.state.is_over() && names.contains(&attempt.node)).map(|attempt| &attempt.node).collect();
    if !busy.is_empty() {
        let busy = fold(busy);
        return Err(Error::Refused(format!("{busy} cannot be removed during an attempt: `kickctl attempt abort {busy}` ends it")));
    }
    if !dry_run {
        store.remove_nodes(&names).await?;
    }
    Ok(())
}
