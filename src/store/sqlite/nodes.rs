//! Nodes, and what hangs on them: facts, groups' variables, assignments.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use rusqlite::Connection;

use super::fault::Fault;
use super::rows::{self, Columns, execute, json, number, query_all, query_first};
use crate::domain::facts::Facts;
use crate::domain::mac::MacAddr;
use crate::domain::name::{GroupName, NodeName};
use crate::domain::natural;
use crate::domain::node::Node;
use crate::domain::profile::Assignment;
use crate::domain::variables::Variables;
use crate::store::Error;

const WHAT: &str = "nodes";
const GROUPS: &str = "groups' variables";

/// All but the MAC addresses, which have a table of their own.
fn read(columns: &Columns<'_>) -> Result<Node, Fault> {
    Ok(Node {
        name: columns.text("name")?,
        macs: vec![],
        address: columns.maybe("address")?,
        arch: columns.text("arch")?,
        firmware: columns.maybe("firmware")?,
        uuid: columns.maybe("uuid")?,
        serial: columns.get("serial")?,
        groups: columns.json("member_of")?,
        variables: columns.json("variables")?,
    })
}

pub fn all(at: &Connection) -> Result<Vec<Node>, Fault> {
    let sql = "SELECT mac, node FROM node_macs ORDER BY node, position";
    let mut macs: HashMap<NodeName, Vec<MacAddr>> = HashMap::new();
    for (node, mac) in query_all(at, WHAT, sql, [], |columns| Ok((columns.text("node")?, columns.text("mac")?)))? {
        macs.entry(node).or_default().push(mac);
    }
    let mut nodes = query_all(at, WHAT, "SELECT * FROM nodes", [], read)?;
    for node in &mut nodes {
        node.macs = macs.remove(&node.name).unwrap_or_default();
    }
    nodes.sort_by(|a, b| natural::compare(a.name.as_str(), b.name.as_str()));
    Ok(nodes)
}

pub fn reserved_addresses(at: &Connection) -> Result<Vec<(NodeName, Ipv4Addr)>, Fault> {
    let sql = "SELECT name, address FROM nodes WHERE address IS NOT NULL";
    let mut pairs: Vec<(NodeName, Ipv4Addr)> =
        query_all(at, WHAT, sql, [], |columns| Ok((columns.text("name")?, columns.text("address")?)))?;
    pairs.sort_by(|a, b| natural::compare(a.0.as_str(), b.0.as_str()));
    Ok(pairs)
}

pub fn one(at: &Connection, name: &NodeName) -> Result<Option<Node>, Fault> {
    let Some(mut node) = query_first(at, WHAT, "SELECT * FROM nodes WHERE name = ?1", [name.as_str()], read)? else { return Ok(None) };
    let sql = "SELECT mac FROM node_macs WHERE node = ?1 ORDER BY position";
    node.macs = query_all(at, WHAT, sql, [name.as_str()], |columns| columns.text("mac"))?;
    Ok(Some(node))
}

pub fn by_mac(at: &Connection, mac: MacAddr) -> Result<Option<Node>, Fault> {
    let sql = "SELECT node FROM node_macs WHERE mac = ?1";
    match owner(at, sql, &mac.to_string())? {
        Some(name) => one(at, &name),
        None => Ok(None),
    }
}

/// Adds and replaces nodes. What is replaced first lets go of all that must be unique, so that two nodes can swap addresses.
pub fn change(at: &Connection, added: &[Node], changed: &[Node]) -> Result<(), Fault> {
    for node in changed {
        must_exist(at, &node.name)?;
        execute(at, "UPDATE nodes SET address = NULL, uuid = NULL WHERE name = ?1", [node.name.as_str()])?;
        execute(at, "DELETE FROM node_macs WHERE node = ?1", [node.name.as_str()])?;
    }
    for node in added {
        if exists(at, &node.name)? {
            return Err(Error::Exists(node.name.clone()).into());
        }
        let sql = "INSERT INTO nodes (name, arch, member_of, variables, facts) VALUES (?1, '', '', '', '{}')";
        execute(at, sql, [node.name.as_str()])?;
    }
    for node in changed.iter().chain(added) {
        write(at, node)?;
    }
    Ok(())
}

fn write(at: &Connection, node: &Node) -> Result<(), Fault> {
    let address = node.address.map(|address| address.to_string());
    let uuid = node.uuid.as_ref().map(ToString::to_string);
    free(at, node, "address", "SELECT name AS node FROM nodes WHERE address = ?1", address.as_deref())?;
    free(at, node, "UUID", "SELECT name AS node FROM nodes WHERE uuid = ?1", uuid.as_deref())?;
    let sql = "UPDATE nodes SET address = ?1, arch = ?2, firmware = ?3, uuid = ?4, serial = ?5, member_of = ?6, variables = ?7
               WHERE name = ?8";
    let row = (
        address,
        node.arch.to_string(),
        node.firmware.map(|firmware| firmware.to_string()),
        uuid,
        node.serial.as_deref(),
        json(WHAT, &node.groups)?,
        json(WHAT, &node.variables)?,
        node.name.as_str(),
    );
    execute(at, sql, row)?;
    for (position, mac) in (0..).zip(node.macs.iter().map(ToString::to_string)) {
        free(at, node, "MAC address", "SELECT node FROM node_macs WHERE mac = ?1", Some(&mac))?;
        execute(at, "INSERT INTO node_macs (mac, node, position) VALUES (?1, ?2, ?3)", (&mac, node.name.as_str(), number(position)))?;
        execute(at, "DELETE FROM discovered WHERE mac = ?1", [&mac])?;
    }
    Ok(())
}

