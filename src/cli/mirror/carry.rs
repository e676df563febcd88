//! `kickctl mirror export` and `import`.

use std::path::PathBuf;

use crate::app;
use crate::app::export_mirror::{ExportReport, ExportRequest, export_mirror};
use crate::app::import_mirror::{ImportReport, ImportRequest, import_mirror};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::Record;
use crate::cli::progress::{progress, size};
use crate::domain::name::{MirrorName, SnapshotId};

/// Options of `kickctl mirror export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The mirror
    name: MirrorName,
    /// Where to: a directory, or a file whose name ends in .tar
    #[arg(long, value_name = "DIR|FILE.tar")]
    to: PathBuf,
    /// The snapshot [default: the published one]
    #[arg(long)]
    snapshot: Option<SnapshotId>,
    /// Leave out the files of this snapshot, which the other head has
    #[arg(long, value_name = "SNAPSHOT")]
    since: Option<SnapshotId>,
    /// Cut the tar into volumes of at most this size: FILE.tar.001, FILE.tar.002 ...
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    volume_size: Option<u64>,
    /// Say how much would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Options of `kickctl mirror import`.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// What was exported: the directory, the tar, or its first volume
    from: PathBuf,
    /// The key of the head that exported it (its keys/signing.asc); needed the first time, remembered for the mirror
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Keep the snapshot, but do not publish it
    #[arg(long)]
    no_publish: bool,
    /// Verify everything, and keep nothing
    #[arg(long)]
    dry_run: bool,
}

/// A size such as `4GiB`, `650MiB`, `4000000000`.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => 0,
    };
    let found = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).filter(|bytes| *bytes > 0);
    found.ok_or_else(|| format!("`{text}` is no size: a number with MiB, GiB or none, such as 4GiB"))
}

/// Runs `kickctl mirror export`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn export(context: &Context, args: Export) -> app::Result<Exit> {
    let Export { name, to, snapshot, since, volume_size, dry_run } = args;
    let request = ExportRequest { to, snapshot, since, volume_size, dry_run };
    let report = export_mirror(&context.data, &name, request, progress(name.as_str(), context.globals.quiet)).await?;
    if !dry_run {
        let key = context.data.keys().join("signing.asc");
        context.note(&format!("the other head takes it in by `kickctl mirror import`; the first time it needs {}", key.display()));
    }
    context.one(&report)?;
    Ok(Exit::Done)
}

/// Runs `kickctl mirror import`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn import(context: &Context, args: Import) -> app::Result<Exit> {
    let Import { from, key, no_publish, dry_run } = args;
    let request = ImportRequest { from, keys: key, no_publish, dry_run };
    let report = import_mirror(&context.data, request, progress("import", context.globals.quiet)).await?;
    context.one(&report)?;
    Ok(Exit::Done)
}

impl Record for ExportReport {
    const COLUMNS: &'static [&'static str] = &["mirror", "snapshot", "since", "objects", "size", "files"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.snapshot.to_string(),
            self.since.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.objects.to_string(),
            size(self.bytes),
            self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("\n"),
        ]
    }

    fn name(&self) -> String {
        self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("\n")
    }
}

impl Record for ImportReport {
    const COLUMNS: &'static [&'static str] = &["mirror", "result", "snapshot", "packages", "verified", "signed by"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.result.to_owned(),
            self.snapshot.to_string(),
            self.packages.to_string(),
            format!("{} files, {}", self.objects, size(self.bytes)),
            self.signed_by.join(" "),
        ]
    }

    fn name(&self) -> String {
        self.snapshot.to_string()
    }
}
