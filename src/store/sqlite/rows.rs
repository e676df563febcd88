//! Statements, columns to values and back.
//!
//! Every statement is prepared once for each connection and kept there: making it from its text takes longer than running it.

use std::str::FromStr;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use time::OffsetDateTime;

use super::fault::Fault;

/// One row of a kind of record, which the messages name.
pub struct Columns<'a> {
    row: &'a Row<'a>,
    what: &'static str,
}

impl Columns<'_> {
    /// As SQLite holds it.
    pub fn get<T: FromSql>(&self, column: &'static str) -> Result<T, Fault> {
        Ok(self.row.get(column)?)
    }

    /// Text that a type reads.
    pub fn text<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<T, Fault> {
        self.str(column)?.parse().map_err(|error| self.bad(column, &error))
    }

    /// Text that a type reads, or NULL.
    pub fn maybe<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<Option<T>, Fault> {
        let text = self.row.get_ref(column)?.as_str_or_null().map_err(|error| self.bad(column, &error))?;
        text.map(|text| text.parse().map_err(|error| self.bad(column, &error))).transpose()
    }

    /// JSON.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Fault> {
        serde_json::from_str(self.str(column)?).map_err(|error| Fault::Record(self.what, error))
    }

    /// A moment.
    pub fn time(&self, column: &'static str) -> Result<OffsetDateTime, Fault> {
        let nanoseconds: i64 = self.get(column)?;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds.into()).map_err(|error| self.bad(column, &error))
    }

    /// A number that is never negative.
    pub fn count<T: TryFrom<i64, Error: std::fmt::Display>>(&self, column: &'static str) -> Result<T, Fault> {
        T::try_from(self.get(column)?).map_err(|error| self.bad(column, &error))
    }

    fn str(&self, column: &'static str) -> Result<&str, Fault> {
        self.row.get_ref(column)?.as_str().map_err(|error| self.bad(column, &error))
    }

    fn bad(&self, column: &str, error: &dyn std::fmt::Display) -> Fault {
        Fault::Record(self.what, serde_json::Error::custom(format!("{column}: {error}")))
    }
}

/// All rows that `sql` finds; `what` is the kind of record: `nodes`, `attempts`.
pub fn query_all<T>(
    at: &Connection,
    what: &'static str,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Columns<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = at.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = vec![];
    while let Some(row) = rows.next()? {
        found.push(read(&Columns { row, what })?);
    }
    Ok(found)
}

/// The first row that `sql` finds.
pub fn query_first<T>(
    at: &Connection,
    what: &'static str,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Columns<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = at.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(|row| read(&Columns { row, what })).transpose()
}

/// The row that `sql` always finds.
pub fn query_one<T>(
    at: &Connection,
    what: &'static str,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Columns<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    query_first(at, what, sql, params, read)?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

/// True if `sql` finds something.
pub fn exists(at: &Connection, sql: &str, params: impl Params) -> Result<bool, Fault> {
    Ok(at.prepare_cached(sql)?.exists(params)?)
}

/// Changes something; returns how many rows it changed.
pub fn execute(at: &Connection, sql: &str, params: impl Params) -> Result<usize, Fault> {
    Ok(at.prepare_cached(sql)?.execute(params)?)
}

/// The next number of a counter, which is never given again.
pub fn next_number<T: TryFrom<i64, Error: std::fmt::Display>>(at: &Connection, counter: &str) -> Result<T, Fault> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = ?1 RETURNING value";
    query_one(at, "counters", sql, [counter], |columns| columns.count("value"))
}

/// A value as JSON.
pub fn json(what: &'static str, value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Record(what, error))
}

/// A moment as the tables keep it; years that do not fit (after 2262) become the last moment that does.
pub fn nanoseconds(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// A number as the tables keep it.
pub fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
