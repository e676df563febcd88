//! What is to be done outside.

use rusqlite::Connection;
use time::OffsetDateTime;

use super::events;
use super::fault::Fault;
use super::rows::{execute, json, nanoseconds, next_number, query_all};
use crate::domain::occurrence::Occurrence;
use crate::domain::outbox::{Outgoing, Work};

const WHAT: &str = "outbox";

/// A node needs one power cycle at a time: the newest knows best what for.
pub fn put(at: &Connection, work: &Work, due: OffsetDateTime) -> Result<(), Fault> {
    let node = work.node().map(|node| node.as_str());
    if matches!(work, Work::Power { .. }) {
        execute(at, "DELETE FROM outbox WHERE kind = 'power' AND node = ?1", [node])?;
    }
    let id: i64 = next_number(at, "outbox")?;
    let sql = "INSERT INTO outbox (id, node, kind, work, due, tries) VALUES (?1, ?2, ?3, ?4, ?5, 0)";
    execute(at, sql, (id, node, work.kind(), json(WHAT, work)?, nanoseconds(due)))?;
    Ok(())
}

pub fn due(at: &Connection, now: OffsetDateTime, limit: u32) -> Result<Vec<Outgoing>, Fault> {
    let sql = "SELECT id, work, due, tries FROM outbox WHERE due <= ?1 ORDER BY due, id LIMIT ?2";
    query_all(at, WHAT, sql, (nanoseconds(now), limit), |columns| {
        Ok(Outgoing { id: columns.count("id")?, work: columns.json("work")?, due: columns.time("due")?, tries: columns.count("tries")? })
    })
}

pub fn keep(at: &Connection, outgoing: &Outgoing) -> Result<(), Fault> {
    let sql = "UPDATE outbox SET work = ?1, due = ?2, tries = ?3 WHERE id = ?4";
    execute(at, sql, (json(WHAT, &outgoing.work)?, nanoseconds(outgoing.due), outgoing.tries, outgoing.id))?;
    Ok(())
}

pub fn end(at: &Connection, id: i64, happened: &[Occurrence], now: OffsetDateTime) -> Result<(), Fault> {
    execute(at, "DELETE FROM outbox WHERE id = ?1", [id])?;
    events::add(at, happened, now)
}
