//! `kickctl image`.

mod print;
mod progress;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

use super::context::Context;
use super::exit::Exit;
use super::output::Format;
use super::progress::size;
use crate::app;
use crate::app::build_image::{BuildReport, BuildRequest, Published, build_image};
use crate::app::commit_image::{checkout_image, commit_image};
use crate::app::diff_images::diff_images;
use crate::app::list_images::{list_images, list_versions, show_image};
use crate::app::prune_images::prune_images;
use crate::app::publish_image::publish_image;
use crate::app::rollback_image::rollback_image;
use crate::app::shell_image::{ShellReport, ShellRequest, shell_image};
use crate::app::verify_image::verify_image;
use crate::domain::image::{ImageName, ImageVersion, VersionId};
use crate::domain::name::{MirrorName, NodeName, SnapshotId};
use print::{BuildLine, VersionLine};

/// Options of `kickctl image`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kickctl image build worker
  kickctl image build login --mirror debian-13 --packages openssh-server,nfs-common
  kickctl image shell worker
  kickctl image rollback worker")]
pub struct Args {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Make a version from the recipe and a mirror's snapshot, and publish it
    #[command(after_help = "Examples:
  kickctl image build worker
  kickctl image build login --mirror debian-13 --packages openssh-server,nfs-common
  kickctl image build compute --mirror rocky-9 --packages openssh-server,nfs-utils
  kickctl image build gpu --recipe gpu.toml --no-publish

The recipe is kept in images/NAME/recipe.toml of the data folder: edit it there and build again. `worker` ships with kickctl.
The same recipe, files and snapshot give the same version. Can be ended at any time: nothing stays mounted, and nothing half-made is kept.")]
    Build(Build),
    /// List images
    List,
    /// Show an image: what is published, and from what it was made
    #[command(after_help = "Example: kickctl image show worker -o json | jq -r .published.path")]
    Show {
        /// The image
        name: ImageName,
    },
    /// List an image's versions, the newest first
    Versions {
        /// The image
        name: ImageName,
    },
    /// Publish a version (the newest without a name): nodes get it at their next boot; releases the hold of a rollback
    Publish(Choice),
    /// Publish an older version (the one before without a name), and hold the image there until the next `publish`
    Rollback(Choice),
    /// List packages and files that differ between two versions
    #[command(after_help = "Examples:
  kickctl image diff 20261121T045300Z-3f9a2c41 20261122T045300Z-9b2c41aa
  kickctl image diff worker@20261121T045300Z-3f9a2c41 worker")]
    Diff {
        /// The first version: VERSION, IMAGE@VERSION, or IMAGE for its published version
        #[arg(value_name = "A")]
        first: String,
        /// The second version
        #[arg(value_name = "B")]
        second: String,
    },
    /// Work by hand in a writable copy of a version; what is left of it becomes a new version
    #[command(after_help = "Examples:
  kickctl image shell worker
  kickctl image shell worker --publish -- sh -c 'apt-get update && apt-get install -y htop'
  kickctl image shell worker --discard

`apt-get` or `dnf` inside finds the snapshot that the version was made from. `exit 0` keeps the work as a new version, any other exit throws it away.")]
    Shell(Shell),
    /// Make a copy of a version that one node may change while it runs from it (kind nfs-rw)
    Checkout {
        /// The image
        name: ImageName,
        /// The node
        node: NodeName,
        /// The version to copy [default: the published one]
        #[arg(long, value_name = "VERSION")]
        from: Option<VersionId>,
        /// Replace the copy that the node has, with all that it did there
        #[arg(long)]
        again: bool,
    },
    /// Make a version of a node's copy; best while the node is off
    Commit {
        /// The image
        name: ImageName,
        /// The node
        node: NodeName,
        /// Publish the new version
        #[arg(long)]
        publish: bool,
    },
    /// Read every file of a version and compare it with what was written down when it was made
    Verify {
        /// VERSION, IMAGE@VERSION, or IMAGE for its published version
        #[arg(value_name = "VERSION")]
        which: String,
    },
    /// Remove old versions
    #[command(after_help = "Examples:
  kickctl image prune worker --keep 1
  kickctl image prune --all --dry-run

The published version and those that an assignment names or a node has booted are never removed.")]
    Prune(Prune),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The image
    name: ImageName,
    /// A recipe that replaces the one kept so far
    #[arg(long, value_name = "FILE.toml")]
    recipe: Option<PathBuf>,
    /// The mirror that packages come from; written into the recipe
    #[arg(long)]
    mirror: Option<MirrorName>,
    /// The kernel's package; written into the recipe
    #[arg(long, value_name = "PACKAGE")]
    kernel: Option<String>,
    /// Further packages; written into the recipe
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    packages: Vec<String>,
    /// A snapshot of the mirror other than the published one
    #[arg(long)]
    snapshot: Option<SnapshotId>,
    /// Make the version, but do not publish it
    #[arg(long)]
    no_publish: bool,
    /// Check recipe and packages, say what would be built, and build nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Choice {
    /// The image
    name: ImageName,
    /// The version, as `kickctl image versions` names it
    #[arg(value_name = "VERSION")]
    id: Option<VersionId>,
    /// Say which version it would be, and publish nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Shell {
    /// The image
    name: ImageName,
    /// The version to begin as [default: the published one]
    #[arg(long, value_name = "VERSION")]
    from: Option<VersionId>,
    /// Throw away whatever comes of it
    #[arg(long, conflicts_with = "publish")]
    discard: bool,
    /// Publish the new version
    #[arg(long)]
    publish: bool,
    /// A program and its arguments instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct Prune {
    /// The images
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<ImageName>,
    /// All images
    #[arg(long)]
    all: bool,
    /// How many versions to keep besides those in use [default: what the recipe says]
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `kickctl image`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    match args.command {
        ImageCommand::Build(args) => build(context, args).await,
        ImageCommand::List => {
            context.list_or(&list_images(&context.data)?, "no images yet: kickctl image build worker")?;
            Ok(Exit::Done)
        }
        ImageCommand::Show { name } => context.one(&show_image(&context.data, &name)?).map(|()| Exit::Done),
        ImageCommand::Versions { name } => versions(context, &name),
        ImageCommand::Publish(Choice { name, id, dry_run }) => {
            let published = publish_image(&context.data, &name, id.as_ref(), dry_run).await?;
            tell_switch(context, &published, "publish", dry_run)
        }
        ImageCommand::Rollback(Choice { name, id, dry_run }) => {
            let published = rollback_image(&context.data, &name, id.as_ref(), dry_run).await?;
            tell_switch(context, &published, "roll back to", dry_run)
        }
        ImageCommand::Diff { first, second } => diff(context, &first, &second).await,
        ImageCommand::Shell(args) => shell(context, args).await,
        ImageCommand::Checkout { name, node, from, again } => {
            let root = checkout_image(&context.data, &name, &node, from.as_ref(), again).await?;
            context.print(&format!("{}\n", root.display()))?;
            Ok(Exit::Done)
        }
        ImageCommand::Commit { name, node, publish } => {
            let progress = progress::progress(name.as_str(), context.globals.quiet);
            tell_made(context, &name, commit_image(&context.data, &name, &node, publish, progress).await?)
        }
        ImageCommand::Verify { which } => verify(context, &which).await,
        ImageCommand::Prune(args) => prune(context, args).await,
    }
}

