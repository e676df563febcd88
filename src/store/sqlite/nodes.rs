//! Nodes, and what hangs on them: facts, groups' variables, assignments.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::fault::Fault;
use super::rows::{Columns, json, number};
use crate::domain::facts::Facts;
use crate::domain::mac::MacAddr;
use crate::domain::name::{GroupName, NodeName};
use crate::domain::natural;
use crate::domain::node::Node;
use crate::domain::profile::Assignment;
use crate::domain::variables::Variables;
use crate::store::Error;

const WHAT: &str = "nodes";

fn read(row: &SqliteRow, macs: Vec<MacAddr>) -> Result<Node, Fault> {
    let columns = Columns::of(row, WHAT);
    Ok(Node {
        name: columns.text("name")?,
        macs,
        address: columns.maybe("address")?,
        arch: columns.text("arch")?,
        firmware: columns.maybe("firmware")?,
        uuid: columns.maybe("uuid")?,
        serial: row.try_get("serial")?,
        groups: columns.json("member_of")?,
        variables: columns.json("variables")?,
    })
}

pub async fn all(at: &mut SqliteConnection) -> Result<Vec<Node>, Fault> {
    let mut macs: HashMap<String, Vec<MacAddr>> = HashMap::new();
    for row in sqlx::query("SELECT mac, node FROM node_macs ORDER BY node, position").fetch_all(&mut *at).await? {
        macs.entry(row.try_get("node")?).or_default().push(Columns::of(&row, WHAT).text("mac")?);
    }
    let rows = sqlx::query("SELECT * FROM nodes").fetch_all(at).await?;
    let mut nodes = Vec::with_capacity(rows.len());
    for row in &rows {
        nodes.push(read(row, macs.remove(row.try_get::<&str, _>("name")?).unwrap_or_default())?);
    }
    nodes.sort_by(|a, b| natural::compare(a.name.as_str(), b.name.as_str()));
    Ok(nodes)
}

pub async fn reserved_addresses(at: &mut SqliteConnection) -> Result<Vec<(NodeName, Ipv4Addr)>, Fault> {
    let rows = sqlx::query("SELECT name, address FROM nodes WHERE address IS NOT NULL").fetch_all(at).await?;
    let pair = |row: &SqliteRow| {
        let columns = Columns::of(row, WHAT);
        Ok((columns.text("name")?, columns.text("address")?))
    };
    let mut pairs = rows.iter().map(pair).collect::<Result<Vec<(NodeName, Ipv4Addr)>, Fault>>()?;
    pairs.sort_by(|a, b| natural::compare(a.0.as_str(), b.0.as_str()));
    Ok(pairs)
}

pub async fn one(at: &mut SqliteConnection, name: &NodeName) -> Result<Option<Node>, Fault> {
    let row = sqlx::query("SELECT * FROM nodes WHERE name = $1").bind(name.as_str()).fetch_optional(&mut *at).await?;
    let Some(row) = row else { return Ok(None) };
    let sql = "SELECT mac FROM node_macs WHERE node = $1 ORDER BY position";
    let macs = sqlx::query(sql).bind(name.as_str()).fetch_all(at).await?;
    let macs = macs.iter().map(|row| Columns::of(row, WHAT).text("mac")).collect::<Result<_, _>>()?;
    read(&row, macs).map(Some)
}

pub async fn by_mac(at: &mut SqliteConnection, mac: MacAddr) -> Result<Option<Node>, Fault> {
    let sql = "SELECT node FROM node_macs WHERE mac = $1";
    match owner(at, sql, &mac.to_string()).await? {
        Some(name) => one(at, &name).await,
        None => Ok(None),
    }
}

