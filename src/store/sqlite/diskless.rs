//! What is kept for diskless nodes: their last signs of life, and their ssh host keys.

use sqlx::{Row, SqliteConnection};

use super::fault::Fault;
use super::nodes::must_exist;
use super::rows::{Columns, nanoseconds, number};
use crate::domain::name::NodeName;
use crate::store::{HostKey, Sighting};

pub async fn sightings(at: &mut SqliteConnection) -> Result<Vec<Sighting>, Fault> {
    let rows = sqlx::query("SELECT node, attempt, at, uptime, version FROM sightings").fetch_all(at).await?;
    let read = |row| {
        let columns = Columns::of(row, "sightings");
        Ok(Sighting {
            node: columns.text("node")?,
            attempt: columns.count("attempt")?,
            at: columns.time("at")?,
            uptime: columns.count("uptime")?,
            version: row.try_get("version")?,
        })
    };
    rows.iter().map(read).collect()
}

pub async fn put_sighting(at: &mut SqliteConnection, seen: &Sighting) -> Result<(), Fault> {
    let sql = "INSERT INTO sightings (node, attempt, at, uptime, version) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (node) DO UPDATE SET attempt = excluded.attempt, at = excluded.at, uptime = excluded.uptime,
               version = excluded.version";
    sqlx::query(sql)
        .bind(seen.node.as_str())
        .bind(seen.attempt)
        .bind(nanoseconds(seen.at))
        .bind(number(seen.uptime))
        .bind(&seen.version)
        .execute(at)
        .await?;
    Ok(())
}

pub async fn host_keys(at: &mut SqliteConnection, node: &NodeName) -> Result<Vec<HostKey>, Fault> {
    let sql = "SELECT name, private, public FROM host_keys WHERE node = $1 ORDER BY name";
    let rows = sqlx::query(sql).bind(node.as_str()).fetch_all(at).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(HostKey { name: row.try_get("name")?, private: row.try_get("private")?, public: row.try_get("public")? })
    };
    rows.iter().map(read).collect()
}

/// Keeps the first; whoever comes later is given that one.
pub async fn keep_host_keys(at: &mut SqliteConnection, node: &NodeName, keys: &[HostKey]) -> Result<Vec<HostKey>, Fault> {
    must_exist(at, node).await?;
    if host_keys(at, node).await?.is_empty() {
        for key in keys {
            sqlx::query("INSERT INTO host_keys (node, name, private, public) VALUES ($1, $2, $3, $4)")
                .bind(node.as_str())
                .bind(&key.name)
                .bind(&key.private)
                .bind(&key.public)
                .execute(&mut *at)
                .await?;
        }
    }
    host_keys(at, node).await
}
