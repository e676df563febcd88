//! Attempts' logs.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::fault::Fault;
use super::rows::{Columns, nanoseconds, number};
use crate::domain::attempt::AttemptId;
use crate::store::{Error, LogLine, MAX_LOG_LINES};

/// Appends what strangers send, up to the cap; once that is reached nothing is written any more.
pub async fn append(at: &mut SqliteConnection, attempt: AttemptId, lines: &[LogLine]) -> Result<(), Fault> {
    let row = sqlx::query("SELECT log_full FROM attempts WHERE id = $1").bind(attempt).fetch_optional(&mut *at).await?;
    let full: i64 = row.ok_or(Error::NoAttempt(attempt))?.try_get(0)?;
    if full != 0 {
        return Ok(());
    }
    let room = usize::try_from(MAX_LOG_LINES.saturating_sub(last(at, attempt).await?)).unwrap_or(usize::MAX);
    let (kept, dropped) = lines.split_at(lines.len().min(room.saturating_sub(1)));
    append_always(at, attempt, kept).await?;
    let Some(first) = dropped.first() else { return Ok(()) };
    let text = format!("further lines of this log were dropped: an attempt keeps {MAX_LOG_LINES}");
    append_always(at, attempt, &[LogLine { seq: 0, at: first.at, source: "kickctl".into(), text }]).await?;
    sqlx::query("UPDATE attempts SET log_full = 1 WHERE id = $1").bind(attempt).execute(at).await?;
    Ok(())
}

/// Appends the head's own lines. They are few, and matter most when a flood has filled the log.
pub async fn append_always(at: &mut SqliteConnection, attempt: AttemptId, lines: &[LogLine]) -> Result<(), Fault> {
    if lines.is_empty() {
        return Ok(());
    }
    let last = last(at, attempt).await?;
    for (seq, line) in (last + 1..).zip(lines) {
        sqlx::query("INSERT INTO log_lines (attempt, seq, at, source, text) VALUES ($1, $2, $3, $4, $5)")
            .bind(attempt)
            .bind(number(seq))
            .bind(nanoseconds(line.at))
            .bind(&line.source)
            .bind(&line.text)
            .execute(&mut *at)
            .await?;
    }
    Ok(())
}

async fn last(at: &mut SqliteConnection, attempt: AttemptId) -> Result<u64, Fault> {
    let sql = "SELECT COALESCE(MAX(seq), 0) AS last FROM log_lines WHERE attempt = $1";
    let row = sqlx::query(sql).bind(attempt).fetch_one(at).await?;
    Columns::of(&row, "log lines").count("last")
}

pub async fn after(at: &mut SqliteConnection, attempt: AttemptId, after: u64, limit: u32) -> Result<Vec<LogLine>, Fault> {
    let sql = "SELECT seq, at, source, text FROM log_lines WHERE attempt = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let rows = sqlx::query(sql).bind(attempt).bind(number(after)).bind(i64::from(limit)).fetch_all(at).await?;
    rows.iter().map(read).collect()
}

pub async fn last_lines(at: &mut SqliteConnection, attempt: AttemptId, limit: u32) -> Result<Vec<LogLine>, Fault> {
    let sql = "SELECT seq, at, source, text FROM log_lines WHERE attempt = $1 ORDER BY seq DESC LIMIT $2";
    let rows = sqlx::query(sql).bind(attempt).bind(i64::from(limit)).fetch_all(at).await?;
    rows.iter().rev().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<LogLine, Fault> {
    let columns = Columns::of(row, "log lines");
    Ok(LogLine { seq: columns.count("seq")?, at: columns.time("at")?, source: row.try_get("source")?, text: row.try_get("text")? })
}