/// Adds and replaces nodes. What is replaced first lets go of all that must be unique, so that two nodes can swap addresses.
pub async fn change(at: &mut SqliteConnection, added: &[Node], changed: &[Node]) -> Result<(), Fault> {
    for node in changed {
        must_exist(at, &node.name).await?;
        let sql = "UPDATE nodes SET address = NULL, uuid = NULL WHERE name = $1";
        sqlx::query(sql).bind(node.name.as_str()).execute(&mut *at).await?;
        sqlx::query("DELETE FROM node_macs WHERE node = $1").bind(node.name.as_str()).execute(&mut *at).await?;
    }
    for node in added {
        if exists(at, &node.name).await? {
            return Err(Error::Exists(node.name.clone()).into());
        }
        let sql = "INSERT INTO nodes (name, arch, member_of, variables, facts) VALUES ($1, '', '', '', '{}')";
        sqlx::query(sql).bind(node.name.as_str()).execute(&mut *at).await?;
    }
    for node in changed.iter().chain(added) {
        write(at, node).await?;
    }
    Ok(())
}

async fn write(at: &mut SqliteConnection, node: &Node) -> Result<(), Fault> {
    let address = node.address.map(|address| address.to_string());
    let uuid = node.uuid.as_ref().map(ToString::to_string);
    free(at, node, "address", "SELECT name AS node FROM nodes WHERE address = $1", address.as_deref()).await?;
    free(at, node, "UUID", "SELECT name AS node FROM nodes WHERE uuid = $1", uuid.as_deref()).await?;
    let sql = "UPDATE nodes SET address = $1, arch = $2, firmware = $3, uuid = $4, serial = $5, member_of = $6, variables = $7
               WHERE name = $8";
    sqlx::query(sql)
        .bind(address)
        .bind(node.arch.to_string())
        .bind(node.firmware.map(|firmware| firmware.to_string()))
        .bind(uuid)
        .bind(node.serial.as_deref())
        .bind(json(WHAT, &node.groups)?)
        .bind(json(WHAT, &node.variables)?)
        .bind(node.name.as_str())
        .execute(&mut *at)
        .await?;
    for (position, mac) in (0..).zip(node.macs.iter().map(ToString::to_string)) {
        free(at, node, "MAC address", "SELECT node FROM node_macs WHERE mac = $1", Some(&mac)).await?;
        let sql = "INSERT INTO node_macs (mac, node, position) VALUES ($1, $2, $3)";
        sqlx::query(sql).bind(&mac).bind(node.name.as_str()).bind(number(position)).execute(&mut *at).await?;
        sqlx::query("DELETE FROM discovered WHERE mac = $1").bind(&mac).execute(&mut *at).await?;
    }
    Ok(())
}

/// Refuses a value that another node has. The unique constraint alone would not tell whose it is.
async fn free(at: &mut SqliteConnection, node: &Node, what: &'static str, sql: &'static str, value: Option<&str>) -> Result<(), Fault> {
    let Some(value) = value else { return Ok(()) };
    match owner(at, sql, value).await? {
        Some(owner) => Err(taken(node, what, value.to_owned(), owner)),
        None => Ok(()),
    }
}

async fn owner(at: &mut SqliteConnection, sql: &'static str, value: &str) -> Result<Option<NodeName>, Fault> {
    let row = sqlx::query(sql).bind(value).fetch_optional(at).await?;
    row.as_ref().map(|row| Columns::of(row, WHAT).text("node")).transpose()
}

fn taken(claimant: &Node, what: &'static str, value: String, owner: NodeName) -> Fault {
    Error::Taken { what, value, claimant: claimant.name.clone(), owner }.into()
}

pub async fn remove(at: &mut SqliteConnection, names: &[NodeName]) -> Result<(), Fault> {
    for name in names {
        must_exist(at, name).await?;
        sqlx::query("DELETE FROM nodes WHERE name = $1").bind(name.as_str()).execute(&mut *at).await?;
    }
    Ok(())
}

/// True if there is such a node.
pub async fn exists(at: &mut SqliteConnection, name: &NodeName) -> Result<bool, Fault> {
    Ok(sqlx::query("SELECT 1 FROM nodes WHERE name = $1").bind(name.as_str()).fetch_optional(at).await?.is_some())
}

/// Refuses a node that there is not.
pub async fn must_exist(at: &mut SqliteConnection, name: &NodeName) -> Result<(), Fault> {
    if exists(at, name).await? { Ok(()) } else { Err(Error::NoNode(name.clone()).into()) }
}

