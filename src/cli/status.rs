//! `kickctl status`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use time::OffsetDateTime;

use super::context::Context;
use super::exit::Exit;
use super::folded;
use super::output::{Format, Record, table};
use super::rollout::phases;
use super::text::{harmless, moment, span};
use crate::app::{self, AttemptSummary, Status, Store};
use crate::domain::name::NodeName;

/// Options of `kickctl status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl status
  kickctl status -w
  kickctl status -o json

With -w on a terminal the picture is drawn anew every second; into a pipe or a file goes a line for each change.")]
pub struct Args {
    /// Go on watching
    #[arg(short, long)]
    watch: bool,
}

/// Runs `kickctl status`.
///
/// # Errors
/// If there is no state, or it cannot be read.
pub async fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let store = context.present_store().await?;
    let told = app::show_status(store, &context.data).await?;
    if !args.watch {
        print(context, &told)?;
    } else if std::io::stdout().is_terminal() && context.globals.output == Format::Table {
        redraw(context, store, told).await?;
    } else {
        follow(context, store, told).await?;
    }
    Ok(Exit::Done)
}

const SECOND: Duration = Duration::from_secs(1);

/// Draws the picture anew every second.
async fn redraw(context: &Context, store: &dyn Store, mut told: Status) -> app::Result<()> {
    // Home, then erase: in one write, so that it does not flicker.
    while context.print(&format!("\x1b[H\x1b[2J{}", picture(&told)))? {
        tokio::time::sleep(SECOND).await;
        told = app::show_status(store, &context.data).await?;
    }
    Ok(())
}

/// Prints the picture once, then what changes.
async fn follow(context: &Context, store: &dyn Store, mut told: Status) -> app::Result<()> {
    let mut read = print(context, &told)?;
    while read {
        tokio::time::sleep(SECOND).await;
        let now = app::show_status(store, &context.data).await?;
        if now.differs(&told) {
            read = if context.globals.output == Format::Table { context.print(&changes(&told, &now))? } else { print(context, &now)? };
        }
        told = now;
    }
    Ok(())
}

impl Record for Status {
    const COLUMNS: &'static [&'static str] = &[];

    fn cells(&self) -> Vec<String> {
        vec![]
    }

    fn name(&self) -> String {
        self.attempts.iter().map(|attempt| attempt.node.to_string()).collect::<Vec<_>>().join("\n")
    }
}

/// False if nobody reads any more.
fn print(context: &Context, status: &Status) -> app::Result<bool> {
    match context.globals.output {
        Format::Table => context.print(&picture(status)),
        Format::Name if status.attempts.is_empty() => Ok(true),
        _ => context.one(status).map(|()| true),
    }
}

fn picture(status: &Status) -> String {
    let states = status.states.iter().map(|line| vec![line.state.clone(), line.count.to_string(), line.nodes.clone()]);
    let now = OffsetDateTime::now_utc();
    let mut text = match status.states.is_empty() {
        true => "there are no nodes yet: `kickctl node add` and `kickctl node import` make some\n".to_owned(),
        false => table(&["state", "count", "nodes"], states),
    };
    if !status.attempts.is_empty() {
        text += "\n";
        text += &table(&folded::COLUMNS, folded::rows(&status.attempts, now).into_iter());
    }
    if !status.running.is_empty() {
        let running = status.running.iter().map(|own| {
            let ago = |moment: Option<OffsetDateTime>| moment.map_or_else(|| "-".to_owned(), |moment| span(now - moment));
            let silent = if own.is_silent(now) { "silent" } else { "" };
            vec![own.node.to_string(), own.image.to_string(), own.version.to_string(), ago(own.up_since), ago(own.last_seen), silent.into()]
        });
        text += "\n";
        text += &table(&["node", "image", "version", "up", "seen before", ""], running);
    }
    for rollout in &status.rollouts {
        text += &format!("\nrollout {} is {}: {}", rollout.id, rollout.state, phases(rollout));
        text += &rollout.why.as_deref().map(|why| format!("; {}\n", harmless(why))).unwrap_or_else(|| "\n".into());
    }
    for mirror in &status.mirrors {
        if mirror.held {
            text += &format!("\nmirror {0} is held by a rollback: `kickctl mirror publish {0}` releases it\n", mirror.name);
        }
        if let (Some(at), Some(problem)) = (mirror.failed_at, &mirror.problem) {
            let (at, problem) = (moment(at), problem.lines().map(harmless).collect::<Vec<_>>().join("\n  "));
            text += &format!("\nmirror {} was not refreshed at {at}; what was published stays: {problem}\n", mirror.name);
        }
    }
    if status.discovered > 0 {
        text += &format!("\ndiscovered machines that wait for `kickctl node approve`: {}\n", status.discovered);
    }
    text
}

fn percent(attempt: &AttemptSummary) -> String {
    attempt.percent.map(|percent| format!("{percent} %")).unwrap_or_default()
}

/// A line for each attempt that is not as it was. One that left the list without a reason has succeeded.
fn changes(before: &Status, after: &Status) -> String {
    let by_node = |status: &Status| -> BTreeMap<NodeName, AttemptSummary> {
        status.attempts.iter().map(|attempt| (attempt.node.clone(), attempt.clone())).collect()
    };
    let (before, after) = (by_node(before), by_node(after));
    let time = moment(OffsetDateTime::now_utc());
    let mut text = String::new();
    for (node, attempt) in &after {
        if before.get(node) != Some(attempt) {
            let why = attempt.why.as_deref().map(|why| format!(": {}", harmless(why))).unwrap_or_default();
            text += format!("{time} {node} attempt {} {} {}", attempt.number, harmless(&attempt.state), percent(attempt)).trim_end();
            text += &format!("{why}\n");
        }
    }
    for (node, attempt) in before.iter().filter(|(node, _)| !after.contains_key(node)) {
        text += &format!("{time} {node} attempt {} verified\n", attempt.number);
    }
    text
}
