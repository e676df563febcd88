//! `kickctl drift`.

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use crate::app::drift::{Drift, drift};
use crate::app::{self, select_nodes};
use crate::domain::nodeset::NodeSet;

/// Which nodes would change at their next boot or reinstallation, and how
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl drift
  kickctl drift @rack3
  kickctl drift -o json | jq -r '.[] | select(.advisories.critical) | .nodes'

A diskless node keeps the version that it booted until it boots again; an installed node what it was installed from, until it is reinstalled or
upgrades itself. Told is what would differ then: the version of its image or the snapshot, packages and advisories that it is behind, its
profile, its variables. Nodes that would change alike share a line.")]
pub struct Args {
    /// Nodes, such as node07, node[01-64], @group [default: all]
    nodes: Option<NodeSet>,
}

/// Runs `kickctl drift`.
///
/// # Errors
/// If the state cannot be read.
pub async fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let head = context.head().await?;
    let nodes = match &args.nodes {
        Some(set) => select_nodes(&*head.store, set).await?,
        None => head.store.nodes().await?,
    };
    context.list_or(&drift(&head, &nodes).await?, "no node would change")?;
    Ok(Exit::Done)
}

impl Record for Drift {
    const COLUMNS: &'static [&'static str] = &["nodes", "count", "from", "running", "next", "by", "packages", "advisories", "changes"];

    fn cells(&self) -> Vec<String> {
        let own = &self.what;
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
        let from = own.image.as_ref().map(ToString::to_string).or_else(|| own.mirror.as_ref().map(ToString::to_string));
        let advisories: Vec<String> = own.behind.advisories.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
        vec![
            self.nodes.clone(),
            self.count.to_string(),
            from.unwrap_or_default(),
            version(&own.running),
            version(&own.next),
            own.by.to_string(),
            own.behind.packages.to_string(),
            advisories.join(", "),
            own.changes.join("; "),
        ]
    }

    fn name(&self) -> String {
        self.nodes.clone()
    }
}
