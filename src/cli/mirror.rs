//! `kickctl mirror`.

mod show;

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use super::progress::{progress, size};
use super::text::moment;
use crate::app;
use crate::app::add_mirror::{MirrorRequest, add_mirror};
use crate::app::index_directory::{IndexRequest, index_directory};
use crate::app::list_mirrors::{list_mirrors, list_snapshots, show_mirror};
use crate::app::place::Place;
use crate::app::prune_mirror::{in_use, prune_mirrors};
use crate::app::publish_mirror::publish_mirror;
use crate::app::rollback_mirror::rollback_mirror;
use crate::app::sync_mirror::{Published, SyncOptions, SyncReport, sync_mirror};
use crate::app::verify_mirror::verify_mirror;
use crate::domain::mirror::{PackageFormat, Snapshot};
use crate::domain::name::{MirrorName, SnapshotId};

/// Options of `kickctl mirror`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl mirror add debian-13 --from-host
  kickctl mirror sync debian-13
  kickctl mirror show debian-13 -o json
  kickctl mirror rollback debian-13")]
pub struct Args {
    #[command(subcommand)]
    command: MirrorCommand,
}

#[derive(Debug, Subcommand)]
enum MirrorCommand {
    /// Add a mirror: a definition that ships with kickctl, or one of your own
    #[command(after_help = "Examples:
  kickctl mirror add debian-13 --from-host
  kickctl mirror add debian-13 --url http://HOST/debian --security-url http://HOST/debian-security
  kickctl mirror add debian-13 --from-host --local /srv/packages
  kickctl mirror add compute --file compute.toml
  kickctl mirror add rocky-9 --keyring /srv/keys/RPM-GPG-KEY-Rocky-9
  kickctl mirror add dvd --path /mnt/dvd
  kickctl mirror add local --path /srv/packages

Addresses and keyrings come from this machine's apt sources (--from-host) or from --url; suites from the definition.")]
    Add(Add),
    /// List mirrors
    List,
    /// Show a mirror: what it copies and what is published
    #[command(after_help = "Example: kickctl mirror show debian-13 -o json | jq -r .published.path")]
    Show {
        /// The mirror
        name: MirrorName,
    },
    /// Fetch what is new upstream, make a snapshot, publish it
    #[command(after_help = "Examples:
  kickctl mirror sync debian-13
  kickctl mirror sync debian-13 --dry-run
  kickctl mirror sync debian-13 --no-publish && kickctl mirror publish debian-13

Can be run at any time and be ended at any time: what was fetched is kept, what was published stays published.")]
    Sync(SyncArgs),
    /// Make the metadata of a directory of packages in the directory itself; no mirror, nothing is copied
    #[command(after_help = "Examples:
  kickctl mirror index /srv/rpms
  kickctl mirror index /srv/debs --suite stable --sign

Writes repodata/ (.rpm) or dists/SUITE/ (.deb); the former one stays until the new one takes its place in one step. What is known of
unchanged packages is kept in .kickctl-cache, which can be removed at any time.")]
    Index(Index),
    /// List a mirror's snapshots, the newest first
    Snapshots {
        /// The mirror
        name: MirrorName,
    },
    /// Publish a snapshot (the newest without a name), and release the hold of a rollback
    Publish(Choice),
    /// Publish an older snapshot (the one before without a name), and hold the mirror there until the next `publish`
    Rollback(Choice),
    /// Read every file of a snapshot and compare it with what its index promises
    Verify {
        /// The mirror
        name: MirrorName,
        /// The snapshot [default: the published one]
        snapshot: Option<SnapshotId>,
    },
    /// Remove old snapshots, and files that no snapshot needs
    #[command(after_help = "Examples:
  kickctl mirror prune debian-13 --keep 2
  kickctl mirror prune --all --dry-run

The published snapshot and those that an assignment or an attempt names are never removed.")]
    Prune(Prune),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The mirror's name; without --file one of the definitions that ship with kickctl
    name: MirrorName,
    /// Take addresses and keyrings from this machine's own apt sources or .repo files
    #[arg(long)]
    from_host: bool,
    /// The archive's address
    #[arg(long)]
    url: Option<String>,
    /// The security archive's address
    #[arg(long, value_name = "URL")]
    security_url: Option<String>,
    /// A directory that is the mirror: RPM repositories with their repodata/, a kickstart tree, a mounted medium; or .deb or .rpm files,
    /// anywhere below, without metadata. Copied, never linked
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from_host", "url", "security_url", "local", "file"])]
    path: Option<PathBuf>,
    /// Take the directory for plain packages of this format, even if it has metadata or is empty [deb, rpm]
    #[arg(long, value_name = "FORMAT", requires = "path", conflicts_with = "keyring")]
    packages: Option<PackageFormat>,
    /// A directory whose .deb, .udeb and images/ files join the mirror; can be given several times
    #[arg(long, value_name = "DIR")]
    local: Vec<PathBuf>,
    /// A definition of your own
    #[arg(long, value_name = "DEFINITION.toml")]
    file: Option<PathBuf>,
    /// A keyring to verify the archive with; can be given several times
    #[arg(long, value_name = "FILE")]
    keyring: Vec<PathBuf>,
    /// Check everything and add nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Index {
    /// The directory
    path: PathBuf,
    /// Which of its packages, if it holds both kinds [deb, rpm]
    #[arg(long, value_name = "FORMAT")]
    packages: Option<PackageFormat>,
    /// The suite that clients of Debian packages name
    #[arg(long, default_value = "stable")]
    suite: String,
    /// Sign with the head's key
    #[arg(long)]
    sign: bool,
    /// Leave out files that are no packages, and list them
    #[arg(long)]
    allow_missing: bool,
}