/// Refuses a value that another node has. The unique constraint alone would not tell whose it is.
fn free(at: &Connection, node: &Node, what: &'static str, sql: &'static str, value: Option<&str>) -> Result<(), Fault> {
    let Some(value) = value else { return Ok(()) };
    match owner(at, sql, value)? {
        Some(owner) => Err(taken(node, what, value.to_owned(), owner)),
        None => Ok(()),
    }
}

fn owner(at: &Connection, sql: &'static str, value: &str) -> Result<Option<NodeName>, Fault> {
    query_first(at, WHAT, sql, [value], |columns| columns.text("node"))
}

fn taken(claimant: &Node, what: &'static str, value: String, owner: NodeName) -> Fault {
    Error::Taken { what, value, claimant: claimant.name.clone(), owner }.into()
}

pub fn remove(at: &Connection, names: &[NodeName]) -> Result<(), Fault> {
    for name in names {
        must_exist(at, name)?;
        execute(at, "DELETE FROM nodes WHERE name = ?1", [name.as_str()])?;
    }
    Ok(())
}

/// True if there is such a node.
pub fn exists(at: &Connection, name: &NodeName) -> Result<bool, Fault> {
    rows::exists(at, "SELECT 1 FROM nodes WHERE name = ?1", [name.as_str()])
}

/// Refuses a node that there is not.
pub fn must_exist(at: &Connection, name: &NodeName) -> Result<(), Fault> {
    if exists(at, name)? { Ok(()) } else { Err(Error::NoNode(name.clone()).into()) }
}

pub fn facts(at: &Connection, node: &NodeName) -> Result<Facts, Fault> {
    let facts = query_first(at, "facts", "SELECT facts FROM nodes WHERE name = ?1", [node.as_str()], |columns| columns.json("facts"))?;
    facts.ok_or_else(|| Error::NoNode(node.clone()).into())
}

pub fn update_facts(at: &Connection, node: &NodeName, newer: &Facts) -> Result<(), Fault> {
    let mut facts = facts(at, node)?;
    facts.update(newer);
    execute(at, "UPDATE nodes SET facts = ?1 WHERE name = ?2", (json("facts", &facts)?, node.as_str()))?;
    Ok(())
}

pub fn groups_with_variables(at: &Connection) -> Result<Vec<GroupName>, Fault> {
    query_all(at, GROUPS, "SELECT name FROM group_variables ORDER BY name", [], |columns| columns.text("name"))
}

pub fn group_variables(at: &Connection, group: &GroupName) -> Result<Variables, Fault> {
    let sql = "SELECT variables FROM group_variables WHERE name = ?1";
    Ok(query_first(at, GROUPS, sql, [group.as_str()], |columns| columns.json("variables"))?.unwrap_or_default())
}

pub fn set_group_variables(at: &Connection, group: &GroupName, variables: &Variables) -> Result<(), Fault> {
    if variables.0.is_empty() {
        execute(at, "DELETE FROM group_variables WHERE name = ?1", [group.as_str()])?;
        return Ok(());
    }
    let sql = "INSERT INTO group_variables (name, variables) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET variables = excluded.variables";
    execute(at, sql, (group.as_str(), json(GROUPS, variables)?))?;
    Ok(())
}

fn read_assignment(columns: &Columns<'_>) -> Result<Assignment, Fault> {
    Ok(Assignment { node: columns.text("node")?, profile: columns.text("profile")?, snapshot: columns.maybe("snapshot")? })
}

pub fn assignments(at: &Connection) -> Result<Vec<Assignment>, Fault> {
    let mut assignments = query_all(at, "assignments", "SELECT node, profile, snapshot FROM assignments", [], read_assignment)?;
    assignments.sort_by(|a, b| natural::compare(a.node.as_str(), b.node.as_str()));
    Ok(assignments)
}

pub fn assignment(at: &Connection, node: &NodeName) -> Result<Option<Assignment>, Fault> {
    let sql = "SELECT node, profile, snapshot FROM assignments WHERE node = ?1";
    query_first(at, "assignments", sql, [node.as_str()], read_assignment)
}

pub fn assign(at: &Connection, assignments: &[Assignment]) -> Result<(), Fault> {
    for Assignment { node, profile, snapshot } in assignments {
        must_exist(at, node)?;
        let sql = "INSERT INTO assignments (node, profile, snapshot) VALUES (?1, ?2, ?3)
                   ON CONFLICT (node) DO UPDATE SET profile = excluded.profile, snapshot = excluded.snapshot";
        execute(at, sql, (node.as_str(), profile.as_str(), snapshot.as_ref().map(|snapshot| snapshot.as_str())))?;
    }
    Ok(())
}

pub fn unassign(at: &Connection, nodes: &[NodeName]) -> Result<(), Fault> {
    for node in nodes {
        must_exist(at, node)?;
        execute(at, "DELETE FROM assignments WHERE node = ?1", [node.as_str()])?;
    }
    Ok(())
}
