//! Stopping attempts.

use time::OffsetDateTime;

use super::{Error, Result, change_attempt};
use crate::domain::attempt::{Attempt, Event};
use crate::domain::node::Node;
use crate::store::Store;

/// Ends the running attempts of these nodes; an attempt that is over stays as it is. Returns those that were ended (with
/// `dry_run`: would be), as they are now.
///
/// # Errors
/// If none of the nodes has an attempt to end.
pub async fn abort_attempts(store: &dyn Store, nodes: &[Node], dry_run: bool, now: OffsetDateTime) -> Result<Vec<Attempt>> {
    let mut ended = vec![];
    for node in nodes {
        let Some(attempt) = store.last_attempt(&node.name).await?.filter(|attempt| !attempt.state.is_over()) else { continue };
        if dry_run {
            ended.push(attempt);
            continue;
        }
        match change_attempt(store, attempt.id, &Event::Aborted, now).await {
            Ok(attempt) => ended.push(attempt),
            // It came to its end by itself just now.
            Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if ended.is_empty() {
        return Err(Error::Missing("none of these nodes has an attempt under way: `kickctl attempt list` shows them".into()));
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{NOW, armed, fresh, node};

    #[tokio::test]
    async fn an_attempt_is_ended_once_and_by_its_log() {
        let (_folder, store) = fresh().await;
        let id = armed(&store, "a", 1).await.id;
        store.add_nodes(&[node("b", 2)]).await.unwrap();
        let nodes = store.nodes().await.unwrap();
        assert_eq!(abort_attempts(&store, &nodes, true, NOW).await.unwrap()[0].state.name(), "armed");
        assert_eq!(abort_attempts(&store, &nodes, false, NOW).await.unwrap()[0].state.name(), "failed");
        assert!(abort_attempts(&store, &nodes, false, NOW).await.unwrap_err().to_string().starts_with("none of these"));
        let log = store.log(id, 0, 10).await.unwrap();
        assert_eq!(log[0].text, "failed in armed (aborted): stopped by `kickctl attempt abort`");
    }
}