#[derive(Debug, clap::Args)]
struct SyncArgs {
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

#[derive(Debug, clap::Args)]
struct Choice {
    /// The mirror
    name: MirrorName,
    /// The snapshot, as `kickctl mirror snapshots` names it
    snapshot: Option<SnapshotId>,
    /// Say which snapshot it would be, and publish nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Prune {
    /// The mirrors
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<MirrorName>,
    /// All mirrors
    #[arg(long)]
    all: bool,
    /// How many snapshots to keep besides those in use [default: what the definition says]
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `kickctl mirror`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    match args.command {
        MirrorCommand::Add(args) => add(context, args).await,
        MirrorCommand::List => {
            context.list_or(&list_mirrors(&context.data)?, "no mirrors yet: kickctl mirror add debian-13 --from-host")?;
            Ok(Exit::Done)
        }
        MirrorCommand::Show { name } => context.one(&show::Detail(show_mirror(&context.data, &name)?)).map(|()| Exit::Done),
        MirrorCommand::Sync(args) => sync(context, args).await,
        MirrorCommand::Index(args) => index(context, args).await,
        MirrorCommand::Snapshots { name } => snapshots(context, &name),
        MirrorCommand::Publish(Choice { name, snapshot, dry_run }) => {
            let published = publish_mirror(&context.data, &name, snapshot.as_ref(), dry_run).await?;
            tell_switch(context, &published, "publish", dry_run)
        }
        MirrorCommand::Rollback(Choice { name, snapshot, dry_run }) => {
            let published = rollback_mirror(&context.data, &name, snapshot.as_ref(), dry_run).await?;
            tell_switch(context, &published, "roll back to", dry_run)
        }
        MirrorCommand::Verify { name, snapshot } => verify(context, &name, snapshot.as_ref()).await,
        MirrorCommand::Prune(args) => prune(context, args).await,
    }
}

async fn add(context: &Context, args: Add) -> app::Result<Exit> {
    let Add { name, from_host, url, security_url, path, packages, local, file, keyring, dry_run } = args;
    let request = MirrorRequest { name, file, from_host, url, security_url, keyring, path, packages, local, dry_run };
    let added = add_mirror(&context.data, &request).await?;
    added.notes.iter().for_each(|note| context.note(note));
    if dry_run {
        context.note(&format!("would add mirror {}", request.name));
    } else {
        context.note(&format!("added mirror {}; next: kickctl mirror sync {}", request.name, request.name));
    }
    Ok(Exit::Done)
}

async fn index(context: &Context, args: Index) -> app::Result<Exit> {
    let Index { path, packages, suite, sign, allow_missing } = args;
    let report = index_directory(&context.data, &IndexRequest { path: path.clone(), packages, suite, sign, allow_missing }).await?;
    report.left_out.iter().for_each(|left_out| context.note(&format!("left out: {left_out}")));
    context.note(&format!("{}: {} packages, {} of them read", path.display(), report.packages, report.read));
    Ok(Exit::Done)
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

async fn sync(context: &Context, args: SyncArgs) -> app::Result<Exit> {
    // A configuration is not needed to mirror; where there is one, it is heeded.
    let place = Place::find(context.globals.config.as_deref(), context.globals.data.as_deref()).ok();
    let parallel = place.map(|place| place.config.parallel);
    let options = SyncOptions { dry_run: args.dry_run, allow_missing: args.allow_missing, no_publish: args.no_publish, parallel };
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
    if !context.globals.quiet || context.globals.output != super::output::Format::Table {
        context.list(&lines)?;
    }
    if args.names.len() == 1 || failures.is_empty() {
        return failures.pop().map_or(Ok(Exit::Done), |(_, error)| Err(error));
    }
    let told: Vec<String> = failures.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    Err(app::Error::Partly(told.join("\n")))
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
            let result = match (published, fetched) {
                (Published::Held, _) => "held",
                (Published::NotAsked, _) => "not published",
                (Published::Yes, None) => "unchanged",
                (Published::Yes, Some(_)) => "published",
            };
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

/// A snapshot, for printing.
#[derive(Debug, Serialize)]
struct SnapshotLine {
    #[serde(flatten)]
    snapshot: Snapshot,
    published: bool,
}

impl Record for SnapshotLine {
    const COLUMNS: &'static [&'static str] = &["snapshot", "made", "packages", "udebs", "size", "state"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.snapshot.id.to_string(),
            moment(self.snapshot.made),
            self.snapshot.packages.to_string(),
            self.snapshot.udebs.to_string(),
            size(self.snapshot.bytes),
            if self.published { "published" } else { "" }.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.snapshot.id.to_string()
    }
}

fn snapshots(context: &Context, name: &MirrorName) -> app::Result<Exit> {
    let (snapshots, published) = list_snapshots(&context.data, name)?;
    let line = |snapshot: Snapshot| SnapshotLine { published: published.as_ref() == Some(&snapshot.id), snapshot };
    context.list(&snapshots.into_iter().map(line).collect::<Vec<_>>())?;
    Ok(Exit::Done)
}

fn tell_switch(context: &Context, snapshot: &Snapshot, verb: &str, dry_run: bool) -> app::Result<Exit> {
    if dry_run {
        context.note(&format!("would {verb} {}", snapshot.id));
    }
    context.one(&SnapshotLine { published: !dry_run, snapshot: snapshot.clone() })?;
    Ok(Exit::Done)
}

async fn verify(context: &Context, name: &MirrorName, id: Option<&SnapshotId>) -> app::Result<Exit> {
    let (snapshot, findings) = verify_mirror(&context.data, name, id).await?;
    if findings.problems.is_empty() {
        context.note(&format!("{name} {}: {} files, {}: all as promised", snapshot.id, findings.files, size(findings.bytes)));
        return Ok(Exit::Done);
    }
    findings.problems.iter().for_each(|problem| anstream::eprintln!("{problem}"));
    let objects = context.data.objects();
    anstream::eprintln!(
        "kickctl: {} problems in {name} {}: remove the damaged objects below {} and sync again",
        findings.problems.len(),
        snapshot.id,
        objects.display()
    );
    Ok(Exit::Failed)
}

async fn prune(context: &Context, args: Prune) -> app::Result<Exit> {
    let all: Vec<MirrorName> = list_mirrors(&context.data)?.into_iter().map(|mirror| mirror.name).collect();
    let names = if args.all { all.clone() } else { args.names };
    // A head that only mirrors has no state: nothing is in use then.
    let used = if context.data.state().exists() { in_use(context.store().await?, &all).await? } else { Default::default() };
    let pruned = prune_mirrors(&context.data, &names, args.keep, &used, args.dry_run).await?;
    let verb = if args.dry_run { "would remove" } else { "removed" };
    for (mirror, snapshot) in &pruned.snapshots {
        context.print(&format!("{verb} {mirror} {snapshot}\n"))?;
    }
    context.note(&format!("{verb} {} files that no snapshot needs, {}", pruned.freed.objects, size(pruned.freed.bytes)));
    Ok(Exit::Done)
}
