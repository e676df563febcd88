//! `kickctl events`.

use std::time::Duration;

use super::context::Context;
use super::exit::Exit;
use super::output::{Format, Record};
use super::text::{harmless, moment};
use crate::app::{self, Store, list_events::list_events, select_nodes};
use crate::domain::name::NodeName;
use crate::domain::nodeset::NodeSet;
use crate::domain::occurrence::Occurrence;

/// What has happened: attempts armed, failed, fallen back, held, verified; nodes switched; rollouts
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl events
  kickctl events @rack1 --last 20
  kickctl events -f -o json | jq -r 'select(.what == \"held\") | .node'

The newest 20000 are kept, for 90 days. With -f and -o json one object a line.")]
pub struct Args {
    /// Those about these nodes only, such as node07, @group
    nodes: Option<NodeSet>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: usize,
    /// Go on as more happens
    #[arg(short, long)]
    follow: bool,
}

impl Record for Occurrence {
    const COLUMNS: &'static [&'static str] = &["seq", "at", "what", "node", "attempt", "text"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.seq.to_string(),
            moment(self.at),
            self.what.to_string(),
            self.node.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.attempt.map(|number| number.to_string()).unwrap_or_default(),
            harmless(&self.text),
        ]
    }

    fn name(&self) -> String {
        self.seq.to_string()
    }
}

/// Runs `kickctl events`.
///
/// # Errors
/// If there is no state, or it cannot be read.
pub async fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let store = context.present_store().await?;
    let nodes = match &args.nodes {
        Some(set) => Some(select_nodes(store, set).await?.into_iter().map(|node| node.name).collect::<Vec<_>>()),
        None => None,
    };
    let (mut found, after) = list_events(store, 0, nodes.as_deref()).await?;
    found.drain(..found.len().saturating_sub(args.last));
    if args.follow {
        return follow(context, store, found, after, nodes.as_deref()).await;
    }
    context.list_or(&found, "nothing has happened yet")?;
    Ok(Exit::Done)
}

async fn follow(
    context: &Context,
    store: &dyn Store,
    mut found: Vec<Occurrence>,
    mut after: u64,
    nodes: Option<&[NodeName]>,
) -> app::Result<Exit> {
    loop {
        for event in &found {
            if !context.print(&line(context, event)?)? {
                return Ok(Exit::Done);
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        (found, after) = list_events(store, after, nodes).await?;
    }
}

fn line(context: &Context, event: &Occurrence) -> app::Result<String> {
    let unwritable = |error: serde_json::Error| app::Error::Io { what: "an event cannot be written as JSON".into(), source: error.into() };
    Ok(match context.globals.output {
        Format::Table => {
            let about = event.node.as_ref().map(|node| format!(" {node}")).unwrap_or_default();
            let attempt = event.attempt.map(|number| format!(" attempt {number}")).unwrap_or_default();
            format!("{}{about}{attempt} {}: {}\n", moment(event.at), event.what, harmless(&event.text))
        }
        Format::Name => format!("{}\n", event.seq),
        Format::Json | Format::Yaml => serde_json::to_string(event).map_err(unwritable)? + "\n",
    })
}
