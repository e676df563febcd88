//! The command line: parses, calls one use case, prints. One file a noun.

pub mod attempt;
pub mod bench;
mod completions;
pub mod confirm;
pub mod context;
mod deferred;
mod doctor;
pub mod drift;
pub mod events;
mod exit;
pub mod explain;
mod export;
mod folded;
mod group;
mod image;
mod init;
pub mod logs;
pub mod mirror;
pub mod node;
pub mod output;
pub mod power;
pub mod profile;
mod progress;
pub mod reinstall;
pub mod rollout;
pub mod serve;
pub mod status;
pub mod text;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use context::Context;
use deferred::Deferred;
pub use exit::Exit;
use output::Format;

use tokio::runtime::{self, Runtime};
use tracing_subscriber::EnvFilter;

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
    Node(Deferred<node::Args>),
    /// List groups of nodes, and set variables for all nodes of a group
    Group(Deferred<group::Args>),
    /// Copy distributions, keep them current, and publish them to the nodes
    Mirror(Deferred<mirror::Args>),
    /// Build, publish, change and compare the roots of diskless nodes
    Image(Deferred<image::Args>),
    /// List, show, retry and end attempts to provision a node
    Attempt(Deferred<attempt::Args>),
    #[allow(missing_docs, reason = "a text here would replace the one of the arguments' type in --help")]
    Reinstall(reinstall::Args),
    /// List, show, pause, resume and abort reinstallations of many nodes in waves
    Rollout(Deferred<rollout::Args>),
    #[allow(missing_docs, reason = "as above")]
    Serve(serve::Args),
    /// List, show, check, render and assign profiles
    Profile(Deferred<profile::Args>),
    /// Why a node is what it is: every variable with the layer that set it, and what it would boot now
    Explain(explain::Args),
    /// Where the whole cluster stands
    Status(status::Args),
    #[allow(missing_docs, reason = "a text here would replace the one of the arguments' type in --help")]
    Drift(drift::Args),
    #[allow(missing_docs, reason = "a text here would replace the one of the arguments' type in --help")]
    Events(events::Args),
    #[allow(missing_docs, reason = "as above")]
    Power(power::Args),
    /// What was logged during an attempt: by the head, and by the installer over syslog
    Logs(logs::Args),
    #[allow(missing_docs, reason = "a text here would replace the one of the arguments' type in --help")]
    Init(init::Init),
    #[allow(missing_docs, reason = "as above")]
    Doctor(doctor::Doctor),
    #[allow(missing_docs, reason = "as above")]
    Export(export::Export),
    /// Measure what a head carries, on this machine
    Bench(bench::Args),
    #[allow(missing_docs, reason = "as above")]
    Completions(completions::Completions),
}

/// Runs one command.
///
/// # Errors
/// Whatever the use case failed with.
pub fn run(cli: Cli) -> app::Result<Exit> {
    start_log(&cli);
    match cli.command {
        // It binds its sockets and drops privileges before there are threads.
        Command::Serve(_) => serve::run(&Context::new(&cli.globals)?),
        // It enters namespaces, which belong to threads, and has a runtime of its own there.
        Command::Bench(args) => bench::run(&Context::new(&cli.globals)?, &args),
        // It computes, on threads of another kind.
        Command::Mirror(Deferred(ref args)) if args.only_computes() => {
            started(runtime::Builder::new_current_thread())?.block_on(dispatch(cli))
        }
        _ => runtime()?.block_on(dispatch(cli)),
    }
}

/// The daemon tells what it does; other commands print their results and tell only what went wrong on the way.
fn start_log(cli: &Cli) {
    let usual = i8::from(matches!(cli.command, Command::Serve(_))) + 1;
    let level = match usual + i8::try_from(cli.globals.verbose).unwrap_or(i8::MAX - 2) - 2 * i8::from(cli.globals.quiet) {
        ..=0 => "error",
        1 => "warn",
        2 => "info",
        3 => "kickctl=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("KICKCTL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

async fn dispatch(cli: Cli) -> app::Result<Exit> {
    let globals = &cli.globals;
    match cli.command {
        // These come before there is a configuration, or read it themselves.
        Command::Init(args) => init::run(globals, args).await,
        Command::Doctor(args) => doctor::run(globals, args).await,
        Command::Export(args) => export::run(globals, args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Node(Deferred(args)) => with(globals, async |context| node::run(context, args).await).await,
        Command::Group(Deferred(args)) => with(globals, async |context| group::run(context, args).await).await,
        Command::Mirror(Deferred(args)) => with(globals, async |context| mirror::run(context, args).await).await,
        Command::Image(Deferred(args)) => with(globals, async |context| image::run(context, args).await).await,
        Command::Attempt(Deferred(args)) => with(globals, async |context| attempt::run(context, args).await).await,
        Command::Profile(Deferred(args)) => with(globals, async |context| profile::run(context, args).await).await,
        Command::Explain(args) => with(globals, async |context| explain::run(context, &args).await).await,
        Command::Reinstall(args) => with(globals, async |context| reinstall::run(context, &args).await).await,
        Command::Rollout(Deferred(args)) => with(globals, async |context| rollout::run(context, args).await).await,
        Command::Status(args) => with(globals, async |context| status::run(context, &args).await).await,
        Command::Drift(args) => with(globals, async |context| drift::run(context, &args).await).await,
        Command::Events(args) => with(globals, async |context| events::run(context, &args).await).await,
        Command::Power(args) => with(globals, async |context| power::run(context, &args).await).await,
        Command::Logs(args) => with(globals, async |context| logs::run(context, &args).await).await,
        Command::Serve(_) | Command::Bench(_) => Ok(Exit::Done),
    }
}

/// Runs a command that works with the state, and closes the state after it.
async fn with(globals: &Globals, command: impl AsyncFnOnce(&Context) -> app::Result<Exit>) -> app::Result<Exit> {
    let context = Context::new(globals)?;
    let done = command(&context).await;
    context.close().await;
    done
}

fn runtime() -> app::Result<Runtime> {
    started(runtime::Builder::new_multi_thread())
}

fn started(mut builder: runtime::Builder) -> app::Result<Runtime> {
    builder.enable_all().build().map_err(|source| app::Error::Io { what: "threads cannot be started".into(), source })
}

/// Standard output failed, as on a full disk.
fn no_output(source: std::io::Error) -> app::Error {
    app::Error::Io { what: "cannot write to standard output".into(), source }
}
