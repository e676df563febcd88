//! `kickctl mirror`.

mod carry;
mod errata;
mod refresh;
mod show;
mod sync;

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use super::progress::size;
use super::text::moment;
use crate::app;
use crate::app::add_mirror::{MirrorRequest, add_mirror};
use crate::app::index_directory::{IndexRequest, index_directory};
use crate::app::list_mirrors::{list_mirrors, list_snapshots, show_mirror};
use crate::app::prune_mirror::prune_mirrors;
use crate::app::publish_mirror::publish_mirror;
use crate::app::rollback_mirror::rollback_mirror;
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

impl Args {
    /// True for a command that waits for no network: its threads are those that compute.
    pub fn only_computes(&self) -> bool {
        matches!(self.command, MirrorCommand::Index(_))
    }
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
  kickctl mirror add ubuntu-24.04 --path /srv/ubuntu-24.04.2-live-server-amd64.iso

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
    Sync(sync::Sync),
    /// Fetch what is new in the update sources only, make a snapshot, publish it, and say what it brought
    #[command(after_help = "Examples:
  kickctl mirror refresh debian-12
  kickctl mirror refresh --all -o json
  kickctl mirror refresh rocky-9 --dry-run

Update sources are the suites and repositories whose names say so (bookworm-security, updates), or that the definition marks by
`updates = true`; all of them where none does. After a rollback the snapshot is made but not published, until `mirror publish`. If it fails,
what was published stays, and `kickctl status` tells of it. `refresh = \"daily 03:30\"` in a definition makes `serve` do it.")]
    Refresh(refresh::Refresh),
    /// List advisories: what was fixed, how grave it was, in which packages
    #[command(after_help = "Examples:
  kickctl mirror errata rocky-9 --severity critical,important
  kickctl mirror errata debian-12 --cve CVE-2026-1234
  kickctl mirror errata debian-12 --since 20261101T030000Z-3f9a2c41 -o json
  kickctl mirror errata debian-12 --node node07

Of RPM repositories: what updateinfo.xml tells. Of Debian archives: what the suites with updates offer above the others (or above --since),
with urgency and vulnerabilities from the packages' own changelogs.")]
    Errata(errata::Errata),
    /// Write a snapshot to a directory or to tar files, for a head without a network
    #[command(after_help = "Examples:
  kickctl mirror export debian-12 --to /media/disk/debian-12
  kickctl mirror export rocky-9 --to /media/disk/rocky-9.tar --volume-size 4GiB
  kickctl mirror export debian-12 --to /media/disk/update.tar --since 20261101T030000Z-3f9a2c41

The manifest names every file by its SHA-256 and is signed with this head's key.")]
    Export(carry::Export),
    /// Take in what another head exported: all of it is verified before anything is kept
    #[command(after_help = "Examples:
  kickctl mirror import /media/disk/debian-12 --key /media/disk/head-a.asc
  kickctl mirror import /media/disk/rocky-9.tar.001
  kickctl mirror import /media/disk/update.tar --dry-run

Whose signature counts: the key named by --key, which the mirror remembers; without it that one, or this head's own. A byte that is another, a
volume that is missing, a snapshot older than one that is there: each is refused, and nothing is changed. What the other head had rebuilt and
signed gets this head's signature: its nodes know that one.")]
    Import(carry::Import),
    /// Make the metadata of a directory of packages in the directory itself; it becomes no mirror
    #[command(after_help = "Examples:
  kickctl mirror index /srv/rpms
  kickctl mirror index /srv/debs --suite stable --sign
  kickctl mirror index /srv/debs --sign --add new_1.0_amd64.deb

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
    /// anywhere below, without metadata. Copied, never linked. Or a file: the image of Ubuntu's live server
    #[arg(long, value_name = "PATH", conflicts_with_all = ["from_host", "url", "security_url", "local", "file"])]
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
    /// Copy these packages into the directory first, unless they are there; none of them if one is no package or would replace another
    #[arg(long, value_name = "FILE", num_args = 1..)]
    add: Vec<PathBuf>,
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
        MirrorCommand::Sync(args) => sync::run(context, args).await,
        MirrorCommand::Refresh(args) => refresh::run(context, args).await,
        MirrorCommand::Errata(args) => errata::run(context, args).await,
        MirrorCommand::Export(args) => carry::export(context, args).await,
        MirrorCommand::Import(args) => carry::import(context, args).await,
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
    let Index { path, add, packages, suite, sign, allow_missing } = args;
    let report = index_directory(&context.data, &IndexRequest { path: path.clone(), add, packages, suite, sign, allow_missing }).await?;
    report.left_out.iter().for_each(|left_out| context.note(&format!("left out: {left_out}")));
    context.note(&format!("{}: {} packages, {} of them read", path.display(), report.packages, report.read));
    Ok(Exit::Done)
}

/// How a command on several mirrors ends: as the only one did, or partly.
fn finish(count: usize, mut failures: Vec<(&MirrorName, app::Error)>) -> app::Result<Exit> {
    if count == 1 || failures.is_empty() {
        return failures.pop().map_or(Ok(Exit::Done), |(_, error)| Err(error));
    }
    let told: Vec<String> = failures.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    Err(app::Error::Partly(told.join("\n")))
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
    let names = if args.all { list_mirrors(&context.data)?.into_iter().map(|mirror| mirror.name).collect() } else { args.names };
    let pruned = prune_mirrors(&context.data, &names, args.keep, context.store_if_any().await?, args.dry_run).await?;
    let verb = if args.dry_run { "would remove" } else { "removed" };
    for (mirror, snapshot) in &pruned.snapshots {
        context.print(&format!("{verb} {mirror} {snapshot}\n"))?;
    }
    context.note(&format!("{verb} {} files that no snapshot needs, {}", pruned.freed.objects, size(pruned.freed.bytes)));
    Ok(Exit::Done)
}
