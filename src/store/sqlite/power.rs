//! How nodes are switched on and off.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::fault::Fault;
use super::nodes::must_exist;
use super::rows::{Columns, json};
use crate::domain::name::NodeName;
use crate::domain::power::Power;

const WHAT: &str = "power settings";

pub async fn all(at: &mut SqliteConnection) -> Result<BTreeMap<NodeName, Power>, Fault> {
    let rows = sqlx::query("SELECT node, settings FROM power").fetch_all(at).await?;
    let mut settings = BTreeMap::new();
    for row in &rows {
        let columns = Columns::of(row, WHAT);
        settings.insert(columns.text("node")?, columns.json("settings")?);
    }
    Ok(settings)
}

pub async fn of(at: &mut SqliteConnection, node: &NodeName) -> Result<Option<Power>, Fault> {
    let row = sqlx::query("SELECT settings FROM power WHERE node = $1").bind(node.as_str()).fetch_optional(at).await?;
    row.as_ref().map(|row| Columns::of(row, WHAT).json("settings")).transpose()
}

pub async fn set(at: &mut SqliteConnection, nodes: &[(NodeName, Option<Power>)]) -> Result<(), Fault> {
    for (node, power) in nodes {
        must_exist(at, node).await?;
        sqlx::query("DELETE FROM power WHERE node = $1").bind(node.as_str()).execute(&mut *at).await?;
        if let Some(power) = power {
            sqlx::query("INSERT INTO power (node, settings) VALUES ($1, $2)")
                .bind(node.as_str())
                .bind(json(WHAT, power)?)
                .execute(&mut *at)
                .await?;
        }
    }
    Ok(())
}
