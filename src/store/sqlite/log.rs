//! Attempts' logs.

use rusqlite::Connection;

use super::fault::Fault;
use super::rows::{Columns, execute, nanoseconds, number, query_all, query_first, query_one};
use crate::domain::attempt::AttemptId;
use crate::store::{Error, LogLine, MAX_LOG_LINES};

const WHAT: &str = "log lines";

/// Appends what strangers send, up to the cap; once that is reached nothing is written any more.
pub fn append(at: &Connection, attempt: AttemptId, lines: &[LogLine]) -> Result<(), Fault> {
    let sql = "SELECT log_full FROM attempts WHERE id = ?1";
    let full: i64 = query_first(at, "attempts", sql, [attempt], |columns| columns.get("log_full"))?.ok_or(Error::NoAttempt(attempt))?;
    if full != 0 {
        return Ok(());
    }
    let room = usize::try_from(MAX_LOG_LINES.saturating_sub(last(at, attempt)?)).unwrap_or(usize::MAX);
    let (kept, dropped) = lines.split_at(lines.len().min(room.saturating_sub(1)));
    append_always(at, attempt, kept)?;
    let Some(first) = dropped.first() else { return Ok(()) };
    let text = format!("further lines of this log were dropped: an attempt keeps {MAX_LOG_LINES}");
    append_always(at, attempt, &[LogLine { seq: 0, at: first.at, source: "kickctl".into(), text }])?;
    execute(at, "UPDATE attempts SET log_full = 1 WHERE id = ?1", [attempt])?;
    Ok(())
}

/// Appends the head's own lines. They are few, and matter most when a flood has filled the log.
pub fn append_always(at: &Connection, attempt: AttemptId, lines: &[LogLine]) -> Result<(), Fault> {
    if lines.is_empty() {
        return Ok(());
    }
    let last = last(at, attempt)?;
    for (seq, line) in (last + 1..).zip(lines) {
        let sql = "INSERT INTO log_lines (attempt, seq, at, source, text) VALUES (?1, ?2, ?3, ?4, ?5)";
        execute(at, sql, (attempt, number(seq), nanoseconds(line.at), &line.source, &line.text))?;
    }
    Ok(())
}

fn last(at: &Connection, attempt: AttemptId) -> Result<u64, Fault> {
    let sql = "SELECT COALESCE(MAX(seq), 0) AS last FROM log_lines WHERE attempt = ?1";
    query_one(at, WHAT, sql, [attempt], |columns| columns.count("last"))
}

pub fn after(at: &Connection, attempt: AttemptId, after: u64, limit: u32) -> Result<Vec<LogLine>, Fault> {
    let sql = "SELECT seq, at, source, text FROM log_lines WHERE attempt = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    query_all(at, WHAT, sql, (attempt, number(after), limit), read)
}

pub fn last_lines(at: &Connection, attempt: AttemptId, limit: u32) -> Result<Vec<LogLine>, Fault> {
    let sql = "SELECT seq, at, source, text FROM log_lines WHERE attempt = ?1 ORDER BY seq DESC LIMIT ?2";
    let mut lines = query_all(at, WHAT, sql, (attempt, limit), read)?;
    lines.reverse();
    Ok(lines)
}

fn read(columns: &Columns<'_>) -> Result<LogLine, Fault> {
    Ok(LogLine { seq: columns.count("seq")?, at: columns.time("at")?, source: columns.get("source")?, text: columns.get("text")? })
}
