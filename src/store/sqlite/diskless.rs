//! What is kept for diskless nodes: their last signs of life, and their ssh host keys.

use rusqlite::Connection;

use super::fault::Fault;
use super::nodes::must_exist;
use super::rows::{execute, nanoseconds, number, query_all};
use crate::domain::name::NodeName;
use crate::store::{HostKey, Sighting};

pub fn sightings(at: &Connection) -> Result<Vec<Sighting>, Fault> {
    query_all(at, "sightings", "SELECT node, attempt, at, uptime, version FROM sightings", [], |columns| {
        Ok(Sighting {
            node: columns.text("node")?,
            attempt: columns.count("attempt")?,
            at: columns.time("at")?,
            uptime: columns.count("uptime")?,
            version: columns.get("version")?,
        })
    })
}

pub fn put_sighting(at: &Connection, seen: &Sighting) -> Result<(), Fault> {
    let sql = "INSERT INTO sightings (node, attempt, at, uptime, version) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (node) DO UPDATE SET attempt = excluded.attempt, at = excluded.at, uptime = excluded.uptime,
               version = excluded.version";
    execute(at, sql, (seen.node.as_str(), seen.attempt, nanoseconds(seen.at), number(seen.uptime), &seen.version))?;
    Ok(())
}

pub fn host_keys(at: &Connection, node: &NodeName) -> Result<Vec<HostKey>, Fault> {
    let sql = "SELECT name, private, public FROM host_keys WHERE node = ?1 ORDER BY name";
    query_all(at, "host keys", sql, [node.as_str()], |columns| {
        Ok(HostKey { name: columns.get("name")?, private: columns.get("private")?, public: columns.get("public")? })
    })
}

/// Keeps the first; whoever comes later is given that one.
pub fn keep_host_keys(at: &Connection, node: &NodeName, keys: &[HostKey]) -> Result<Vec<HostKey>, Fault> {
    must_exist(at, node)?;
    if host_keys(at, node)?.is_empty() {
        for key in keys {
            let sql = "INSERT INTO host_keys (node, name, private, public) VALUES (?1, ?2, ?3, ?4)";
            execute(at, sql, [node.as_str(), &key.name, &key.private, &key.public])?;
        }
    }
    host_keys(at, node)
}
