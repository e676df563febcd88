//! `kickctl power`.

use clap::ValueEnum;

use super::confirm::confirm;
use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use super::text::harmless;
use crate::app::power_nodes::{PowerReport, PowerVerb, power_nodes};
use crate::app::{self, select_nodes};
use crate::domain::nodeset::{NodeSet, fold};

/// Switches nodes on and off, and tells which are on
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl power node07 status
  kickctl power 'node[01-16]' on
  kickctl power @rack1 cycle --yes=16
  kickctl power node07 off --dry-run

`off` and `cycle` ask no running system: they cut the power. `kickctl node set NODES --power` says how nodes are switched.")]
pub struct Args {
    /// Nodes, such as node07, node[01-64], @group
    nodes: NodeSet,
    /// What to do
    verb: Verb,
    /// How many nodes that is; asked for when more than one would be switched off
    #[arg(long, value_name = "N")]
    yes: Option<usize>,
    /// Show which nodes would be switched, and switch none
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verb {
    /// Switch on
    On,
    /// Switch off at once
    Off,
    /// Off, and on after a while
    Cycle,
    /// Tell whether they are on
    Status,
}

impl Record for PowerReport {
    const COLUMNS: &'static [&'static str] = &["node", "power", "state", "problem"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.node.to_string(),
            self.power.to_owned(),
            self.state.map(|state| state.to_string()).unwrap_or_default(),
            self.problem.as_deref().map(harmless).unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        self.node.to_string()
    }
}

/// Runs `kickctl power`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let head = context.head().await?;
    let nodes = select_nodes(&*head.store, &args.nodes).await?;
    let verb = match args.verb {
        Verb::On => PowerVerb::On,
        Verb::Off => PowerVerb::Off,
        Verb::Cycle => PowerVerb::Cycle,
        Verb::Status => PowerVerb::Status,
    };
    let names = fold(nodes.iter().map(|node| &node.name));
    if args.dry_run && verb != PowerVerb::Status {
        context.note(&format!("would switch {names}"));
        return Ok(Exit::Done);
    }
    if matches!(verb, PowerVerb::Off | PowerVerb::Cycle) {
        confirm(&format!("cut the power of {names}"), nodes.len(), args.yes)?;
    }
    let reports = power_nodes(&head, &nodes, verb).await?;
    context.list(&reports)?;
    Ok(match reports.iter().filter(|report| report.problem.is_some()).count() {
        0 => Exit::Done,
        all if all == reports.len() => Exit::Failed,
        _ => Exit::Partly,
    })
}
