//! `kickctl explain`.

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use super::profile::line;
use crate::app;
use crate::app::explain_node::{Explanation, explain_node};
use crate::domain::name::{NodeName, ProfileName};

/// Options of `kickctl explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl explain node07
  kickctl explain node07 --profile web-server
  kickctl explain node07 -o json | jq -r '.variables[] | select(.layer | startswith(\"group\")) | .variable'")]
pub struct Args {
    /// Which node
    node: NodeName,
    /// Under this profile [default: the one it is assigned]
    #[arg(long)]
    profile: Option<ProfileName>,
}

/// Runs `kickctl explain`.
///
/// # Errors
/// If there is no such node, or no profile for it.
pub async fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let head = context.head().await?;
    let told = explain_node(&head, &args.node, args.profile.as_ref()).await?;
    context.one(&told)?;
    Ok(if told.problems.is_empty() { Exit::Done } else { Exit::Refused })
}

impl Record for Explanation {
    const COLUMNS: &'static [&'static str] = &["Node", "Profile", "Boots", "Variables", "Problems"];

    fn cells(&self) -> Vec<String> {
        let chain: Vec<&str> = self.chain.iter().map(ProfileName::as_str).collect();
        vec![
            self.node.to_string(),
            chain.join(" -> "),
            format!("{}: {}", self.boots, self.because),
            self.variables.iter().map(line).collect::<Vec<_>>().join("\n"),
            self.problems.join("\n"),
        ]
    }

    fn name(&self) -> String {
        self.node.to_string()
    }
}
