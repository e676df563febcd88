//! `kickctl drift`.

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use crate::app::drift::{Drift, drift};
use crate::app::{self, select_nodes};
use crate::domain::nodeset::NodeSet;

/// Which diskless nodes would change at their next boot, and how
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl drift
  kickctl drift @rack3
  kickctl drift -o json | jq -r '.[] | select(.running != .next) | .nodes'

A diskless node keeps the version that it booted until it boots again. What would differ then is told: the version of its image, its
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
    context.list_or(&drift(&head, &nodes).await?, "no node would change at its next boot")?;
    Ok(Exit::Done)
}

impl Record for Drift {
    const COLUMNS: &'static [&'static str] = &["nodes", "count", "image", "running", "next", "changes"];

    fn cells(&self) -> Vec<String> {
        let version =
            |version: &Option<crate::domain::image::VersionId>| version.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        vec![
            self.nodes.clone(),
            self.count.to_string(),
            self.image.as_ref().map(ToString::to_string).unwrap_or_default(),
            version(&self.running),
            version(&self.next),
            self.changes.join("; "),
        ]
    }

    fn name(&self) -> String {
        self.nodes.clone()
    }
}
