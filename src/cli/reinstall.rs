//! `kickctl reinstall`: the word that lets disks be written.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::Exit;
use super::confirm::confirm;
use super::context::Context;
use super::output::Record;
use crate::app::begin_rollout::{Waves, begin_rollout};
use crate::app::list_rollouts::{RolloutReport, find_rollout};
use crate::app::reinstall::reinstall;
use crate::app::{self, AttemptSummary, Error, Head, select_nodes};
use crate::domain::attempt::{Attempt, State};
use crate::domain::name::NodeName;
use crate::domain::nodeset::{NodeSet, fold};
use crate::domain::rollout::{Phase, RolloutState};

/// Installs nodes anew when they next boot over the network; what is on the chosen disk is lost
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kickctl reinstall node07                     arms an attempt; power the node on, or have it reboot
  kickctl reinstall 'node[01-64]' --yes=64     many nodes need their number
  kickctl reinstall node07 --wait              until it is verified (exit 0) or given up (exit 1)
  kickctl reinstall @rack3 --dry-run           what would be installed
  kickctl reinstall 'node[01-64]' --yes=64 --canary 1 --max-parallel 16 --wait
                                               a rollout: node01 alone, then waves of 16

A rollout is carried on by `kickctl serve`, and pauses when nodes fail alike; `kickctl rollout status` shows it. Where the configuration has commands
that drain nodes, every reinstallation is a rollout.")]
pub struct Args {
    /// Nodes, such as node07, node[01-64], @group
    nodes: NodeSet,
    /// The number of nodes, for more than one
    #[arg(long, value_name = "N")]
    yes: Option<usize>,
    /// Switch no node off and on: they are installed when they next boot over the network
    #[arg(long)]
    no_power: bool,
    /// Install this many nodes first, and no other before they are verified
    #[arg(long, value_name = "N")]
    canary: Option<usize>,
    /// Install at most this many nodes at the same time
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    max_parallel: Option<usize>,
    /// Wait until every node is verified, runs its fallback, or is held
    #[arg(long)]
    wait: bool,
    /// With --wait: give up after this many seconds (exit 5)
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// An armed attempt, as it is printed.
#[derive(Serialize)]
struct Armed {
    node: String,
    attempt: u32,
    profile: String,
    mirror: String,
    snapshot: String,
}

impl Record for Armed {
    const COLUMNS: &'static [&'static str] = &["node", "attempt", "profile", "mirror", "snapshot"];
    fn cells(&self) -> Vec<String> {
        vec![self.node.clone(), self.attempt.to_string(), self.profile.clone(), self.mirror.clone(), self.snapshot.clone()]
    }
    fn name(&self) -> String {
        self.node.clone()
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let head = context.head().await?;
    let nodes: Vec<NodeName> = select_nodes(&*head.store, &args.nodes).await?.into_iter().map(|node| node.name).collect();
    if args.canary.is_some() || args.max_parallel.is_some() || !head.config.drains.drain.is_empty() {
        return roll_out(context, args, &head, &nodes).await;
    }
    if args.dry_run {
        reinstall(&head, &nodes, false, true, OffsetDateTime::now_utc()).await?;
        context.note(&format!("{} can be installed; nothing was changed", fold(&nodes)));
        return Ok(Exit::Done);
    }
    confirm_installation(&nodes, args.yes)?;
    let armed = arm(context, &head, &nodes, !args.no_power).await?;
    if args.wait { wait(&head, &armed, args.timeout).await } else { Ok(Exit::Done) }
}

async fn roll_out(context: &Context, args: &Args, head: &Head, nodes: &[NodeName]) -> app::Result<Exit> {
    let max_parallel = args.max_parallel.unwrap_or(nodes.len());
    let waves = Waves { canary: args.canary.unwrap_or(0), max_parallel, cycle: !args.no_power };
    if args.dry_run {
        begin_rollout(head, nodes, waves, true, OffsetDateTime::now_utc()).await?;
        context.note(&format!("{} can be installed in a rollout; nothing was changed", fold(nodes)));
        return Ok(Exit::Done);
    }
    confirm_installation(nodes, args.yes)?;
    let begun = begin_rollout(head, nodes, waves, false, OffsetDateTime::now_utc()).await?;
    context.one(&RolloutReport::of(&begun))?;
    context.note(&format!("rollout {0} is begun. `kickctl rollout status {0}` shows how far it has come", begun.id));
    if args.wait { wait_for_rollout(head, begun.id, args.timeout).await } else { Ok(Exit::Done) }
}

/// Follows a rollout until it is over, or paused.
async fn wait_for_rollout(head: &Head, id: u64, timeout: Option<u64>) -> app::Result<Exit> {
    let begun = std::time::Instant::now();
    let mut told = String::new();
    loop {
        let rollout = find_rollout(&*head.store, Some(id)).await?;
        let report = RolloutReport::of(&rollout);
        let now = format!("rollout {id} is {}: {}", report.state, super::rollout::phases(&report));
        if now != told {
            anstream::eprintln!("{now}");
            told = now;
        }
        let (verified, why) = (rollout.count(&[Phase::Verified]), rollout.why.clone().unwrap_or_default());
        match rollout.state {
            RolloutState::Done if verified == rollout.nodes.len() => return Ok(Exit::Done),
            RolloutState::Done if verified == 0 => return Ok(Exit::Failed),
            RolloutState::Done => return Ok(Exit::Partly),
            RolloutState::Paused => return Err(Error::Partly(format!("rollout {id} is paused: {why}"))),
            RolloutState::Aborted => return Err(Error::Partly(format!("rollout {id} is aborted: {why}"))),
            RolloutState::Running => {}
        }
        if timeout.is_some_and(|limit| begun.elapsed() >= Duration::from_secs(limit)) {
            return Err(Error::TimedOut(format!("rollout {id} is not over: `kickctl rollout status {id}` shows where it stands")));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Asks for the number of nodes whose disks are about to be lost.
pub(super) fn confirm_installation(nodes: &[NodeName], yes: Option<usize>) -> app::Result<()> {
    confirm(&format!("install {} anew and lose what is on the chosen disks", fold(nodes)), nodes.len(), yes)
}

/// Arms the nodes, which somebody confirmed, and tells of it.
pub(super) async fn arm(context: &Context, head: &Head, nodes: &[NodeName], cycle: bool) -> app::Result<Vec<Attempt>> {
    let armed = reinstall(head, nodes, cycle, false, OffsetDateTime::now_utc()).await?;
    context.list(&armed.iter().map(row).collect::<Vec<_>>())?;
    context.note(&format!(
        "{}: armed. Nodes with power control are switched off and on; power on or reboot the others over the network. `kickctl status -w` follows it",
        fold(nodes)
    ));
    Ok(armed)
}

fn row(attempt: &Attempt) -> Armed {
    Armed {
        node: attempt.node.to_string(),
        attempt: attempt.number,
        profile: attempt.order.profile.to_string(),
        mirror: attempt.order.mirror.to_string(),
        snapshot: attempt.order.snapshot.to_string(),
    }
}

/// Follows the nodes through their attempts: a failed one may be tried again.
async fn wait(head: &Head, armed: &[Attempt], timeout: Option<u64>) -> app::Result<Exit> {
    let begun = std::time::Instant::now();
    let mut told = vec![String::new(); armed.len()];
    loop {
        let (mut open, mut failed) = (0, 0);
        for (attempt, told) in armed.iter().zip(&mut told) {
            let Some(now) = head.store.last_attempt(&attempt.node).await? else { continue };
            let name = format!("attempt {} {}", now.number, AttemptSummary::of(&now).state);
            if *told != name {
                anstream::eprintln!("{}: {name}", now.node);
                *told = name;
            }
            open += usize::from(!now.state.is_settled() && now.order.fallback_of.is_none());
            failed += usize::from(now.state != State::Verified || now.order.fallback_of.is_some());
        }
        if open == 0 {
            return Ok(match failed {
                0 => Exit::Done,
                all if all == armed.len() => Exit::Failed,
                _ => Exit::Partly,
            });
        }
        if timeout.is_some_and(|limit| begun.elapsed() >= Duration::from_secs(limit)) {
            return Err(Error::TimedOut(format!(
                "{open} of {} attempts are not over: `kickctl status` shows where they stand",
                armed.len()
            )));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
