//! `kickctl completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, output};
use crate::app;

/// Write a shell's completion script
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kickctl completions bash > /etc/bash_completion.d/kickctl
  kickctl completions zsh > /usr/local/share/zsh/site-functions/_kickctl
  kickctl completions fish > ~/.config/fish/completions/kickctl.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
    shell: Shell,
}

pub(super) fn run(args: &Completions) -> app::Result<Exit> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "kickctl", &mut script);
    output::print(&String::from_utf8_lossy(&script)).map_err(super::no_output)?;
    Ok(Exit::Done)
}
