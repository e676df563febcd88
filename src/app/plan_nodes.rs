//! Changes to nodes: worked out and checked as a whole first, so that a dry run shows exactly what would happen.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::{Error, Result};
use crate::config::Config;
use crate::domain::name::NodeName;
use crate::domain::node::Node;
use crate::domain::nodeset::ALL;
use crate::domain::variables::{Layer, Variables};
use crate::provision::variables::check_layer;
use crate::store::{self, Store};

/// What a use case would do to the nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One change a node, in the order in which they were asked for.
    pub changes: Vec<Change>,
}

/// What happens to one node.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is new.
    Added(Node),
    /// It becomes another.
    Changed {
        /// As it is.
        before: Node,
        /// As it shall be.
        after: Node,
    },
    /// It is that already.
    Unchanged(Node),
}

/// One field that changes, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The field's name; a variable's dotted path.
    pub field: String,
    /// What it was; `null` for nothing.
    pub before: Option<String>,
    /// What it becomes; `null` for nothing.
    pub after: Option<String>,
}

impl Change {
    /// The node's name.
    pub fn name(&self) -> &NodeName {
        match self {
            Self::Added(node) | Self::Unchanged(node) | Self::Changed { after: node, .. } => &node.name,
        }
    }

    /// The fields that change.
    pub fn differences(&self) -> Vec<Difference> {
        let (before, after) = match self {
            Self::Added(node) => (Vec::new(), fields(node)),
            Self::Changed { before, after } => (fields(before), fields(after)),
            Self::Unchanged(_) => return vec![],
        };
        let find = |fields: &[(String, String)], name: &str| fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        let gone = before.iter().filter(|(name, _)| find(&after, name).is_none());
        let names: Vec<&String> = after.iter().chain(gone).map(|(name, _)| name).collect();
        let compare = |name: &&String| Difference { field: (*name).clone(), before: find(&before, name), after: find(&after, name) };
        names.iter().map(compare).filter(|difference| difference.before != difference.after).collect()
    }
}

impl Plan {
    /// Works out and checks what `wanted` means for the nodes there are: a node of that name is replaced.
    ///
    /// # Errors
    /// [`store::Error::Taken`], [`store::Error::Exists`], and [`Error::Usage`] for a node that cannot be.
    pub async fn new(store: &dyn Store, wanted: Vec<Node>) -> Result<Self> {
        wanted.iter().try_for_each(check)?;
        let held = store.nodes().await?;
        no_conflict(&held, &wanted)?;
        let mut held: HashMap<NodeName, Node> = held.into_iter().map(|node| (node.name.clone(), node)).collect();
        let change = |after: Node| match held.remove(&after.name) {
            None => Change::Added(after),
            Some(before) if before == after => Change::Unchanged(after),
            Some(before) => Change::Changed { before, after },
        };
        Ok(Self { changes: wanted.into_iter().map(change).collect() })
    }

    /// Checks the nodes' addresses against the head's network.
    ///
    /// # Errors
    /// [`Error::Refused`] for an address outside of the network, the head's own, or the gateway's.
    pub fn fits(&self, config: &Config) -> Result<()> {
        for change in &self.changes {
            let (Change::Added(node) | Change::Changed { after: node, .. }) = change else { continue };
            if let Some(why) = node.address.and_then(|address| config.unfit_for_a_node(address)) {
                return Err(Error::Refused(format!("{}: {why}", node.name)));
            }
        }
        Ok(())
    }

    /// Does it, all or nothing.
    ///
    /// # Errors
    /// [`store::Error::Taken`] if somebody else took something since.
    pub async fn apply(&self, store: &dyn Store) -> Result<()> {
        let (mut added, mut changed) = (vec![], vec![]);
        for change in &self.changes {
            match change {
                Change::Added(node) => added.push(node.clone()),
                Change::Changed { after, .. } => changed.push(after.clone()),
                Change::Unchanged(_) => {}
            }
        }
        if added.is_empty() && changed.is_empty() {
            return Ok(());
        }
        Ok(store.change_nodes(&added, &changed).await?)
    }
}

/// Refuses what no node can be.
fn check(node: &Node) -> Result<()> {
    let name = &node.name;
    let usage = |text: String| Err(Error::Usage(text));
    check_variables(&format!("node {name}"), &node.variables)?;
    if name.as_str() == ALL {
        return usage(format!("a node cannot be called `{ALL}`: in node sets that word means every node"));
    }
    if node.macs.is_empty() {
        return usage(format!("{name} has no MAC address: give the one it boots from with --mac"));
    }
    for (at, mac) in node.macs.iter().enumerate() {
        // IEEE 802: the lowest bit of the first octet marks a group address, which is no interface's own.
        if mac.octets()[0] & 1 == 1 || mac.octets() == [0; 6] {
            return usage(format!("{name} cannot have the MAC address `{mac}`: it is no interface's own"));
        }
        if node.macs[..at].contains(mac) {
            return usage(format!("{name} is given the MAC address `{mac}` twice"));
        }
    }
    match (node.address, &node.uuid) {
        (Some(ip), _) if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_loopback() => {
            usage(format!("{name} cannot have the address `{ip}`: it is no host's own"))
        }
        (_, Some(uuid)) if uuid.is_placeholder() => {
            usage(format!("{name} cannot have the UUID `{uuid}`: boards without one show that, so it tells none apart; leave it out"))
        }
        _ => Ok(()),
    }
}

