//! Columns to values and back.

use std::str::FromStr;

use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;

use super::fault::Fault;

/// One row of a kind of record, which the messages name.
pub struct Columns<'a> {
    row: &'a SqliteRow,
    what: &'static str,
}

impl<'a> Columns<'a> {
    /// `what` is the kind of record: `node`, `attempt`.
    pub fn of(row: &'a SqliteRow, what: &'static str) -> Self {
        Self { row, what }
    }

    /// Text that a type reads.
    pub fn text<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<T, Fault> {
        self.parse(column, self.row.try_get(column)?)
    }

    /// Text that a type reads, or NULL.
    pub fn maybe<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<Option<T>, Fault> {
        let text: Option<&str> = self.row.try_get(column)?;
        text.map(|text| self.parse(column, text)).transpose()
    }

    /// JSON.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Fault> {
        let text: &str = self.row.try_get(column)?;
        serde_json::from_str(text).map_err(|error| Fault::Record(self.what, error))
    }

    /// A moment.
    pub fn time(&self, column: &'static str) -> Result<OffsetDateTime, Fault> {
        let nanoseconds: i64 = self.row.try_get(column)?;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds.into()).map_err(|error| self.bad(column, &error))
    }

    /// A number that is never negative.
    pub fn count<T: TryFrom<i64, Error: std::fmt::Display>>(&self, column: &'static str) -> Result<T, Fault> {
        let number: i64 = self.row.try_get(column)?;
        T::try_from(number).map_err(|error| self.bad(column, &error))
    }

    fn parse<T: FromStr<Err: std::fmt::Display>>(&self, column: &str, text: &str) -> Result<T, Fault> {
        text.parse().map_err(|error| self.bad(column, &error))
    }

    fn bad(&self, column: &str, error: &dyn std::fmt::Display) -> Fault {
        Fault::Record(self.what, serde_json::Error::custom(format!("{column}: {error}")))
    }
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
