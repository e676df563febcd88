//! From a node set to the nodes it names.

use std::collections::BTreeMap;

use super::{Error, Result};
use crate::domain::node::Node;
use crate::domain::nodeset::{NodeSet, fold};
use crate::store::{self, Store};

/// The nodes that a set names, in natural order.
///
/// # Errors
/// [`Error::NoNodes`] tells all names that no node has; [`Error::EmptyGroup`].
pub async fn select_nodes(store: &dyn Store, set: &NodeSet) -> Result<Vec<Node>> {
    let nodes = store.nodes().await?;
    let names = set.expand(&nodes)?;
    let mut known: BTreeMap<_, _> = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
    let (mut chosen, mut unknown) = (vec![], vec![]);
    for name in names {
        match known.remove(&name) {
            Some(node) => chosen.push(node),
            None => unknown.push(name),
        }
    }
    match unknown.as_slice() {
        [] => Ok(chosen),
        [one] => Err(store::Error::NoNode(one.clone()).into()),
        several => Err(Error::NoNodes(fold(several))),
    }
}