/// Refuses variables that no profile could use.
///
/// # Errors
/// [`Error::Usage`] with everything that is wrong.
pub(super) fn check_variables(layer: &str, variables: &Variables) -> Result<()> {
    check_layer(Layer { name: layer.to_owned(), variables: variables.clone() }).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        Error::Usage(lines.join("\n"))
    })
}

/// The same rules as the store's, which has the last word: this one serves dry runs.
fn no_conflict(held: &[Node], wanted: &[Node]) -> Result<()> {
    let mut names: HashSet<&NodeName> = HashSet::new();
    let mut owners: HashMap<(&'static str, String), &NodeName> = HashMap::new();
    let replaced: HashSet<&NodeName> = wanted.iter().map(|node| &node.name).collect();
    let kept = held.iter().filter(|node| !replaced.contains(&node.name));
    for node in kept.chain(wanted) {
        let macs = node.macs.iter().map(|mac| ("MAC address", mac.to_string()));
        let address = node.address.iter().map(|address| ("address", address.to_string()));
        let uuid = node.uuid.iter().map(|uuid| ("UUID", uuid.to_string()));
        if !names.insert(&node.name) {
            return Err(store::Error::Exists(node.name.clone()).into());
        }
        for (what, value) in address.chain(uuid).chain(macs) {
            if let Some(owner) = owners.insert((what, value.clone()), &node.name) {
                return Err(store::Error::Taken { what, value, claimant: node.name.clone(), owner: owner.clone() }.into());
            }
        }
    }
    Ok(())
}

/// A node's fields as text, those that are set.
fn fields(node: &Node) -> Vec<(String, String)> {
    let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(" "));
    let fixed = [
        ("mac", list(node.macs.iter().map(ToString::to_string).collect())),
        ("address", node.address.map(|address| address.to_string())),
        ("arch", Some(node.arch.to_string())),
        ("firmware", node.firmware.map(|firmware| firmware.to_string())),
        ("uuid", node.uuid.as_ref().map(ToString::to_string)),
        ("serial", node.serial.clone()),
        ("groups", list(node.groups.iter().map(ToString::to_string).collect())),
    ];
    let mut fields: Vec<(String, String)> =
        fixed.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))).collect();
    leaves("", &node.variables.0, &mut fields);
    fields
}

pub(super) fn leaves(prefix: &str, table: &serde_json::Map<String, Value>, into: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(below) if !below.is_empty() => leaves(&path, below, into),
            Value::String(text) => into.push((path, text.clone())),
            other => into.push((path, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{fresh, node};
    use crate::domain::mac::MacAddr;

    #[tokio::test]
    async fn a_dry_run_refuses_what_the_store_would_refuse() {
        let (_folder, store) = fresh().await;
        store.add_nodes(&[node("a", 1), node("b", 2)]).await.unwrap();
        let swapped = Plan::new(&store, vec![node("a", 2), node("b", 1)]).await.unwrap();
        swapped.apply(&store).await.unwrap();
        for wanted in [vec![node("c", 1)], vec![node("c", 3), node("d", 3)], vec![node("c", 3), node("c", 4)]] {
            let planned = Plan::new(&store, wanted.clone()).await.unwrap_err().to_string();
            assert_eq!(planned, store.add_nodes(&wanted).await.unwrap_err().to_string());
        }
    }

    #[tokio::test]
    async fn differences_name_fields_and_variables() {
        let (_folder, store) = fresh().await;
        store.add_nodes(&[node("a", 1)]).await.unwrap();
        let mut after = node("a", 1);
        after.address = None;
        after.variables.0.insert("disk".into(), serde_json::json!({"pick": "smallest"}));
        let plan = Plan::new(&store, vec![after, node("b", 2)]).await.unwrap();
        let told: Vec<String> =
            plan.changes[0].differences().iter().map(|one| format!("{} {:?} {:?}", one.field, one.before, one.after)).collect();
        assert_eq!(told, ["disk.pick None Some(\"smallest\")", "address Some(\"10.0.0.1\") None"]);
        plan.apply(&store).await.unwrap();
        let again = Plan::new(&store, store.nodes().await.unwrap()).await.unwrap();
        assert!(again.changes.iter().all(|change| matches!(change, Change::Unchanged(_))));
    }

    #[tokio::test]
    async fn what_no_node_can_be_is_refused() {
        let (_folder, store) = fresh().await;
        let bad = [
            (Node { macs: vec![], ..node("a", 1) }, "no MAC address"),
            (Node { macs: vec![MacAddr::new([1, 0, 0, 0, 0, 1])], ..node("a", 1) }, "no interface's own"),
            (Node { macs: vec![MacAddr::new([2, 0, 0, 0, 0, 1]); 2], ..node("a", 1) }, "twice"),
            (Node { address: Some([224, 0, 0, 1].into()), ..node("a", 1) }, "no host's own"),
            (Node { uuid: Some("00000000-0000-0000-0000-000000000000".parse().unwrap()), ..node("a", 1) }, "tells none apart"),
            (node("all", 1), "means every node"),
            (
                Node { variables: Variables([("swpa".to_owned(), "none".into())].into_iter().collect()), ..node("a", 1) },
                "did you mean swap",
            ),
        ];
        for (node, expected) in bad {
            let told = Plan::new(&store, vec![node]).await.unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
        }
    }
}
