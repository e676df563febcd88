//! `kickctl bench`.

use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::output::{Format, Record};
use crate::app::{self, Error};
use crate::storm::bench::{Outcome, Storm, run as let_loose};
use crate::storm::machine::Pace;
use crate::storm::measure::Figures;

/// Measures what a head carries, on this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[allow(missing_docs, reason = "a text here would replace the one of the arguments' type in --help")]
    Storm(StormArgs),
}

/// Lets simulated nodes boot and be installed at once, and tells how long each kind of request took
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kickctl bench storm                              250, 500, 1,000 and 2,000 nodes
  kickctl bench storm --nodes 64 --seed 7
  kickctl bench storm --nodes 2000 --spread 60 -o json

Needs root and iproute2. Everything happens in two network namespaces and a temporary folder, which are removed afterwards; the configured head is
not touched. Each node speaks DHCP, TFTP, HTTP and syslog to a real `kickctl serve` from its own address: firmware, loader, kernel, the Debian
installer's questions and reports, ten packages, the first boot, the call home. The exit code is 1 if a node was not installed as it should be.")]
struct StormArgs {
    /// How many nodes boot at once; several numbers are measured one after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [250, 500, 1000, 2000],
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=8000))]
    nodes: Vec<usize>,
    /// What is drawn by lot follows from it [default: another one each time]
    #[arg(long, env = "KICKCTL_SEED", value_name = "N")]
    seed: Option<u64>,
    /// The seconds within which all nodes are switched on
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    spread: u64,
}

impl Record for Outcome {
    const COLUMNS: &'static [&'static str] =
        &["nodes", "verified", "wrong", "seconds", "node p50", "node max", "worst p99", "memory", "head CPU", "nodes' CPU"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.nodes.to_string(),
            self.verified.to_string(),
            self.wrong.values().sum::<usize>().to_string(),
            format!("{:.1}", self.total_s),
            format!("{:.1} s", self.node_p50_s),
            format!("{:.1} s", self.node_max_s),
            format!("{:.0} ms", self.worst_p99_ms()),
            format!("{:.0} MiB", self.memory_bytes as f64 / 1_048_576.0),
            format!("{:.1} s", self.head_cpu_s),
            format!("{:.1} s", self.nodes_cpu_s),
        ]
    }

    fn name(&self) -> String {
        self.nodes.to_string()
    }
}

/// A kind of request in a storm, and how it has grown since the first one.
#[derive(Serialize)]
struct Line<'a> {
    nodes: usize,
    #[serde(flatten)]
    figures: &'a Figures,
    growth: Option<f64>,
}

impl Record for Line<'_> {
    const COLUMNS: &'static [&'static str] = &["nodes", "request", "count", "p50", "p99", "max", "MiB", "repeated", "p99 grew"];

    fn cells(&self) -> Vec<String> {
        let ms = |time: f64| format!("{time:.1} ms");
        let figures = self.figures;
        vec![
            self.nodes.to_string(),
            figures.request.to_owned(),
            figures.count.to_string(),
            ms(figures.p50_ms),
            ms(figures.p99_ms),
            ms(figures.max_ms),
            format!("{:.1}", figures.bytes as f64 / 1_048_576.0),
            figures.repeated.to_string(),
            self.growth.map(|growth| format!("{growth:.1} x")).unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        format!("{} {}", self.nodes, self.figures.request)
    }
}

/// Every kind of request in every storm, with its p99 against that in the first.
fn lines(outcomes: &[Outcome]) -> Vec<Line<'_>> {
    let first: &[Figures] = outcomes.first().map_or(&[], |outcome| &outcome.requests);
    let mut lines = vec![];
    for outcome in outcomes {
        for figures in &outcome.requests {
            let before = first.iter().find(|before| before.request == figures.request && before.p99_ms > 0.0);
            lines.push(Line { nodes: outcome.nodes, figures, growth: before.map(|before| figures.p99_ms / before.p99_ms) });
        }
    }
    lines
}

pub(super) fn run(context: &Context, args: &Args) -> app::Result<Exit> {
    let Verb::Storm(args) = &args.verb;
    let failed = |source| Error::Io { what: "the storm could not be let loose".into(), source };
    let program = std::env::current_exe().map_err(failed)?;
    let seed = args.seed.unwrap_or_else(rand::random);
    context.note(&format!("seed {seed} (KICKCTL_SEED={seed} repeats it)"));
    let pace =
        Pace { firmware: Duration::from_secs(2), kernel: Duration::from_secs(5), step: Duration::from_secs(2), late: Duration::ZERO };
    let mut outcomes = vec![];
    for &nodes in &args.nodes {
        let storm = Storm { program: program.clone(), nodes, seed, spread: Duration::from_secs(args.spread), pace };
        outcomes.push(let_loose(&storm).map_err(failed)?);
    }
    context.list(&outcomes)?;
    if context.globals.output == Format::Table {
        context.print("\n")?;
        context.list(&lines(&outcomes))?;
    }
    let wrong = outcomes.iter().any(|outcome| !outcome.wrong.is_empty());
    for outcome in &outcomes {
        for (what, count) in &outcome.wrong {
            context.note(&format!("{} nodes: {count} times: {what}", outcome.nodes));
        }
    }
    Ok(if wrong { Exit::Failed } else { Exit::Done })
}
