//! What has happened.

use rusqlite::Connection;
use time::OffsetDateTime;

use super::fault::Fault;
use super::outbox;
use super::rows::{execute, nanoseconds, next_number, number, query_all, query_one};
use crate::domain::occurrence::Occurrence;
use crate::domain::outbox::Work;

/// Records events, each with the next number, and has the hooks told of those that are notable.
pub fn add(at: &Connection, events: &[Occurrence], now: OffsetDateTime) -> Result<(), Fault> {
    for event in events {
        let event = Occurrence { seq: next_number(at, "event")?, ..event.clone() };
        let (seq, node) = (number(event.seq), event.node.as_ref().map(|node| node.as_str()));
        let sql = "INSERT INTO events (seq, at, node, attempt, what, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        execute(at, sql, (seq, nanoseconds(event.at), node, event.attempt, event.what.word(), &event.text))?;
        if event.what.is_notable() {
            outbox::put(at, &Work::Notify { event, told: vec![] }, now)?;
        }
    }
    Ok(())
}

pub fn after(at: &Connection, after: u64, limit: u32) -> Result<Vec<Occurrence>, Fault> {
    let sql = "SELECT seq, at, node, attempt, what, text FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    query_all(at, "events", sql, (number(after), limit), |columns| {
        let attempt: Option<i64> = columns.get("attempt")?;
        Ok(Occurrence {
            seq: columns.count("seq")?,
            at: columns.time("at")?,
            node: columns.maybe("node")?,
            attempt: attempt.and_then(|number| u32::try_from(number).ok()),
            what: columns.text("what")?,
            text: columns.get("text")?,
        })
    })
}

pub fn last(at: &Connection) -> Result<u64, Fault> {
    query_one(at, "counters", "SELECT value FROM counters WHERE name = 'event'", [], |columns| columns.count("value"))
}

pub fn prune(at: &Connection, before: OffsetDateTime, most: u64) -> Result<u64, Fault> {
    let sql = "DELETE FROM events WHERE at < ?1 OR seq <= (SELECT value FROM counters WHERE name = 'event') - ?2";
    Ok(execute(at, sql, (nanoseconds(before), number(most)))? as u64)
}
