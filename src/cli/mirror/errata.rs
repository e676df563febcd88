//! `kickctl mirror errata`.

use std::collections::BTreeSet;

use crate::app::list_errata::{ErrataRequest, list_errata};
use crate::app::{self, Store};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::Record;
use crate::cli::text::{harmless, moment};
use crate::domain::advisory::{Advisory, Severity};
use crate::domain::name::{MirrorName, NodeName, SnapshotId};

/// Vulnerabilities and packages of an advisory that a table shows; the rest is counted.
const SHOWN: usize = 3;

/// Options of `kickctl mirror errata`.
#[derive(Debug, clap::Args)]
pub struct Errata {
    /// The mirror
    name: MirrorName,
    /// Only advisories of this severity: critical, important, moderate, low or none; several with commas
    #[arg(long, value_name = "SEVERITY", value_delimiter = ',')]
    severity: Vec<Severity>,
    /// Only advisories about this vulnerability
    #[arg(long, value_name = "CVE-...")]
    cve: Option<String>,
    /// Only what this snapshot of the mirror lacks
    #[arg(long, value_name = "SNAPSHOT")]
    since: Option<SnapshotId>,
    /// Only what this node lacks: by the packages that it reported, or else by the snapshot that it was installed from
    #[arg(long, conflicts_with = "since")]
    node: Option<NodeName>,
}

/// Runs it.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Errata) -> app::Result<Exit> {
    let Errata { name, severity, cve, since, node } = args;
    let store: Option<&dyn Store> = if node.is_some() { Some(context.present_store().await?) } else { None };
    let request = ErrataRequest { severity, cve, since, node };
    context.list_or(&list_errata(&context.data, store, &name, &request).await?, "no advisories")?;
    Ok(Exit::Done)
}

impl Record for Advisory {
    const COLUMNS: &'static [&'static str] = &["advisory", "kind", "severity", "issued", "vulnerabilities", "packages"];

    fn cells(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.packages.iter().map(|fix| fix.name.as_str()).collect();
        vec![
            harmless(&self.id),
            harmless(&self.kind),
            self.severity.to_string(),
            self.issued.map(moment).unwrap_or_default(),
            short(self.cves.iter().map(String::as_str)),
            short(names.into_iter()),
        ]
    }

    fn name(&self) -> String {
        harmless(&self.id)
    }
}

fn short<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<String> = all.map(harmless).collect();
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