async fn build(context: &Context, args: Build) -> app::Result<Exit> {
    let Build { name, recipe, mirror, kernel, packages, snapshot, no_publish, dry_run } = args;
    let progress = progress::progress(name.as_str(), context.globals.quiet);
    let request = BuildRequest { name, recipe, mirror, kernel, packages, snapshot, no_publish, dry_run };
    let report = build_image(&context.data, &request, progress).await?;
    if let BuildReport::Planned { mirror, snapshot, packages } = &report {
        context
            .note(&format!("would build a version of {} from {mirror} {snapshot}: {packages} packages and what they need", request.name));
    }
    if let Some(line) = BuildLine::of(&request.name, report)
        && (!context.globals.quiet || context.globals.output != Format::Table)
    {
        context.list(&[line])?;
    }
    Ok(Exit::Done)
}

fn versions(context: &Context, name: &ImageName) -> app::Result<Exit> {
    let (versions, published) = list_versions(&context.data, name)?;
    let line = |version: ImageVersion| VersionLine { published: published.as_ref() == Some(&version.id), version };
    let lines: Vec<VersionLine> = versions.into_iter().map(line).collect();
    context.list_or(&lines, &format!("no versions yet: kickctl image build {name}"))?;
    Ok(Exit::Done)
}

fn tell_switch(context: &Context, version: &ImageVersion, verb: &str, dry_run: bool) -> app::Result<Exit> {
    if dry_run {
        context.note(&format!("would {verb} {}", version.id));
    }
    context.one(&VersionLine { published: !dry_run, version: version.clone() })?;
    Ok(Exit::Done)
}

