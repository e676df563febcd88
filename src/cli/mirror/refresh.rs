//! `kickctl mirror refresh`.

use crate::app;
use crate::app::list_mirrors::list_mirrors;
use crate::app::refresh_mirror::{RefreshReport, refresh_mirror};
use crate::app::sync_mirror::SyncOptions;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Format, Record};
use crate::cli::progress::{progress, size};
use crate::domain::name::MirrorName;

/// Packages that are told one by one; the rest is counted.
const SHOWN: usize = 40;

/// Options of `kickctl mirror refresh`.
#[derive(Debug, clap::Args)]
pub struct Refresh {
    /// The mirrors
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<MirrorName>,
    /// All mirrors that have published something
    #[arg(long)]
    all: bool,
    /// Say how much would be fetched, and make no snapshot
    #[arg(long)]
    dry_run: bool,
    /// Leave out packages that upstream names but does not have, and list them
    #[arg(long)]
    allow_missing: bool,
    /// Make the snapshot, but do not publish it
    #[arg(long)]
    no_publish: bool,
}

/// Runs it.
///
/// # Errors
/// Whatever the use case failed with; with several mirrors each is tried.
pub async fn run(context: &Context, args: Refresh) -> app::Result<Exit> {
    let names = if args.all {
        list_mirrors(&context.data)?.into_iter().filter(|mirror| mirror.published.is_some()).map(|mirror| mirror.name).collect()
    } else {
        args.names
    };
    let options = SyncOptions {
        dry_run: args.dry_run,
        allow_missing: args.allow_missing,
        no_publish: args.no_publish,
        parallel: context.parallel(),
        updates_only: true,
    };
    let (mut lines, mut failures) = (Vec::new(), Vec::new());
    for name in &names {
        match refresh_mirror(&context.data, name, options, progress(name.as_str(), context.globals.quiet)).await {
            Ok(report) => {
                tell(context, &report);
                lines.push(report);
            }
            Err(error) => failures.push((name, error)),
        }
    }
    if !context.globals.quiet || context.globals.output != Format::Table {
        context.list(&lines)?;
    }
    super::finish(names.len(), failures)
}

/// What a table has no room for: the packages, one a line.
fn tell(context: &Context, report: &RefreshReport) {
    if context.globals.output != Format::Table {
        return;
    }
    let name = &report.refresh.name;
    for step in report.packages.iter().take(SHOWN) {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
        context.note(&format!("{name}: {} {} {} -> {}", step.name, step.arch, version(&step.before), version(&step.after)));
    }
    if report.packages.len() > SHOWN {
        context.note(&format!("{name}: and {} more (-o json tells all)", report.packages.len() - SHOWN));
    }
    report.left_out.iter().for_each(|left_out| context.note(&format!("{name}: left out: {left_out}")));
}

impl Record for RefreshReport {
    const COLUMNS: &'static [&'static str] = &["mirror", "result", "snapshot", "added", "superseded", "advisories", "fetched"];

    fn cells(&self) -> Vec<String> {
        let refresh = &self.refresh;
        let advisories: Vec<String> = refresh.advisories.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
        vec![
            refresh.name.to_string(),
            refresh.result.clone(),
            refresh.snapshot.as_ref().map(ToString::to_string).unwrap_or_default(),
            refresh.added.to_string(),
            refresh.superseded.to_string(),
            if advisories.is_empty() { "-".to_owned() } else { advisories.join(", ") },
            format!("{} files, {}", refresh.fetched_files, size(refresh.fetched_bytes)),
        ]
    }

    fn name(&self) -> String {
        self.refresh.name.to_string()
    }
}
