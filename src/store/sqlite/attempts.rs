//! Attempts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use time::OffsetDateTime;

use super::fault::Fault;
use super::nodes::must_exist;
use super::orders::Orders;
use super::rows::{Columns, execute, exists, json, nanoseconds, next_number, query_all, query_first};
use super::{events, log, nodes, outbox};
use crate::domain::attempt::{Attempt, AttemptId, Clocks, Order, Progress, State};
use crate::domain::name::NodeName;
use crate::domain::natural;
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::outbox::{PowerStep, Work};
use crate::domain::power::BootFrom;
use crate::store::{Along, Arming, Error, Kept, LogLine};

const WHAT: &str = "attempts";

fn read(columns: &Columns<'_>, orders: &Orders) -> Result<Attempt, Fault> {
    let id = columns.count("id")?;
    Ok(Attempt {
        id,
        node: columns.text("node")?,
        number: columns.count("number")?,
        order: orders.get(id, || columns.json("ordered"))?,
        state: columns.json("state")?,
        progress: columns.json("progress")?,
        clocks: columns.json("clocks")?,
        armed_at: columns.time("armed_at")?,
        revision: columns.count("revision")?,
    })
}

// Who writes reads with `Orders` of its own: what it finds may be rolled back, and its number is then given to another attempt.

pub fn one(at: &Connection, orders: &Orders, id: AttemptId) -> Result<Option<Attempt>, Fault> {
    query_first(at, WHAT, "SELECT * FROM attempts WHERE id = ?1", [id], |columns| read(columns, orders))
}

pub fn last(at: &Connection, orders: &Orders, node: &NodeName) -> Result<Option<Attempt>, Fault> {
    query_first(at, WHAT, "SELECT * FROM attempts WHERE node = ?1 ORDER BY number DESC LIMIT 1", [node.as_str()], |columns| {
        read(columns, orders)
    })
}

pub fn last_beside(at: &Connection, orders: &Orders, id: AttemptId) -> Result<Option<Attempt>, Fault> {
    let sql = "SELECT * FROM attempts WHERE node = (SELECT node FROM attempts WHERE id = ?1) ORDER BY number DESC LIMIT 1";
    query_first(at, WHAT, sql, [id], |columns| read(columns, orders))
}

pub fn all(at: &Connection, orders: &Orders, node: Option<&NodeName>) -> Result<Vec<Attempt>, Fault> {
    match node {
        Some(node) => {
            query_all(at, WHAT, "SELECT * FROM attempts WHERE node = ?1 ORDER BY id DESC", [node.as_str()], |columns| read(columns, orders))
        }
        None => query_all(at, WHAT, "SELECT * FROM attempts ORDER BY id DESC", [], |columns| read(columns, orders)),
    }
}

pub fn histories(at: &Connection, orders: &Orders, wanted: &[NodeName]) -> Result<BTreeMap<NodeName, Vec<Attempt>>, Fault> {
    let mut histories = BTreeMap::new();
    for node in wanted {
        if nodes::exists(at, node)? {
            histories.insert(node.clone(), all(at, orders, Some(node))?);
        }
    }
    Ok(histories)
}

pub fn last_of_each(at: &Connection, orders: &Orders) -> Result<Vec<Attempt>, Fault> {
    let sql = "SELECT * FROM attempts WHERE number = (SELECT MAX(number) FROM attempts AS own WHERE own.node = attempts.node)";
    let mut attempts = query_all(at, WHAT, sql, [], |columns| read(columns, orders))?;
    attempts.sort_by(|a, b| natural::compare(a.node.as_str(), b.node.as_str()));
    Ok(attempts)
}

