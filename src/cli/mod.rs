//! The command line: parses, calls one use case, prints. One file a noun.

pub mod attempt;
mod completions;
pub mod confirm;
pub mod context;
mod doctor;
mod exit;
pub mod explain;
mod export;
mod init;
pub mod logs;
pub mod node;
pub mod output;
pub mod profile;
pub mod status;
pub mod text;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use context::Context;
pub use exit::Exit;
use output::Format;

use crate::app;

/// One head node gives a whole cluster its operating systems.
#[derive(Debug, Parser)]
#[command(name = "kickctl", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Globals {
    /// How to print: a table for people, json or yaml for programs, or names alone
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = "Global options")]
    pub output: Format,
    /// Configuration file [default: kickctl.toml in the data folder, else /etc/kickctl/kickctl.toml]
    #[arg(long, global = true, value_name = "FILE", env = "KICKCTL_CONFIG", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Data folder: state, mirrors, keys [default: what the configuration says, else /var/lib/kickctl]
    #[arg(long, global = true, value_name = "DIR", env = "KICKCTL_DATA", help_heading = "Global options")]
    pub data: Option<PathBuf>,
    /// Say more; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,
}

/// The commands; each noun's are in a file of its own.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add, list, show, change, remove, import, export and approve nodes
    Node(node::Args),
    /// List, show and end attempts to provision a node
    Attempt(attempt::Args),
    /// List, show, check and render profiles
    Profile(profile::Args),
    /// Why a node is what it is: every variable with the layer that set it, and what it would boot now
    Explain(explain::Args),
    /// Where the whole cluster stands
    Status(status::Args),
    /// What was logged during an attempt: by the head, and by the installer over syslog
    Logs(logs::Args),
    #[allow(missing_docs, reason = "a text here would replace the one of the arguments' type in --help")]
    Init(init::Init),
    #[allow(missing_docs, reason = "as above")]
    Doctor(doctor::Doctor),
    #[allow(missing_docs, reason = "as above")]
    Export(export::Export),
    #[allow(missing_docs, reason = "as above")]
    Completions(completions::Completions),
}

/// Runs one command.
///
/// # Errors
/// Whatever the use case failed with.
pub fn run(cli: Cli) -> app::Result<Exit> {
    runtime()?.block_on(dispatch(cli))
}

async fn dispatch(cli: Cli) -> app::Result<Exit> {
    let context = Context::new(&cli.globals)?;
    let done = match cli.command {
        Command::Node(args) => node::run(&context, args).await,
        Command::Attempt(args) => attempt::run(&context, args).await,
        Command::Profile(args) => profile::run(&context, args).await,
        Command::Explain(args) => explain::run(&context, &args).await,
        Command::Status(args) => status::run(&context, &args).await,
        Command::Logs(args) => logs::run(&context, &args).await,
        Command::Init(args) => init::run(&cli.globals, args).await,
        Command::Doctor(args) => doctor::run(&cli.globals, args).await,
        Command::Export(args) => export::run(&cli.globals, args).await,
        Command::Completions(args) => completions::run(&args),
    };
    context.close().await;
    done
}

fn runtime() -> app::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| app::Error::Io { what: "threads cannot be started".into(), source })
}

/// Standard output failed, as on a full disk.
fn no_output(source: std::io::Error) -> app::Error {
    app::Error::Io { what: "cannot write to standard output".into(), source }
}
