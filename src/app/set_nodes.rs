//! Adding nodes, and changing what is known of them.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use super::plan_nodes::Plan;
use super::{Error, Result, select_nodes};
use crate::domain::mac::MacAddr;
use crate::domain::name::{GroupName, NodeName};
use crate::domain::node::{Arch, Firmware, Node, Uuid};
use crate::domain::nodeset::NodeSet;
use crate::domain::variables::Variables;
use crate::store::{self, Store};

/// What to set of a node. `None` leaves a field alone; `Some(None)` empties it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The MAC addresses, all of them.
    pub macs: Option<Vec<MacAddr>>,
    /// The reserved address.
    pub address: Option<Option<Ipv4Addr>>,
    /// The architecture.
    pub arch: Option<Arch>,
    /// The firmware.
    pub firmware: Option<Option<Firmware>>,
    /// The SMBIOS UUID.
    pub uuid: Option<Option<Uuid>>,
    /// The SMBIOS serial number.
    pub serial: Option<Option<String>>,
    /// Groups to join.
    pub join: Vec<GroupName>,
    /// Groups to leave.
    pub leave: Vec<GroupName>,
    /// Variables to set.
    pub set: Vec<(VariablePath, Value)>,
    /// Variables to forget.
    pub unset: Vec<VariablePath>,
}

/// The dotted path of a variable, such as `disk.pick`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariablePath(Vec<String>);

impl std::str::FromStr for VariablePath {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let keys: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_key = |key: &String| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if keys.len() <= 8 && keys.iter().all(is_key) {
            return Ok(Self(keys));
        }
        Err(format!("`{text}` is not the name of a variable: write up to eight words of letters, digits, - and _, joined by dots"))
    }
}

impl VariablePath {
    /// Sets the variable.
    ///
    /// # Errors
    /// [`Error::Usage`] if something on the way to it has a value that is no table.
    pub(super) fn put(&self, variables: &mut Variables, value: &Value) -> Result<()> {
        put(&mut variables.0, &self.0, value)
    }
}

/// Reads `KEY=VALUE`; the value is JSON if it reads as JSON, else text.
///
/// # Errors
/// A sentence that says what is wrong, and what to write.
pub fn setting(text: &str) -> std::result::Result<(VariablePath, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as disk.pick=smallest")?;
    Ok((key.parse()?, serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()))))
}

/// Plans a new node.
///
/// # Errors
/// As [`Plan::new`]; a name that exists is taken.
pub async fn add_node(store: &dyn Store, name: NodeName, settings: &Settings) -> Result<Plan> {
    if store.node(&name).await?.is_some() {
        return Err(store::Error::Exists(name).into());
    }
    let mut node = blank(name);
    settings.apply(&mut node)?;
    Plan::new(store, vec![node]).await
}

/// Plans a change of all nodes in a set.
///
/// # Errors
/// As [`Plan::new`] and [`select_nodes()`]; [`Error::Usage`] if several nodes would be given what only one can have.
pub async fn set_nodes(store: &dyn Store, set: &NodeSet, settings: &Settings) -> Result<Plan> {
    let mut nodes = select_nodes(store, set).await?;
    let unique = [
        ("--mac", settings.macs.is_some()),
        ("--address", matches!(settings.address, Some(Some(_)))),
        ("--uuid", matches!(settings.uuid, Some(Some(_)))),
        ("--serial", matches!(settings.serial, Some(Some(_)))),
    ];
    if let Some((option, _)) = unique.iter().find(|(_, given)| *given).filter(|_| nodes.len() > 1) {
        return Err(Error::Usage(format!(
            "{option} can be given to one node only, and `{set}` names {}: `kickctl node import` takes a list",
            nodes.len()
        )));
    }
    nodes.iter_mut().try_for_each(|node| settings.apply(node))?;
    Plan::new(store, nodes).await
}

/// A node of which nothing is known but its name.
pub fn blank(name: NodeName) -> Node {
    Node {
        name,
        macs: vec![],
        address: None,
        arch: Arch::default(),
        firmware: None,
        uuid: None,
        serial: None,
        groups: Default::default(),
        variables: Variables::default(),
    }
}

