//! `kickctl logs`.

use std::time::Duration;

use super::context::Context;
use super::exit::Exit;
use super::output::{Format, Record};
use super::text::{harmless, moment};
use crate::app::{self, LogLine, Store};
use crate::domain::name::NodeName;

/// Options of `kickctl logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl logs node07
  kickctl logs node07 -f
  kickctl logs node07 --attempt 2 | grep -i error

With -f it ends when the attempt is over. With -f, -o json prints one object a line.")]
pub struct Args {
    /// Whose
    node: NodeName,
    /// Go on with what comes, until the attempt is over
    #[arg(short, long)]
    follow: bool,
    /// The attempt's number [default: the last]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

/// Lines read at once.
const BATCH: u32 = 1000;

/// Runs `kickctl logs`.
///
/// # Errors
/// If there is no state, the node has no such attempt, or the state cannot be read.
pub async fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let store = context.present_store().await?;
    let attempt = app::find_attempt(store, &args.node, args.attempt).await?;
    let (mut after, mut all) = (0, vec![]);
    loop {
        // Asked before the lines are read: what was written with the last state is among them.
        let over = store.attempt(attempt.id).await?.is_none_or(|attempt| attempt.state.is_over());
        let lines = store.log(attempt.id, after, BATCH).await?;
        let full = lines.len() as u32 == BATCH;
        after = lines.last().map_or(after, |line| line.seq);
        let text: String = match context.globals.output {
            Format::Json | Format::Yaml if args.follow => lines.iter().filter_map(json_line).collect(),
            Format::Table => lines.iter().map(|line| show(line) + "\n").collect(),
            Format::Name => lines.iter().map(|line| harmless(&line.text) + "\n").collect(),
            Format::Json | Format::Yaml => {
                all.extend(lines.into_iter().map(Line));
                String::new()
            }
        };
        if !context.print(&text)? {
            break;
        }
        match (full, args.follow && !over) {
            (true, _) => {}
            (false, true) => tokio::time::sleep(Duration::from_millis(500)).await,
            (false, false) => break,
        }
    }
    if !args.follow && matches!(context.globals.output, Format::Json | Format::Yaml) {
        context.list(&all)?;
    }
    Ok(Exit::Done)
}

fn show(line: &LogLine) -> String {
    format!("{} {}: {}", moment(line.at), harmless(&line.source), harmless(&line.text))
}

fn json_line(line: &LogLine) -> Option<String> {
    Some(serde_json::to_string(line).ok()? + "\n")
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Line(LogLine);

impl Record for Line {
    const COLUMNS: &'static [&'static str] = &["at", "source", "text"];

    fn cells(&self) -> Vec<String> {
        vec![moment(self.0.at), harmless(&self.0.source), harmless(&self.0.text)]
    }

    fn name(&self) -> String {
        harmless(&self.0.text)
    }
}