async fn diff(context: &Context, first: &str, second: &str) -> app::Result<Exit> {
    let diff = diff_images(&context.data, first, second).await?;
    match context.globals.output {
        Format::Json | Format::Yaml => context.one(&diff)?,
        Format::Table | Format::Name => {
            context.print(&print::diff_text(&diff))?;
        }
    }
    context.note(&format!("{} packages and {} files differ", diff.packages.len(), diff.files.len()));
    Ok(Exit::Done)
}

async fn shell(context: &Context, args: Shell) -> app::Result<Exit> {
    let Shell { name, from, discard, publish, command } = args;
    let progress = progress::progress(name.as_str(), context.globals.quiet);
    let request = ShellRequest { name: name.clone(), from, command, discard, publish };
    tell_made(context, &name, shell_image(&context.data, request, progress).await?)
}

fn tell_made(context: &Context, name: &ImageName, report: ShellReport) -> app::Result<Exit> {
    match report {
        ShellReport::New { version, published } => {
            context.one(&VersionLine { published: published == Published::Yes, version: (*version).clone() })?;
            if published != Published::Yes {
                context.note(&format!("next: kickctl image publish {name} {}", version.id));
            }
            Ok(Exit::Done)
        }
        ShellReport::Nothing => {
            context.note("nothing was changed: no version was made");
            Ok(Exit::Done)
        }
        ShellReport::Discarded => {
            context.note("thrown away");
            Ok(Exit::Done)
        }
        ShellReport::Failed(ended) => {
            anstream::eprintln!("kickctl: ended with {ended}: thrown away, no version was made");
            Ok(Exit::Failed)
        }
    }
}

async fn verify(context: &Context, which: &str) -> app::Result<Exit> {
    let (version, problems) = verify_image(&context.data, which).await?;
    if problems.is_empty() {
        let told = format!("{} {}: {} files, {}: all as made", version.image, version.id, version.files, size(version.bytes));
        context.note(&told);
        return Ok(Exit::Done);
    }
    problems.iter().for_each(|problem| anstream::eprintln!("{problem}"));
    let (image, count) = (&version.image, problems.len());
    anstream::eprintln!("kickctl: {count} problems in {image} {}: publish another version, and build this one anew", version.id);
    Ok(Exit::Failed)
}

async fn prune(context: &Context, args: Prune) -> app::Result<Exit> {
    let names = if args.all { list_images(&context.data)?.into_iter().map(|image| image.name).collect() } else { args.names };
    let pruned = prune_images(&context.data, &names, args.keep, context.store_if_any().await?, args.dry_run).await?;
    let verb = if args.dry_run { "would remove" } else { "removed" };
    for (image, version) in &pruned {
        context.print(&format!("{verb} {image} {version}\n"))?;
    }
    context.note(&format!("{verb} {} versions", pruned.len()));
    Ok(Exit::Done)
}