impl Settings {
    /// Changes a node.
    ///
    /// # Errors
    /// [`Error::Usage`] if a variable's path leads through a value that is no table.
    pub fn apply(&self, node: &mut Node) -> Result<()> {
        fn replace<T: Clone>(field: &mut T, new: &Option<T>) {
            if let Some(new) = new {
                *field = new.clone();
            }
        }
        replace(&mut node.macs, &self.macs);
        replace(&mut node.address, &self.address);
        replace(&mut node.arch, &self.arch);
        replace(&mut node.firmware, &self.firmware);
        replace(&mut node.uuid, &self.uuid);
        replace(&mut node.serial, &self.serial);
        self.leave.iter().for_each(|group| drop(node.groups.take(group)));
        node.groups.extend(self.join.iter().cloned());
        change_variables(&mut node.variables, &self.set, &self.unset)
    }
}

/// Forgets and sets variables of a layer.
///
/// # Errors
/// [`Error::Usage`] if a variable's path leads through a value that is no table.
pub(super) fn change_variables(variables: &mut Variables, set: &[(VariablePath, Value)], unset: &[VariablePath]) -> Result<()> {
    unset.iter().for_each(|VariablePath(keys)| forget(&mut variables.0, keys));
    set.iter().try_for_each(|(path, value)| path.put(variables, value))
}

fn put(table: &mut Map<String, Value>, keys: &[String], value: &Value) -> Result<()> {
    match keys {
        [] => Ok(()),
        [last] => {
            table.insert(last.clone(), value.clone());
            Ok(())
        }
        [first, rest @ ..] => match table.entry(first.clone()).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(below) => put(below, rest, value),
            other => Err(Error::Usage(format!(
                "the variable `{first}` is {other}, so nothing can be set below it: unset it first with --unset {first}"
            ))),
        },
    }
}

/// Takes away a variable, and the tables that it leaves empty.
fn forget(table: &mut Map<String, Value>, keys: &[String]) {
    let Some((first, rest)) = keys.split_first() else { return };
    match table.get_mut(first) {
        Some(Value::Object(below)) if !rest.is_empty() => {
            forget(below, rest);
            if below.is_empty() {
                table.remove(first);
            }
        }
        Some(_) if rest.is_empty() => drop(table.remove(first)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{fresh, node};
    use serde_json::json;

    #[test]
    fn variables_nest_by_their_dots_and_leave_no_empty_tables() {
        let mut node = node("a", 1);
        let path = |text: &str| text.parse::<VariablePath>().unwrap();
        let set = vec![(path("disk.pick"), json!("smallest")), (path("swap"), json!(false))];
        Settings { set, ..Settings::default() }.apply(&mut node).unwrap();
        assert_eq!(Value::Object(node.variables.0.clone()), json!({"disk": {"pick": "smallest"}, "swap": false}));
        let below = Settings { set: vec![(path("swap.size"), json!(1))], ..Settings::default() };
        assert!(below.apply(&mut node).unwrap_err().to_string().contains("--unset swap"));
        Settings { unset: vec![path("disk.pick"), path("nothing.here")], ..Settings::default() }.apply(&mut node).unwrap();
        assert_eq!(Value::Object(node.variables.0), json!({"swap": false}));
        for bad in ["", "a..b", "a b", "a.b.c.d.e.f.g.h.i"] {
            assert!(bad.parse::<VariablePath>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_one_node_can_have_is_not_given_to_several() {
        let (_folder, store) = fresh().await;
        store.add_nodes(&[node("a", 1), node("b", 2)]).await.unwrap();
        let settings = Settings { address: Some(Some(Ipv4Addr::new(10, 0, 0, 9))), ..Settings::default() };
        let told = set_nodes(&store, &"all".parse().unwrap(), &settings).await.unwrap_err().to_string();
        assert_eq!(told, "--address can be given to one node only, and `all` names 2: `kickctl node import` takes a list");
        assert_eq!(set_nodes(&store, &"b".parse().unwrap(), &settings).await.unwrap().changes.len(), 1);
    }
}
