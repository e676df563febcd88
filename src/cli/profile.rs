//! `kickctl profile`.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::output::Record;
use super::reinstall::{arm, confirm_installation};
use crate::app::assign_profile::{assign_profile, unassign_profile};
use crate::app::check_profile::{check_nodes, check_profile};
use crate::app::preflight::Finding;
use crate::app::render_profile::render_profile;
use crate::app::show_profile::{Explained, ProfileReport, list_profile_reports, show_profile};
use crate::app::{self, select_nodes};
use crate::domain::name::{NodeName, ProfileName, SnapshotId};
use crate::domain::nodeset::{NodeSet, fold};
use crate::domain::profile::{Assignment, ProfileKind};

/// What `kickctl profile` can do.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Record what nodes shall be, after checking that it can be done; nothing is installed unless --install says so
    #[command(after_help = "\
Examples:
  kickctl profile assign node07 debian-13                 then: kickctl reinstall node07
  kickctl profile assign 'node[01-64]' debian-13 --dry-run  check only
  kickctl profile assign @rack3 debian-13 --snapshot 20261121T045300Z-3f9a2c41
  kickctl profile assign 'node[01-64]' debian-13 --install --yes=64")]
    Assign {
        /// Nodes, such as node07, node[01-64], @group
        nodes: NodeSet,
        /// The profile
        profile: ProfileName,
        /// Stay on this snapshot instead of following what is published
        #[arg(long, value_name = "ID")]
        snapshot: Option<SnapshotId>,
        /// Install the nodes when they next boot over the network, as `kickctl reinstall` does
        #[arg(long)]
        install: bool,
        /// With --install: the number of nodes, for more than one
        #[arg(long, value_name = "N", requires = "install")]
        yes: Option<usize>,
        /// Check everything and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the profile away; the nodes boot their local disks
    Unassign {
        /// Nodes, such as node07, node[01-64], @group
        nodes: NodeSet,
        /// Change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List profiles: kickctl's own and the site's
    #[command(after_help = "Examples:
  kickctl profile list
  kickctl profile list -o name

A site's own are folders with a profile.toml in profiles/ of the data folder; docs/profiles.md tells how to write one.")]
    List,
    /// Show a profile: what it extends, its variables with their layers, its templates with their files
    #[command(after_help = "Examples:
  kickctl profile show debian-13
  kickctl profile show debian-13 -o json | jq '.variables[] | select(.variable == \"packages\")'")]
    Show {
        /// Which
        name: ProfileName,
    },
    /// Look for what would keep an installation from succeeding; no node is touched
    #[command(after_help = "Examples:
  kickctl profile check debian-13
  kickctl profile check web-server --nodes 'web[01-16]'

Templates are rendered for every node, the installer's questions are looked up by name and type, and every package is looked
for in the snapshot that the node would be installed from.")]
    Check {
        /// Which
        name: ProfileName,
        /// Try it on these, whatever they are assigned [default: the nodes that are assigned it]
        #[arg(long)]
        nodes: Option<NodeSet>,
    },
    /// Show a file that a node would be given
    #[command(after_help = "Examples:
  kickctl profile render node07
  kickctl profile render node07 --file late.sh --secrets
  kickctl profile render node07 --file kernel-arguments
  kickctl profile render node07 --profile web-server

Besides the profile's own templates there are `kernel-arguments` and `gate`, the head's yes at the write gate.")]
    Render {
        /// For which node
        node: NodeName,
        /// Which file [default: the installer's answers, preseed.cfg or ks.cfg]
        #[arg(long)]
        file: Option<String>,
        /// Under this profile [default: the one it is assigned]
        #[arg(long)]
        profile: Option<ProfileName>,
        /// Show password hashes and the site's secrets
        #[arg(long)]
        secrets: bool,
    },
}

/// Runs `kickctl profile`.
///
/// # Errors
impl Record for Assignment {
    const COLUMNS: &'static [&'static str] = &["node", "profile", "snapshot"];
    fn cells(&self) -> Vec<String> {
        let snapshot = self.snapshot.as_ref().map_or_else(|| "published".to_owned(), ToString::to_string);
        vec![self.node.to_string(), self.profile.to_string(), snapshot]
    }
    fn name(&self) -> String {
        self.node.to_string()
    }
}