pub async fn facts(at: &mut SqliteConnection, node: &NodeName) -> Result<Facts, Fault> {
    let row = sqlx::query("SELECT facts FROM nodes WHERE name = $1").bind(node.as_str()).fetch_optional(at).await?;
    Columns::of(&row.ok_or_else(|| Error::NoNode(node.clone()))?, "facts").json("facts")
}

pub async fn update_facts(at: &mut SqliteConnection, node: &NodeName, newer: &Facts) -> Result<(), Fault> {
    let mut facts = facts(at, node).await?;
    facts.update(newer);
    let sql = "UPDATE nodes SET facts = $1 WHERE name = $2";
    sqlx::query(sql).bind(json("facts", &facts)?).bind(node.as_str()).execute(at).await?;
    Ok(())
}

pub async fn groups_with_variables(at: &mut SqliteConnection) -> Result<Vec<GroupName>, Fault> {
    let rows = sqlx::query("SELECT name FROM group_variables ORDER BY name").fetch_all(at).await?;
    rows.iter().map(|row| Columns::of(row, "groups' variables").text("name")).collect()
}

pub async fn group_variables(at: &mut SqliteConnection, group: &GroupName) -> Result<Variables, Fault> {
    let row = sqlx::query("SELECT variables FROM group_variables WHERE name = $1").bind(group.as_str()).fetch_optional(at).await?;
    row.map_or_else(|| Ok(Variables::default()), |row| Columns::of(&row, "groups' variables").json("variables"))
}

pub async fn set_group_variables(at: &mut SqliteConnection, group: &GroupName, variables: &Variables) -> Result<(), Fault> {
    if variables.0.is_empty() {
        sqlx::query("DELETE FROM group_variables WHERE name = $1").bind(group.as_str()).execute(at).await?;
        return Ok(());
    }
    let sql = "INSERT INTO group_variables (name, variables) VALUES ($1, $2)
               ON CONFLICT (name) DO UPDATE SET variables = excluded.variables";
    sqlx::query(sql).bind(group.as_str()).bind(json("groups' variables", variables)?).execute(at).await?;
    Ok(())
}

fn read_assignment(row: &SqliteRow) -> Result<Assignment, Fault> {
    let columns = Columns::of(row, "assignments");
    Ok(Assignment { node: columns.text("node")?, profile: columns.text("profile")?, snapshot: columns.maybe("snapshot")? })
}

pub async fn assignments(at: &mut SqliteConnection) -> Result<Vec<Assignment>, Fault> {
    let rows = sqlx::query("SELECT node, profile, snapshot FROM assignments").fetch_all(at).await?;
    let mut assignments = rows.iter().map(read_assignment).collect::<Result<Vec<_>, _>>()?;
    assignments.sort_by(|a, b| natural::compare(a.node.as_str(), b.node.as_str()));
    Ok(assignments)
}

pub async fn assignment(at: &mut SqliteConnection, node: &NodeName) -> Result<Option<Assignment>, Fault> {
    let sql = "SELECT node, profile, snapshot FROM assignments WHERE node = $1";
    let row = sqlx::query(sql).bind(node.as_str()).fetch_optional(at).await?;
    row.as_ref().map(read_assignment).transpose()
}

pub async fn assign(at: &mut SqliteConnection, assignments: &[Assignment]) -> Result<(), Fault> {
    for assignment in assignments {
        must_exist(at, &assignment.node).await?;
        let sql = "INSERT INTO assignments (node, profile, snapshot) VALUES ($1, $2, $3)
                   ON CONFLICT (node) DO UPDATE SET profile = excluded.profile, snapshot = excluded.snapshot";
        sqlx::query(sql)
            .bind(assignment.node.as_str())
            .bind(assignment.profile.as_str())
            .bind(assignment.snapshot.as_ref().map(|snapshot| snapshot.as_str()))
            .execute(&mut *at)
            .await?;
    }
    Ok(())
}

pub async fn unassign(at: &mut SqliteConnection, nodes: &[NodeName]) -> Result<(), Fault> {
    for node in nodes {
        must_exist(at, node).await?;
        sqlx::query("DELETE FROM assignments WHERE node = $1").bind(node.as_str()).execute(&mut *at).await?;
    }
    Ok(())
}
