//! `kickctl mirror sync`.

use serde::Serialize;

use crate::app;
use crate::app::sync_mirror::{SyncOptions, SyncReport, sync_mirror};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Format, Record};
use crate::cli::progress::{progress, size};
use crate::domain::name::{MirrorName, SnapshotId};

/// Options of `kickctl mirror sync`.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// The mirrors
    #[arg(required = true, value_name = "NAME")]
    names: Vec<MirrorName>,
    /// Say how much would be fetched, and make no snapshot (indices are fetched to plan with)
    #[arg(long)]
    dry_run: bool,
    /// Leave out packages that upstream names but does not have, and list them
    #[arg(long)]
    allow_missing: bool,
    /// Make the snapshot, but do not publish it
    #[arg(long)]
    no_publish: bool,
}

/// One mirror's sync, for printing.
#[derive(Debug, Serialize)]
struct SyncLine {
    name: MirrorName,
    /// `published`, `unchanged`, `held`, `not published`, `planned`.
    result: &'static str,
    snapshot: Option<SnapshotId>,
    packages: u64,
    udebs: u64,
    bytes: u64,
    fetched_files: u64,
    fetched_bytes: u64,
    left_out: Vec<String>,
}

impl Record for SyncLine {
    const COLUMNS: &'static [&'static str] = &["mirror", "result", "snapshot", "packages", "udebs", "size", "fetched"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.result.to_owned(),
            self.snapshot.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.packages.to_string(),
            self.udebs.to_string(),
            size(self.bytes),
            format!("{} files, {}", self.fetched_files, size(self.fetched_bytes)),
        ]
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

/// Runs it.
///
/// # Errors
/// Whatever the use case failed with; with several mirrors each is tried.
pub async fn run(context: &Context, args: Sync) -> app::Result<Exit> {
    let parallel = context.parallel();
    let Sync { dry_run, allow_missing, no_publish, .. } = args;
    let options = SyncOptions { dry_run, allow_missing, no_publish, parallel, updates_only: false };
    let (mut lines, mut failures) = (Vec::new(), Vec::new());
    for name in &args.names {
        let progress = progress(name.as_str(), context.globals.quiet);
        match sync_mirror(&context.data, name, options, progress).await {
            Ok(report) => {
                let line = sync_line(name, report);
                for left_out in &line.left_out {
                    context.note(&format!("{name}: left out: {left_out}"));
                }
                lines.push(line);
            }
            Err(error) => failures.push((name, error)),
        }
    }
    if !context.globals.quiet || context.globals.output != Format::Table {
        context.list(&lines)?;
    }
    super::finish(args.names.len(), failures)
}

fn sync_line(name: &MirrorName, report: SyncReport) -> SyncLine {
    match report {
        SyncReport::Planned(planned) => SyncLine {
            name: name.clone(),
            result: "planned",
            snapshot: None,
            packages: planned.packages,
            udebs: planned.udebs,
            bytes: planned.bytes,
            fetched_files: planned.fetch_files,
            fetched_bytes: planned.fetch_bytes,
            left_out: Vec::new(),
        },
        SyncReport::Done { snapshot, fetched, published } => {
            let result = published.word(fetched.is_some());
            let fetched = fetched.unwrap_or_default();
            SyncLine {
                name: name.clone(),
                result,
                snapshot: Some(snapshot.id),
                packages: snapshot.packages,
                udebs: snapshot.udebs,
                bytes: snapshot.bytes,
                fetched_files: fetched.files,
                fetched_bytes: fetched.bytes,
                left_out: snapshot.left_out,
            }
        }
    }
}
