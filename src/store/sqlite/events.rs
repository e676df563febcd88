//! What has happened.

use sqlx::{Row, SqliteConnection};
use time::OffsetDateTime;

use super::fault::Fault;
use super::outbox;
use super::rows::{Columns, nanoseconds, number};
use crate::domain::occurrence::Occurrence;
use crate::domain::outbox::Work;

/// Records events, each with the next number, and has the hooks told of those that are notable.
pub async fn add(at: &mut SqliteConnection, events: &[Occurrence], now: OffsetDateTime) -> Result<(), Fault> {
    for event in events {
        let sql = "UPDATE counters SET value = value + 1 WHERE name = 'event' RETURNING value";
        let row = sqlx::query(sql).fetch_one(&mut *at).await?;
        let event = Occurrence { seq: Columns::of(&row, "counters").count("value")?, ..event.clone() };
        sqlx::query("INSERT INTO events (seq, at, node, attempt, what, text) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(number(event.seq))
            .bind(nanoseconds(event.at))
            .bind(event.node.as_ref().map(ToString::to_string))
            .bind(event.attempt.map(i64::from))
            .bind(event.what.word())
            .bind(&event.text)
            .execute(&mut *at)
            .await?;
        if event.what.is_notable() {
            outbox::put(at, &Work::Notify { event, told: vec![] }, now).await?;
        }
    }
    Ok(())
}

pub async fn after(at: &mut SqliteConnection, after: u64, limit: u32) -> Result<Vec<Occurrence>, Fault> {
    let sql = "SELECT seq, at, node, attempt, what, text FROM events WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = sqlx::query(sql).bind(number(after)).bind(i64::from(limit)).fetch_all(at).await?;
    let read = |row| {
        let columns = Columns::of(row, "events");
        let attempt: Option<i64> = row.try_get("attempt")?;
        Ok(Occurrence {
            seq: columns.count("seq")?,
            at: columns.time("at")?,
            node: columns.maybe("node")?,
            attempt: attempt.and_then(|number| u32::try_from(number).ok()),
            what: columns.text("what")?,
            text: row.try_get("text")?,
        })
    };
    rows.iter().map(read).collect()
}

pub async fn last(at: &mut SqliteConnection) -> Result<u64, Fault> {
    let row = sqlx::query("SELECT value FROM counters WHERE name = 'event'").fetch_one(at).await?;
    Columns::of(&row, "counters").count("value")
}

pub async fn prune(at: &mut SqliteConnection, before: OffsetDateTime, most: u64) -> Result<u64, Fault> {
    let sql = "DELETE FROM events WHERE at < $1 OR seq <= (SELECT value FROM counters WHERE name = 'event') - $2";
    Ok(sqlx::query(sql).bind(nanoseconds(before)).bind(number(most)).execute(at).await?.rows_affected())
}
