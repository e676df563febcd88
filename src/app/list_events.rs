//! What has happened.

use super::Result;
use crate::domain::name::NodeName;
use crate::domain::occurrence::Occurrence;
use crate::store::Store;

/// Most events that are read at once.
const PAGE: u32 = 500;

/// Events after number `after`, the oldest first; of these nodes only, if any are given. Also the number to go on from.
///
/// # Errors
/// If the state cannot be read.
pub async fn list_events(store: &dyn Store, after: u64, nodes: Option<&[NodeName]>) -> Result<(Vec<Occurrence>, u64)> {
    let (mut found, mut after) = (vec![], after);
    loop {
        let page = store.events(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok((found, after)) };
        after = last.seq;
        let is_about = |event: &Occurrence| nodes.is_none_or(|nodes| event.node.as_ref().is_some_and(|node| nodes.contains(node)));
        found.extend(page.into_iter().filter(is_about));
    }
}
