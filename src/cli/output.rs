//! Printing: one record type serves the table, JSON, YAML and names alike.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    Table,
    /// JSON; documented in docs/json.md, stable.
    Json,
    /// YAML; the same content.
    Yaml,
    /// Names alone, one a line.
    Name,
}

/// A record that can be printed in every format. Its `Serialize` form is the JSON contract.
pub trait Record: Serialize {
    /// Column titles of the table.
    const COLUMNS: &'static [&'static str];
    /// One cell a column.
    fn cells(&self) -> Vec<String>;
    /// What `-o name` prints.
    fn name(&self) -> String;
}

impl<R: Record> Record for &R {
    const COLUMNS: &'static [&'static str] = R::COLUMNS;
    fn cells(&self) -> Vec<String> {
        (**self).cells()
    }
    fn name(&self) -> String {
        (**self).name()
    }
}

/// Prints a list of records to standard output. JSON and YAML print a list, even of one.
///
/// # Errors
/// If standard output cannot be written to; a reader that went away (`| head`) is no error.
pub fn list<R: Record>(format: Format, records: &[R]) -> io::Result<()> {
    let text = match format {
        Format::Json => json(&records)?,
        Format::Yaml => yaml(&records)?,
        Format::Name => lines(records.iter().map(Record::name)),
        Format::Table if records.is_empty() => String::new(),
        Format::Table => table(R::COLUMNS, records.iter().map(Record::cells)),
    };
    print(&text)
}

/// Prints one record: `-o table` prints `title: value` lines, JSON and YAML print an object.
///
/// # Errors
/// As [`list`].
pub fn one<R: Record>(format: Format, record: &R) -> io::Result<()> {
    let text = match format {
        Format::Json => json(record)?,
        Format::Yaml => yaml(record)?,
        Format::Name => lines(std::iter::once(record.name())),
        Format::Table => {
            let width = R::COLUMNS.iter().map(|title| title.len()).max().unwrap_or(0) + 1;
            let rows = R::COLUMNS.iter().zip(record.cells()).filter(|(_, cell)| !cell.is_empty());
            lines(rows.map(|(title, cell)| {
                let indented = cell.replace('\n', &format!("\n{:width$} ", ""));
                format!("{:width$} {indented}", format!("{title}:"))
            }))
        }
    };
    print(&text)
}

/// Lays out rows without borders, so that they can be cut and grepped.
pub fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|title| title.to_uppercase()));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    lines(table.lines().map(|line| line.trim_end().to_owned()))
}

/// True if progress bars make sense.
pub fn is_interactive() -> bool {
    io::stderr().is_terminal()
}

/// Writes text to standard output; a reader that went away is no error.
///
/// # Errors
/// If standard output cannot be written to for another reason.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn json(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn yaml(value: &impl Serialize) -> io::Result<String> {
    serde_yaml_ng::to_string(value).map_err(io::Error::other)
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.map(|line| line + "\n").collect()
}
