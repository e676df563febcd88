//! `kickctl group`.

use clap::Subcommand;
use serde_json::Value;

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use super::text::assignments;
use crate::app::{self, GroupReport, VariablePath};
use crate::domain::name::GroupName;

/// What `kickctl group` can do.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List groups with their nodes and variables
    #[command(after_help = "Examples:
  kickctl group list
  kickctl group list -o json | jq '.[] | select(.name == \"rack1\").variables'

Nodes join and leave with `kickctl node set --group` and `--ungroup`.")]
    List,
    /// Set variables for every node of a group, above the profile's and below the node's own
    #[command(after_help = "Examples:
  kickctl group set rack1 --set timezone=Europe/Berlin
  kickctl group set database --set 'packages=[\"postgresql\"]' --dry-run
  kickctl group set rack1 --unset timezone")]
    Set {
        /// The group; it need not have nodes yet
        group: GroupName,
        /// Set a variable, such as disk.pick=smallest; the value is JSON if it reads as JSON, else text
        #[arg(long, value_name = "KEY=VALUE", value_parser = app::setting)]
        set: Vec<(VariablePath, Value)>,
        /// Forget a variable
        #[arg(long, value_name = "KEY")]
        unset: Vec<VariablePath>,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Record for GroupReport {
    const COLUMNS: &'static [&'static str] = &["name", "count", "nodes", "variables"];
    fn cells(&self) -> Vec<String> {
        vec![self.name.to_string(), self.count.to_string(), self.nodes.clone(), assignments(&self.variables)]
    }
    fn name(&self) -> String {
        self.name.to_string()
    }
}

/// Runs `kickctl group`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    match args.verb {
        Verb::List => {
            let groups = app::list_groups(context.present_store().await?).await?;
            context.list_or(&groups, "no groups yet: kickctl node set NODES --group NAME, or kickctl group set NAME --set KEY=VALUE")?;
        }
        Verb::Set { group, set, unset, dry_run } => {
            let variables = app::set_group(context.store().await?, &group, &set, &unset, dry_run).await?;
            let told = if variables.0.is_empty() { "no variables".to_owned() } else { assignments(&variables) };
            context.note(&format!("group {group}{}: {told}", if dry_run { " would have" } else { "" }));
        }
    }
    Ok(Exit::Done)
}
