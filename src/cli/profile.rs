//! `kickctl profile`.

use clap::Subcommand;

use super::Exit;
use super::context::Context;
use super::output::Record;
use crate::app::assign_profile::{assign_profile, unassign_profile};
use crate::app::{self, select_nodes};
use crate::domain::name::{NodeName, ProfileName, SnapshotId};
use crate::domain::nodeset::{NodeSet, fold};
use crate::domain::profile::Assignment;

/// What profiles there are, and which node shall be what
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Record what nodes shall be, after checking that it can be done; nothing is installed by it
    #[command(after_help = "\
Examples:
  kickctl profile assign node07 debian-13                 then: kickctl reinstall node07
  kickctl profile assign 'node[01-64]' debian-13 --dry-run  check only
  kickctl profile assign @rack3 debian-13 --snapshot 20261121T045300Z-3f9a2c41")]
    Assign {
        /// Nodes, such as node07, node[01-64], @group
        nodes: NodeSet,
        /// The profile
        profile: ProfileName,
        /// Stay on this snapshot instead of following what is published
        #[arg(long, value_name = "ID")]
        snapshot: Option<SnapshotId>,
        /// Check everything and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the profile away; the nodes boot their local disks
    Unassign {
        /// Nodes, such as node07, node[01-64], @group
        nodes: NodeSet,
        /// Change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Record for Assignment {
    const COLUMNS: &'static [&'static str] = &["node", "profile", "snapshot"];
    fn cells(&self) -> Vec<String> {
        let snapshot = self.snapshot.as_ref().map_or_else(|| "published".to_owned(), ToString::to_string);
        vec![self.node.to_string(), self.profile.to_string(), snapshot]
    }
    fn name(&self) -> String {
        self.node.to_string()
    }
}

pub(super) async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    let head = context.head().await?;
    match args.action {
        Action::Assign { nodes, profile, snapshot, dry_run } => {
            let nodes = names(&head, &nodes).await?;
            let made = assign_profile(&head, &nodes, &profile, snapshot.as_ref(), dry_run).await?;
            context.list(&made)?;
            let next = if dry_run { "nothing was changed" } else { "nothing is installed yet: `kickctl reinstall` does that" };
            context.note(&format!("{}: checked for {profile}; {next}", fold(&nodes)));
        }
        Action::Unassign { nodes, dry_run } => {
            let nodes = names(&head, &nodes).await?;
            if !dry_run {
                unassign_profile(&head, &nodes).await?;
            }
            context.note(&format!("{}: {}", fold(&nodes), if dry_run { "would have no profile" } else { "no profile any more" }));
        }
    }
    Ok(Exit::Done)
}

async fn names(head: &app::Head, nodes: &NodeSet) -> app::Result<Vec<NodeName>> {
    Ok(select_nodes(&*head.store, nodes).await?.into_iter().map(|node| node.name).collect())
}
