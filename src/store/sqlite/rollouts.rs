//! Rollouts.

use rusqlite::Connection;
use time::OffsetDateTime;

use super::fault::Fault;
use super::rows::{execute, json, next_number, number, query_all};
use super::{events, outbox};
use crate::domain::rollout::Rollout;
use crate::store::{Along, Error, MAX_ROLLOUTS};

const WHAT: &str = "rollouts";

pub fn all(at: &Connection) -> Result<Vec<Rollout>, Fault> {
    query_all(at, WHAT, "SELECT rollout FROM rollouts ORDER BY id DESC", [], |columns| columns.json("rollout"))
}

/// Keeps it as the newest, and forgets the oldest of those that are over and more than are kept.
pub fn add(at: &Connection, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<Rollout, Fault> {
    let added = Rollout { id: next_number(at, "rollout")?, revision: 1, ..rollout.clone() };
    let sql = "INSERT INTO rollouts (id, revision, state, rollout) VALUES (?1, ?2, ?3, ?4)";
    execute(at, sql, (number(added.id), added.revision, added.state.to_string(), json(WHAT, &added)?))?;
    let sql = "DELETE FROM rollouts WHERE id <= ?1 AND state IN ('done', 'aborted')";
    execute(at, sql, [number(added.id.saturating_sub(MAX_ROLLOUTS))])?;
    write_along(at, along, now)?;
    Ok(added)
}

pub fn save(at: &Connection, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    let saved = Rollout { revision: rollout.revision + 1, ..rollout.clone() };
    let sql = "UPDATE rollouts SET revision = ?1, state = ?2, rollout = ?3 WHERE id = ?4 AND revision = ?5";
    let row = (saved.revision, saved.state.to_string(), json(WHAT, &saved)?, number(saved.id), rollout.revision);
    if execute(at, sql, row)? == 0 {
        return Err(Error::StaleRollout(rollout.id).into());
    }
    write_along(at, along, now)
}

fn write_along(at: &Connection, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    for work in &along.works {
        outbox::put(at, work, now)?;
    }
    events::add(at, &along.events, now)
}