pub fn arm(at: &Connection, node: &NodeName, order: &Order, now: OffsetDateTime) -> Result<Attempt, Fault> {
    must_exist(at, node)?;
    let last = last(at, &Orders::default(), node)?;
    if let Some(last) = last.as_ref().filter(|last| !last.state.is_over()) {
        return Err(Error::Busy { node: node.clone(), number: last.number, state: last.state.name() }.into());
    }
    let attempt = Attempt {
        id: next_number(at, "attempt")?,
        node: node.clone(),
        number: last.map_or(1, |last| last.number.saturating_add(1)),
        order: Arc::new(order.clone()),
        state: State::Armed,
        progress: Progress::default(),
        clocks: Clocks::default(),
        armed_at: now,
        revision: 1,
    };
    let sql = "INSERT INTO attempts (id, node, number, ordered, state, progress, clocks, armed_at, revision, log_full)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)";
    let row = (
        attempt.id,
        node.as_str(),
        attempt.number,
        json(WHAT, &attempt.order)?,
        json(WHAT, &attempt.state)?,
        json(WHAT, &attempt.progress)?,
        json(WHAT, &attempt.clocks)?,
        nanoseconds(now),
        attempt.revision,
    );
    execute(at, sql, row)?;
    Ok(attempt)
}

/// An attempt's log goes with it. Always kept are a node's last attempt, since no other can be under way, and the last that was verified, since the
/// node may run from what it ordered.
pub fn prune(at: &Connection, before: OffsetDateTime, kept: Kept) -> Result<u64, Fault> {
    let sql = "DELETE FROM attempts WHERE id IN (
                   SELECT id FROM (SELECT id, armed_at, ROW_NUMBER() OVER (PARTITION BY node ORDER BY number DESC) AS place FROM attempts)
                   WHERE place > ?1 OR (place > ?2 AND armed_at < ?3))
               AND id NOT IN (SELECT MAX(id) FROM attempts WHERE state = ?4 GROUP BY node)";
    let (most, least) = (kept.most.max(1), kept.least.max(1));
    let verified = json(WHAT, &State::Verified)?;
    Ok(execute(at, sql, (most, least, nanoseconds(before), verified))? as u64)
}

/// Writes state, progress and clocks; what was ordered never changes.
pub fn save(at: &Connection, attempt: &Attempt, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "UPDATE attempts SET state = ?1, progress = ?2, clocks = ?3, revision = revision + 1 WHERE id = ?4 AND revision = ?5";
    let (state, progress, clocks) = (json(WHAT, &attempt.state)?, json(WHAT, &attempt.progress)?, json(WHAT, &attempt.clocks)?);
    if execute(at, sql, (state, progress, clocks, attempt.id, attempt.revision))? == 0 {
        let exists = exists(at, "SELECT 1 FROM attempts WHERE id = ?1", [attempt.id])?;
        return Err(if exists { Error::Stale(attempt.id) } else { Error::NoAttempt(attempt.id) }.into());
    }
    write_along(at, attempt.id, along, now)
}

pub fn arm_and(at: &Connection, arming: &Arming<'_>, now: OffsetDateTime) -> Result<Attempt, Fault> {
    if let Some(after) = arming.after
        && last(at, &Orders::default(), arming.node)?.is_none_or(|last| (last.id, last.revision) != (after.id, after.revision))
    {
        return Err(Error::Stale(after.id).into());
    }
    let armed = arm(at, arming.node, arming.order, now)?;
    let power = || Work::Power { node: armed.node.clone(), attempt: armed.id, boot: BootFrom::Network, step: PowerStep::Off };
    let event = Occurrence {
        seq: 0,
        at: now,
        node: Some(armed.node.clone()),
        attempt: Some(armed.number),
        what: What::Armed,
        text: arming.why.clone(),
    };
    let line = LogLine { seq: 0, at: now, source: "kickctl".into(), text: format!("armed: {}", arming.why) };
    let along = Along { lines: vec![line], events: vec![event], works: arming.cycle.then(power).into_iter().collect() };
    write_along(at, armed.id, &along, now)?;
    Ok(armed)
}

fn write_along(at: &Connection, id: AttemptId, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    log::append_always(at, id, &along.lines)?;
    events::add(at, &along.events, now)?;
    for work in &along.works {
        outbox::put(at, work, now)?;
    }
    Ok(())
}
