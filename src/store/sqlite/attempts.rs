//! Attempts.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::{Row, SqliteConnection};
use time::OffsetDateTime;

use super::fault::Fault;
use super::nodes::must_exist;
use super::rows::{Columns, json, nanoseconds};
use super::{events, log, nodes, outbox};
use crate::domain::attempt::{Attempt, AttemptId, Clocks, Order, Progress, State};
use crate::domain::name::NodeName;
use crate::domain::natural;
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::outbox::{PowerStep, Work};
use crate::domain::power::BootFrom;
use crate::store::{Along, Arming, Error, Kept, LogLine};

const WHAT: &str = "attempts";

fn read(columns: &Columns<'_>) -> Result<Attempt, Fault> {
    Ok(Attempt {
        id: columns.count("id")?,
        node: columns.text("node")?,
        number: columns.count("number")?,
        order: Arc::new(columns.json("ordered")?),
        state: columns.json("state")?,
        progress: columns.json("progress")?,
        clocks: columns.json("clocks")?,
        armed_at: columns.time("armed_at")?,
        revision: columns.count("revision")?,
    })
}

pub async fn one(at: &mut SqliteConnection, id: AttemptId) -> Result<Option<Attempt>, Fault> {
    let row = sqlx::query("SELECT * FROM attempts WHERE id = $1").bind(id).fetch_optional(at).await?;
    row.as_ref().map(|row| read(&Columns::of(row, WHAT))).transpose()
}

pub async fn last(at: &mut SqliteConnection, node: &NodeName) -> Result<Option<Attempt>, Fault> {
    let sql = "SELECT * FROM attempts WHERE node = $1 ORDER BY number DESC LIMIT 1";
    let row = sqlx::query(sql).bind(node.as_str()).fetch_optional(at).await?;
    row.as_ref().map(|row| read(&Columns::of(row, WHAT))).transpose()
}

pub async fn all(at: &mut SqliteConnection, node: Option<&NodeName>) -> Result<Vec<Attempt>, Fault> {
    let query = match node {
        Some(node) => sqlx::query("SELECT * FROM attempts WHERE node = $1 ORDER BY id DESC").bind(node.as_str().to_owned()),
        None => sqlx::query("SELECT * FROM attempts ORDER BY id DESC"),
    };
    let rows = query.fetch_all(at).await?;
    rows.iter().map(|row| read(&Columns::of(row, WHAT))).collect()
}

pub async fn histories(at: &mut SqliteConnection, wanted: &[NodeName]) -> Result<BTreeMap<NodeName, Vec<Attempt>>, Fault> {
    let mut histories = BTreeMap::new();
    for node in wanted {
        if nodes::exists(at, node).await? {
            histories.insert(node.clone(), all(at, Some(node)).await?);
        }
    }
    Ok(histories)
}

pub async fn last_of_each(at: &mut SqliteConnection) -> Result<Vec<Attempt>, Fault> {
    let sql = "SELECT * FROM attempts WHERE number = (SELECT MAX(number) FROM attempts AS own WHERE own.node = attempts.node)";
    let rows = sqlx::query(sql).fetch_all(at).await?;
    let mut attempts = rows.iter().map(|row| read(&Columns::of(row, WHAT))).collect::<Result<Vec<_>, _>>()?;
    attempts.sort_by(|a, b| natural::compare(a.node.as_str(), b.node.as_str()));
    Ok(attempts)
}

pub async fn arm(at: &mut SqliteConnection, node: &NodeName, order: &Order, now: OffsetDateTime) -> Result<Attempt, Fault> {
    must_exist(at, node).await?;
    let last = last(at, node).await?;
    if let Some(last) = last.as_ref().filter(|last| !last.state.is_over()) {
        return Err(Error::Busy { node: node.clone(), number: last.number, state: last.state.name() }.into());
    }
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'attempt' RETURNING value";
    let attempt = Attempt {
        id: sqlx::query(sql).fetch_one(&mut *at).await?.try_get(0)?,
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
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)";
    sqlx::query(sql)
        .bind(attempt.id)
        .bind(node.as_str())
        .bind(i64::from(attempt.number))
        .bind(json(WHAT, &attempt.order)?)
        .bind(json(WHAT, &attempt.state)?)
        .bind(json(WHAT, &attempt.progress)?)
        .bind(json(WHAT, &attempt.clocks)?)
        .bind(nanoseconds(now))
        .bind(attempt.revision)
        .execute(at)
        .await?;
    Ok(attempt)
}

/// An attempt's log goes with it. Always kept are a node's last attempt, since no other can be under way, and the last that was verified, since the
/// node may run from what it ordered.
pub async fn prune(at: &mut SqliteConnection, before: OffsetDateTime, kept: Kept) -> Result<u64, Fault> {
    let sql = "DELETE FROM attempts WHERE id IN (
                   SELECT id FROM (SELECT id, armed_at, ROW_NUMBER() OVER (PARTITION BY node ORDER BY number DESC) AS place FROM attempts)
                   WHERE place > $1 OR (place > $2 AND armed_at < $3))
               AND id NOT IN (SELECT MAX(id) FROM attempts WHERE state = $4 GROUP BY node)";
    let (most, least) = (i64::from(kept.most.max(1)), i64::from(kept.least.max(1)));
    let verified = json(WHAT, &State::Verified)?;
    Ok(sqlx::query(sql).bind(most).bind(least).bind(nanoseconds(before)).bind(verified).execute(at).await?.rows_affected())
}

/// Writes state, progress and clocks; what was ordered never changes.
pub async fn save(at: &mut SqliteConnection, attempt: &Attempt, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "UPDATE attempts SET state = $1, progress = $2, clocks = $3, revision = revision + 1 WHERE id = $4 AND revision = $5";
    let done = sqlx::query(sql)
        .bind(json(WHAT, &attempt.state)?)
        .bind(json(WHAT, &attempt.progress)?)
        .bind(json(WHAT, &attempt.clocks)?)
        .bind(attempt.id)
        .bind(attempt.revision)
        .execute(&mut *at)
        .await?;
    if done.rows_affected() == 0 {
        let exists = sqlx::query("SELECT 1 FROM attempts WHERE id = $1").bind(attempt.id).fetch_optional(at).await?.is_some();
        return Err(if exists { Error::Stale(attempt.id) } else { Error::NoAttempt(attempt.id) }.into());
    }
    write_along(at, attempt.id, along, now).await
}

pub async fn arm_and(at: &mut SqliteConnection, arming: &Arming<'_>, now: OffsetDateTime) -> Result<Attempt, Fault> {
    if let Some(after) = arming.after
        && last(at, arming.node).await?.is_none_or(|last| (last.id, last.revision) != (after.id, after.revision))
    {
        return Err(Error::Stale(after.id).into());
    }
    let armed = arm(at, arming.node, arming.order, now).await?;
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
    write_along(at, armed.id, &along, now).await?;
    Ok(armed)
}

async fn write_along(at: &mut SqliteConnection, id: AttemptId, along: &Along, now: OffsetDateTime) -> Result<(), Fault> {
    log::append_always(at, id, &along.lines).await?;
    events::add(at, &along.events, now).await?;
    for work in &along.works {
        outbox::put(at, work, now).await?;
    }
    Ok(())
}