/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    match args.verb {
        Verb::Assign { nodes, profile, snapshot, install, yes, dry_run } => {
            let head = context.head().await?;
            let nodes = names(&head, &nodes).await?;
            if install && !dry_run {
                confirm_installation(&nodes, yes)?;
                assign_profile(&head, &nodes, &profile, snapshot.as_ref(), false).await?;
                arm(context, &head, &nodes, true).await?;
                return Ok(Exit::Done);
            }
            let made = assign_profile(&head, &nodes, &profile, snapshot.as_ref(), dry_run).await?;
            context.list(&made)?;
            let next = match show_profile(&context.data, &profile)?.kind.filter(|kind| kind.is_diskless()) {
                _ if dry_run => "nothing was changed",
                Some(_) => "takes effect at the next boot, and writes to no disk",
                None => "nothing is installed yet: `kickctl reinstall` does that",
            };
            context.note(&format!("{}: checked for {profile}; {next}", fold(&nodes)));
        }
        Verb::Unassign { nodes, dry_run } => {
            let head = context.head().await?;
            let nodes = names(&head, &nodes).await?;
            if !dry_run {
                unassign_profile(&head, &nodes).await?;
            }
            context.note(&format!("{}: {}", fold(&nodes), if dry_run { "would have no profile" } else { "no profile any more" }));
        }
        Verb::List => context.list(&list_profile_reports(&context.data)?)?,
        Verb::Show { name } => context.one(&Detail(show_profile(&context.data, &name)?))?,
        Verb::Check { name, nodes } => return check(context, &name, nodes.as_ref()).await,
        Verb::Render { node, file, profile, secrets } => {
            let head = context.head().await?;
            let text = render_profile(&head, &node, profile.as_ref(), file.as_deref(), secrets).await?;
            context.print(&text)?;
        }
    }
    Ok(Exit::Done)
}

async fn check(context: &Context, name: &ProfileName, nodes: Option<&NodeSet>) -> app::Result<Exit> {
    let mut findings = check_profile(&context.data, name)?;
    let mut looked_at = 0;
    // Without a configuration there are no nodes to look at, unless some were asked for.
    if nodes.is_some() || crate::app::place::Place::find(context.globals.config.as_deref(), context.globals.data.as_deref()).is_ok() {
        let head = context.head().await?;
        let chosen = match nodes {
            None => None,
            Some(set) => Some(select_nodes(&*head.store, set).await?.into_iter().map(|node| node.name).collect()),
        };
        let (count, more) = check_nodes(&head, name, chosen).await?;
        looked_at = count;
        findings.extend(more);
    }
    context.list(&findings)?;
    let wrong = findings.iter().filter(|finding| !finding.warning).count();
    context.note(&format!("{name}: {looked_at} nodes looked at, {wrong} errors, {} warnings", findings.len() - wrong));
    Ok(if wrong == 0 { Exit::Done } else { Exit::Refused })
}

impl Record for ProfileReport {
    const COLUMNS: &'static [&'static str] = &["name", "kind", "extends", "mirror", "origin", "summary"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            kind(self),
            self.extends.first().map(ToString::to_string).unwrap_or_default(),
            self.mirror.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.origin.clone(),
            self.summary.clone(),
        ]
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

/// One profile with all that is in it.
#[derive(Serialize)]
#[serde(transparent)]
struct Detail(ProfileReport);

impl Record for Detail {
    const COLUMNS: &'static [&'static str] =
        &["Name", "Summary", "Kind", "Extends", "Mirror", "Origin", "Digest", "Variables", "Templates"];

    fn cells(&self) -> Vec<String> {
        let report = &self.0;
        let names: Vec<String> = report.extends.iter().map(ToString::to_string).collect();
        let templates: Vec<String> = report.templates.iter().map(|template| format!("{} ({})", template.name, template.file)).collect();
        vec![
            report.name.to_string(),
            report.summary.clone(),
            kind(report),
            names.join(", "),
            report.mirror.as_ref().map(ToString::to_string).unwrap_or_default(),
            report.origin.clone(),
            report.digest.to_string(),
            report.variables.iter().map(line).collect::<Vec<_>>().join("\n"),
            templates.join("\n"),
        ]
    }

    fn name(&self) -> String {
        self.0.name.to_string()
    }
}

impl Record for Finding {
    const COLUMNS: &'static [&'static str] = &["concerns", "level", "place", "problem", "remedy"];

    fn cells(&self) -> Vec<String> {
        let level = if self.warning { "warning" } else { "error" };
        vec![self.concerns.clone(), level.into(), self.place.clone(), self.problem.clone(), self.remedy.clone()]
    }

    fn name(&self) -> String {
        self.concerns.clone()
    }
}

fn kind(report: &ProfileReport) -> String {
    report.kind.map_or("base", ProfileKind::name).into()
}

/// `packages = ["htop"]  (profile debian-13)`.
pub(super) fn line(explained: &Explained) -> String {
    format!("{} = {}  ({})", explained.variable, explained.value, explained.layer)
}

async fn names(head: &app::Head, nodes: &NodeSet) -> app::Result<Vec<NodeName>> {
    Ok(select_nodes(&*head.store, nodes).await?.into_iter().map(|node| node.name).collect())
}
