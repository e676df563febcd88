//! How nodes are switched on and off.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::fault::Fault;
use super::nodes::must_exist;
use super::rows::{execute, json, query_all, query_first};
use crate::domain::name::NodeName;
use crate::domain::power::Power;

const WHAT: &str = "power settings";

pub fn all(at: &Connection) -> Result<BTreeMap<NodeName, Power>, Fault> {
    let read =
        query_all(at, WHAT, "SELECT node, settings FROM power", [], |columns| Ok((columns.text("node")?, columns.json("settings")?)));
    Ok(read?.into_iter().collect())
}

pub fn of(at: &Connection, node: &NodeName) -> Result<Option<Power>, Fault> {
    query_first(at, WHAT, "SELECT settings FROM power WHERE node = ?1", [node.as_str()], |columns| columns.json("settings"))
}

pub fn set(at: &Connection, nodes: &[(NodeName, Option<Power>)]) -> Result<(), Fault> {
    for (node, power) in nodes {
        must_exist(at, node)?;
        execute(at, "DELETE FROM power WHERE node = ?1", [node.as_str()])?;
        if let Some(power) = power {
            execute(at, "INSERT INTO power (node, settings) VALUES (?1, ?2)", (node.as_str(), json(WHAT, power)?))?;
        }
    }
    Ok(())
}
