//! Rollouts.

use sqlx::SqliteConnection;
use time::OffsetDateTime;

use super::fault::Fault;
use super::rows::{Columns, json, number};
use super::{events, outbox};
use crate::domain::rollout::Rollout;
use crate::store::{Along, Error, MAX_ROLLOUTS};

const WHAT: &str = "rollouts";

pub async fn all(at: &mut SqliteConnection) -> Result<Vec<Rollout>, Fault> {
    let rows = sqlx::query("SELECT rollout FROM rollouts ORDER BY id DESC").fetch_all(at).await?;
    rows.iter().map(|row| Columns::of(row, WHAT).json("rollout")).collect()
}

/// Keeps it as the newest, and forgets the oldest of those that are over and more than are kept.
pub async fn add(at: &mut SqliteConnection, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<Rollout, Fault> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'rollout' RETURNING value";
    let row = sqlx::query(sql).fetch_one(&mut *at).await?;
    let added = Rollout { id: Columns::of(&row, "counters").count("value")?, revision: 1, ..rollout.clone() };
    sqlx::query("INSERT INTO rollouts (id, revision, state, rollout) VALUES ($1, $2, $3, $4)")
        .bind(number(added.id))
        .bind(added.revision)
        .bind(added.state.to_string())
        .bind(json(WHAT, &added)?)
        .execute(&mut *at)
        .await?;
    sqlx::query("DELETE FROM rollouts WHERE id <= $1 AND state IN ('done', 'aborted')")
        .bind(number(added.id.saturating_sub(MAX_ROLLOUTS)))
        .execute(&mut *at)
        .await?;
    write_along(at, along, now).await?;
    Ok(added)
}

pub async fn save(at: &mut SqliteConnection, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    let saved = Rollout { revision: rollout.revision + 1, ..rollout.clone() };
    let sql = "UPDATE rollouts SET revision = $1, state = $2, rollout = $3 WHERE id = $4 AND revision = $5";
    let done = sqlx::query(sql)
        .bind(saved.revision)
        .bind(saved.state.to_string())
        .bind(json(WHAT, &saved)?)
        .bind(number(saved.id))
        .bind(rollout.revision)
        .execute(&mut *at)
        .await?;
    if done.rows_affected() == 0 {
        return Err(Error::StaleRollout(rollout.id).into());
    }
    write_along(at, along, now).await
}

async fn write_along(at: &mut SqliteConnection, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    for work in &along.works {
        outbox::put(at, work, now).await?;
    }
    events::add(at, &along.events, now).await
}
