//! `kickctl rollout`.

use clap::Subcommand;
use time::OffsetDateTime;

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use super::text::{harmless, moment};
use crate::app;
use crate::app::list_rollouts::{RolloutReport, find_rollout, list_rollouts};
use crate::app::steer_rollout::{Steer, steer_rollout};

/// What `kickctl rollout` can do.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List rollouts, the newest first
    #[command(after_help = "Examples:
  kickctl rollout list
  kickctl rollout list -o json")]
    List,
    /// Show how far a rollout has come, and why it is paused
    #[command(after_help = "Examples:
  kickctl rollout status
  kickctl rollout status 3 -o json")]
    Status {
        /// Its number [default: the one that is not over, else the newest]
        rollout: Option<u64>,
    },
    /// Begin no further node until it is resumed; those under way go on
    #[command(after_help = "Examples:
  kickctl rollout pause
  kickctl rollout pause 3 --dry-run")]
    Pause(Which),
    /// Go on; what has failed so far counts no more for the breaker
    #[command(after_help = "Examples:
  kickctl rollout resume
  kickctl rollout resume 3 --dry-run")]
    Resume(Which),
    /// Begin no further node, ever; those under way go on, those that are drained only are given back
    #[command(after_help = "Examples:
  kickctl rollout abort
  kickctl rollout abort 3 --dry-run")]
    Abort(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its number [default: the one that is not over]
    rollout: Option<u64>,
    /// Show what it would be, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Record for RolloutReport {
    const COLUMNS: &'static [&'static str] = &["Rollout", "State", "Why", "Begun", "Nodes", "First", "At most", "Phases", "Not begun"];

    fn cells(&self) -> Vec<String> {
        let phases = self.phases.iter().map(|line| format!("{:8} {:>4}  {}", line.phase, line.count, line.nodes));
        let refused = self.refused.iter().map(|(node, why)| format!("{node}: {}", harmless(why)));
        vec![
            self.id.to_string(),
            self.state.to_string(),
            self.why.as_deref().map(harmless).unwrap_or_default(),
            moment(self.begun_at),
            format!("{} ({})", self.nodes, self.count),
            self.canary.to_string(),
            format!("{} at a time", self.max_parallel),
            phases.collect::<Vec<_>>().join("\n"),
            refused.collect::<Vec<_>>().join("\n"),
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

/// As a row of a list.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Row(RolloutReport);

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["rollout", "state", "begun", "nodes", "phases", "why"];

    fn cells(&self) -> Vec<String> {
        let own = &self.0;
        let (begun, why) = (moment(own.begun_at), own.why.as_deref().map(harmless).unwrap_or_default());
        vec![own.id.to_string(), own.state.to_string(), begun, own.nodes.clone(), phases(own), why]
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

/// How many nodes are in each phase, on one line.
pub(super) fn phases(own: &RolloutReport) -> String {
    own.phases.iter().map(|line| format!("{} {}", line.count, line.phase)).collect::<Vec<_>>().join(", ")
}

/// Runs `kickctl rollout`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    let (which, steer) = match args.verb {
        Verb::List => {
            let rows: Vec<Row> = list_rollouts(context.present_store().await?).await?.into_iter().map(Row).collect();
            context.list_or(&rows, "no rollouts yet: kickctl reinstall NODES --max-parallel N")?;
            return Ok(Exit::Done);
        }
        Verb::Status { rollout } => {
            let store = context.present_store().await?;
            context.one(&RolloutReport::of(&find_rollout(store, rollout).await?))?;
            return Ok(Exit::Done);
        }
        Verb::Pause(which) => (which, Steer::Pause),
        Verb::Resume(which) => (which, Steer::Resume),
        Verb::Abort(which) => (which, Steer::Abort),
    };
    let head = context.head().await?;
    let rollout = steer_rollout(&head, which.rollout, steer, which.dry_run, OffsetDateTime::now_utc()).await?;
    context.one(&RolloutReport::of(&rollout))?;
    Ok(Exit::Done)
}
