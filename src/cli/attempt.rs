//! `kickctl attempt`.

use clap::Subcommand;
use serde::Serialize;
use time::OffsetDateTime;

use super::context::Context;
use super::exit::Exit;
use super::output::{Format, Record};
use super::reinstall::confirm_installation;
use super::text::{harmless, moment};
use crate::app::retry_attempts::retry_attempts;
use crate::app::{self, AttemptReport, AttemptSummary};
use crate::domain::name::NodeName;
use crate::domain::nodeset::{NodeSet, fold};

/// What `kickctl attempt` can do.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List attempts, the newest first
    #[command(after_help = "Examples:
  kickctl attempt list
  kickctl attempt list @rack1 -o json")]
    List {
        /// Whose, such as node[01-64], @group or all
        nodes: Option<NodeSet>,
    },
    /// Show one attempt: its stages with their times, the disks, what the installed system told
    #[command(after_help = "Examples:
  kickctl attempt show node07
  kickctl attempt show node07 --attempt 3 -o json")]
    Show {
        /// Whose
        node: NodeName,
        /// Its number [default: the last]
        #[arg(long, value_name = "N")]
        attempt: Option<u32>,
    },
    /// Try failed installations once more, with what was ordered then; what is on the chosen disks is lost
    #[command(after_help = "Examples:
  kickctl attempt retry node07
  kickctl attempt retry 'node[01-16]' --yes=16
  kickctl attempt retry @rack1 --dry-run

What is ordered by `kickctl reinstall` is what a node is assigned now; this is what it was assigned when it failed. Nodes with power
control are switched off and on; the others have to be booted over the network.")]
    Retry {
        /// Whose, such as node07, @group
        nodes: NodeSet,
        /// The number of nodes, for more than one
        #[arg(long, value_name = "N")]
        yes: Option<usize>,
        /// Show which would be tried again, and try none
        #[arg(long)]
        dry_run: bool,
    },
    /// End the attempts of nodes: they boot their own disks from then on
    #[command(after_help = "Examples:
  kickctl attempt abort node07
  kickctl attempt abort all --dry-run

An installer that runs already is not stopped; it is no longer given a disk to write to, nor its progress believed.")]
    Abort {
        /// Whose, such as node[01-64], @group or all
        nodes: NodeSet,
        /// Show which attempts would be ended, and end none
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs `kickctl attempt`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    let store = context.present_store().await?;
    match args.verb {
        Verb::List { nodes } => {
            let none = nodes.as_ref().map_or_else(|| "no attempts yet".to_owned(), |nodes| format!("no attempts of {nodes} yet"));
            context.list_or(&app::list_attempts(store, nodes.as_ref()).await?, &format!("{none}: kickctl reinstall NODES"))?;
        }
        Verb::Show { node, attempt } => {
            let attempt = app::find_attempt(store, &node, attempt).await?;
            context.one(&Detail(AttemptReport::of(&attempt)))?;
        }
        Verb::Retry { nodes, yes, dry_run } => {
            let head = context.head().await?;
            let nodes = app::select_nodes(store, &nodes).await?;
            let tried = retry_attempts(&head, &nodes, true, OffsetDateTime::now_utc()).await?;
            if dry_run {
                context.list(&tried.iter().map(AttemptSummary::of).collect::<Vec<_>>())?;
                return Ok(Exit::Done);
            }
            confirm_installation(&tried.into_iter().map(|attempt| attempt.node).collect::<Vec<_>>(), yes)?;
            let armed = retry_attempts(&head, &nodes, false, OffsetDateTime::now_utc()).await?;
            context.list(&armed.iter().map(AttemptSummary::of).collect::<Vec<_>>())?;
        }
        Verb::Abort { nodes, dry_run } => {
            let nodes = app::select_nodes(store, &nodes).await?;
            let ended = app::abort_attempts(store, &nodes, dry_run, OffsetDateTime::now_utc()).await?;
            if context.globals.output != Format::Table {
                context.list(&ended.iter().map(AttemptSummary::of).collect::<Vec<_>>())?;
            } else if dry_run || !context.globals.quiet {
                let word = if dry_run { "would end the attempts of" } else { "ended the attempts of" };
                context.print(&format!("{word} {}\n", fold(ended.iter().map(|attempt| &attempt.node))))?;
            }
        }
    }
    Ok(Exit::Done)
}

impl Record for AttemptSummary {
    const COLUMNS: &'static [&'static str] = &["node", "attempt", "state", "percent", "since", "profile", "snapshot", "why"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.node.to_string(),
            self.number.to_string(),
            harmless(&self.state),
            self.percent.map(|percent| format!("{percent} %")).unwrap_or_default(),
            moment(self.since),
            self.profile.to_string(),
            self.snapshot.to_string(),
            self.why.as_deref().map(harmless).unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        format!("{}/{}", self.node, self.number)
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Detail(AttemptReport);

impl Record for Detail {
    const COLUMNS: &'static [&'static str] = &[
        "Node", "Attempt", "State", "Percent", "Why", "Failure", "Evidence", "Profile", "Mirror", "Snapshot", "Armed", "Stages", "Disks",
        "Home",
    ];

    fn cells(&self) -> Vec<String> {
        let (report, own) = (&self.0, &self.0.summary);
        let stages = report.stages.iter().map(|stage| format!("{:>8.1} s  {}", stage.seconds, harmless(&stage.stage)));
        let disks = report.disks.iter().map(|disk| harmless(&format!("{}  {} bytes  {}", disk.path(), disk.size, disk.model)));
        vec![
            own.node.to_string(),
            own.number.to_string(),
            harmless(&own.state),
            own.percent.map(|percent| format!("{percent} %")).unwrap_or_default(),
            own.why.as_deref().map(harmless).unwrap_or_default(),
            own.signature.as_ref().map(ToString::to_string).unwrap_or_default(),
            report.evidence.iter().map(|line| harmless(line)).collect::<Vec<_>>().join("\n"),
            own.profile.to_string(),
            own.mirror.to_string(),
            own.snapshot.to_string(),
            moment(own.armed_at),
            stages.collect::<Vec<_>>().join("\n"),
            disks.collect::<Vec<_>>().join("\n"),
            report.home.as_ref().map(|home| harmless(&home.to_string())).unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        self.0.summary.name()
    }
}
