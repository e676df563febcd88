//! What is to be done outside.

use sqlx::{Row, SqliteConnection};
use time::OffsetDateTime;

use super::events;
use super::fault::Fault;
use super::rows::{Columns, json, nanoseconds};
use crate::domain::occurrence::Occurrence;
use crate::domain::outbox::{Outgoing, Work};

const WHAT: &str = "outbox";

/// A node needs one power cycle at a time: the newest knows best what for.
pub async fn put(at: &mut SqliteConnection, work: &Work, due: OffsetDateTime) -> Result<(), Fault> {
    let node = work.node().map(ToString::to_string);
    if matches!(work, Work::Power { .. }) {
        sqlx::query("DELETE FROM outbox WHERE kind = 'power' AND node = $1").bind(node.clone()).execute(&mut *at).await?;
    }
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'outbox' RETURNING value";
    let id: i64 = sqlx::query(sql).fetch_one(&mut *at).await?.try_get(0)?;
    sqlx::query("INSERT INTO outbox (id, node, kind, work, due, tries) VALUES ($1, $2, $3, $4, $5, 0)")
        .bind(id)
        .bind(node)
        .bind(work.kind())
        .bind(json(WHAT, work)?)
        .bind(nanoseconds(due))
        .execute(at)
        .await?;
    Ok(())
}

pub async fn due(at: &mut SqliteConnection, now: OffsetDateTime, limit: u32) -> Result<Vec<Outgoing>, Fault> {
    let sql = "SELECT id, work, due, tries FROM outbox WHERE due <= $1 ORDER BY due, id LIMIT $2";
    let rows = sqlx::query(sql).bind(nanoseconds(now)).bind(i64::from(limit)).fetch_all(at).await?;
    let read = |row| {
        let columns = Columns::of(row, WHAT);
        Ok(Outgoing { id: columns.count("id")?, work: columns.json("work")?, due: columns.time("due")?, tries: columns.count("tries")? })
    };
    rows.iter().map(read).collect()
}

pub async fn keep(at: &mut SqliteConnection, outgoing: &Outgoing) -> Result<(), Fault> {
    sqlx::query("UPDATE outbox SET work = $1, due = $2, tries = $3 WHERE id = $4")
        .bind(json(WHAT, &outgoing.work)?)
        .bind(nanoseconds(outgoing.due))
        .bind(i64::from(outgoing.tries))
        .bind(outgoing.id)
        .execute(at)
        .await?;
    Ok(())
}

pub async fn end(at: &mut SqliteConnection, id: i64, happened: &[Occurrence], now: OffsetDateTime) -> Result<(), Fault> {
    sqlx::query("DELETE FROM outbox WHERE id = $1").bind(id).execute(&mut *at).await?;
    events::add(at, happened, now).await
}
