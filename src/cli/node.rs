//! `kickctl node`.

mod power;
mod print;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::confirm::confirm;
use super::context::Context;
use super::exit::Exit;
use super::output::Format;
use super::reinstall::{arm, confirm_installation};
use crate::app::assign_profile::assign_profile;
use crate::app::{self, ListFormat, Plan, Settings, Store, VariablePath};
use crate::domain::mac::MacAddr;
use crate::domain::name::{GroupName, NodeName, ProfileName};
use crate::domain::node::{Arch, Firmware, Uuid};
use crate::domain::nodeset::{NodeSet, fold};
use power::PowerFields;
use print::{NodeDetail, changes, removals};

/// What `kickctl node` can do.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add a node
    #[command(after_help = "Examples:
  kickctl node add node07 --mac 52:54:00:00:00:07 --address 10.0.0.7
  kickctl node add node08 --mac 52:54:00:00:00:08,52:54:00:00:01:08 --group gpu --set disk.pick=smallest

Many nodes at once: kickctl node import FILE")]
    Add {
        /// Its name, which becomes its host name
        name: NodeName,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        dry: DryRun,
    },
    /// List nodes, or machines that asked for a network boot and are no nodes yet
    #[command(after_help = "Examples:
  kickctl node list
  kickctl node list 'node[01-64],-node05'
  kickctl node list @gpu -o name
  kickctl node list --discovered")]
    List {
        /// Which, such as node[01-64], @group or all
        nodes: Option<NodeSet>,
        /// List the machines that wait for `kickctl node approve`
        #[arg(long, conflicts_with = "nodes")]
        discovered: bool,
    },
    /// Show all that is known of nodes
    #[command(after_help = "Examples:
  kickctl node show node07
  kickctl node show node07 -o json | jq -r .state
  kickctl node show @rack1 -o json | jq -r '.[].serial'

A plain name prints one object as JSON, any other set a list of them.")]
    Show {
        /// Which, such as node07, node[01-64], @group or all
        nodes: NodeSet,
    },
    /// Change what is known of nodes
    #[command(after_help = "Examples:
  kickctl node set node07 --address 10.0.0.70
  kickctl node set 'node[01-16]' --group rack1 --set timezone=Europe/Berlin
  kickctl node set @rack1 --unset timezone --dry-run
  kickctl node set node07 --serial none
  kickctl node set 'node[01-64]' --power ipmi --bmc-address '{}-bmc' --bmc-user admin --bmc-password-file bmc.txt
  kickctl node set node07 --power none")]
    Set {
        /// Which, such as node[01-64], @group or all
        nodes: NodeSet,
        #[command(flatten)]
        fields: Fields,
        /// Forget a variable
        #[arg(long, value_name = "KEY")]
        unset: Vec<VariablePath>,
        /// Leave a group
        #[arg(long, value_name = "GROUP")]
        ungroup: Vec<GroupName>,
        #[command(flatten)]
        power: PowerFields,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Remove nodes with their assignments, attempts and logs
    #[command(after_help = "Examples:
  kickctl node remove node07
  kickctl node remove 'node[01-16]' --yes=16")]
    Remove {
        /// Which, such as node[01-64], @group or all
        nodes: NodeSet,
        /// How many nodes that is; asked for when they are more than one
        #[arg(long, value_name = "N")]
        yes: Option<usize>,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Add and change nodes from a list, all or nothing
    #[command(after_help = "A CSV file begins with a line that names its columns, of which name must be there:
  name,mac,address,arch,firmware,uuid,serial,groups,variables
Several MAC addresses or groups in a cell are separated by ; or blanks; variables are KEY=VALUE;KEY=VALUE or a JSON
object. A plain list has `name ip mac` on each line, with - for no address. Lines that begin with # are comments. Of a
node that exists, only what the list has columns for changes.

Examples:
  kickctl node import nodes.csv --dry-run
  awk '{print $1, $2, $3}' hosts | kickctl node import -")]
    Import {
        /// The file, or - for standard input
        file: PathBuf,
        /// How it is written [default: csv if its first line has a comma]
        #[arg(long, value_enum)]
        format: Option<ImportFormat>,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Write nodes as a list that `kickctl node import` reads
    #[command(after_help = "Examples:
  kickctl node export > nodes.csv
  kickctl node export @rack1")]
    Export {
        /// Which [default: all]
        nodes: Option<NodeSet>,
        /// How to write it
        #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
        format: ExportFormat,
    },
    /// Make nodes of discovered machines
    #[command(after_help = "Examples:
  kickctl node list --discovered
  kickctl node approve 52:54:00:00:00:07 --name node07 --address 10.0.0.7
  kickctl node approve all --name 'node[01-16]' --address 10.0.0.1
  kickctl node approve all --name 'node[01-16]' --profile debian-13 --install --yes=16

With `all`, machines get names in the order in which they were first seen, and addresses that count up.")]
    Approve {
        /// The machine's MAC address, or all
        machine: Machine,
        /// Its name; with all, a node set with a name for each
        #[arg(long, value_name = "NAME")]
        name: NodeSet,
        /// Its address; with all, the first one's
        #[arg(long, value_name = "IP")]
        address: Option<Ipv4Addr>,
        /// Join a group
        #[arg(long, value_name = "GROUP")]
        group: Vec<GroupName>,
        /// Set a variable, such as disk.pick=smallest
        #[arg(long, value_name = "KEY=VALUE", value_parser = app::setting)]
        set: Vec<(VariablePath, Value)>,
        /// Assign this profile
        #[arg(long)]
        profile: Option<ProfileName>,
        /// Install the new nodes when they next boot over the network
        #[arg(long, requires = "profile")]
        install: bool,
        /// With --install: the number of machines, for more than one
        #[arg(long, value_name = "N", requires = "install")]
        yes: Option<usize>,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ImportFormat {
    Csv,
    List,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportFormat {
    Csv,
}

#[derive(Debug, clap::Args)]
struct DryRun {
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What can be told of a node.
#[derive(Debug, clap::Args)]
struct Fields {
    /// The MAC addresses of the interfaces that it may boot from, the preferred one first
    #[arg(long, value_name = "MAC[,MAC]", value_delimiter = ',')]
    mac: Option<Vec<MacAddr>>,
    /// The address that DHCP gives it, or none
    #[arg(long, value_name = "IP")]
    address: Option<OrNone<Ipv4Addr>>,
    /// Its architecture: amd64 or arm64
    #[arg(long)]
    arch: Option<Arch>,
    /// Its firmware: bios, uefi, or none to learn it from its first boot
    #[arg(long)]
    firmware: Option<OrNone<Firmware>>,
    /// Its SMBIOS UUID, or none
    #[arg(long)]
    uuid: Option<OrNone<Uuid>>,
    /// Its SMBIOS serial number, or none
    #[arg(long)]
    serial: Option<OrNone<String>>,
    /// Join a group
    #[arg(long, value_name = "GROUP")]
    group: Vec<GroupName>,
    /// Set a variable, such as disk.pick=smallest; the value is JSON if it reads as JSON, else text
    #[arg(long, value_name = "KEY=VALUE", value_parser = app::setting)]
    set: Vec<(VariablePath, Value)>,
}

/// A value, or the word `none`.
#[derive(Clone, Debug)]
struct OrNone<T>(Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;
    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}

/// A MAC address, or the word `all`.
#[derive(Clone, Debug)]
struct Machine(Option<MacAddr>);

impl FromStr for Machine {
    type Err = <MacAddr as FromStr>::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self(None)) } else { text.parse().map(|mac| Self(Some(mac))) }
    }
}

impl Fields {
    fn settings(self) -> Settings {
        Settings {
            macs: self.mac,
            address: self.address.map(|address| address.0),
            arch: self.arch,
            firmware: self.firmware.map(|firmware| firmware.0),
            uuid: self.uuid.map(|uuid| uuid.0),
            serial: self.serial.map(|serial| serial.0),
            join: self.group,
            leave: vec![],
            set: self.set,
            unset: vec![],
        }
    }
}

/// Runs `kickctl node`.
///
/// # Errors
/// Whatever the use case failed with.
pub async fn run(context: &Context, args: Args) -> app::Result<Exit> {
    let store = match args.verb {
        Verb::Add { .. } | Verb::Import { .. } => context.store().await?,
        _ => context.present_store().await?,
    };
    match args.verb {
        Verb::Add { name, fields, dry } => carry_out(context, store, app::add_node(store, name, &fields.settings()).await?, &dry).await?,
        Verb::List { discovered: true, .. } => {
            context
                .list_or(&store.discovered().await?, "no discovered machines: they need `pool` in the configuration, and a network boot")?;
        }
        Verb::List { nodes, .. } => context.list_or(&app::list_nodes(store, nodes.as_ref()).await?, &no_nodes(nodes.as_ref()))?,
        Verb::Show { nodes } => show(context, store, &nodes).await?,
        Verb::Set { nodes, fields, unset, ungroup, power, dry } => {
            let settings = Settings { unset, leave: ungroup, ..fields.settings() };
            let plan = app::set_nodes(store, &nodes, &settings).await?;
            let names: Vec<NodeName> = app::select_nodes(store, &nodes).await?.into_iter().map(|node| node.name).collect();
            power.apply(store, &names, dry.dry_run).await?;
            carry_out(context, store, plan, &dry).await?;
        }
        Verb::Remove { nodes, yes, dry } => remove(context, store, &nodes, yes, &dry).await?,
        Verb::Import { file, format, dry } => {
            let (source, text) = read(&file).await?;
            let format = match format {
                Some(ImportFormat::Csv) => ListFormat::Csv,
                Some(ImportFormat::List) => ListFormat::Blanks,
                None => ListFormat::guess(&text),
            };
            carry_out(context, store, app::import_nodes(store, &source, &text, format).await?, &dry).await?;
        }
        Verb::Export { nodes, format: ExportFormat::Csv } => {
            let nodes = match nodes {
                Some(set) => app::select_nodes(store, &set).await?,
                None => store.nodes().await?,
            };
            context.print(&app::export_nodes(&nodes))?;
        }
        Verb::Approve { machine, name, address, group, set, profile, install, yes, dry } => {
            let names =
                name.spelt_out().ok_or_else(|| app::Error::Usage(format!("--name takes new names, and `{name}` spells none out")))?;
            let settings = Settings { join: group, set, ..Settings::default() };
            let approval = app::approve_nodes(store, machine.0, names, address, &settings).await?;
            let made: Vec<NodeName> = approval.plan.changes.iter().map(|change| change.name().clone()).collect();
            if install && !dry.dry_run {
                confirm_installation(&made, yes)?;
            }
            if !dry.dry_run {
                approval.apply(store).await?;
            }
            changes(context, &approval.plan.changes, dry.dry_run)?;
            if let Some(profile) = profile.filter(|_| !dry.dry_run) {
                let head = context.head().await?;
                assign_profile(&head, &made, &profile, None, false).await?;
                if install {
                    arm(context, &head, &made, true).await?;
                }
            }
        }
    }
    Ok(Exit::Done)
}

fn no_nodes(set: Option<&NodeSet>) -> String {
    match set {
        Some(set) if !set.is_all() => format!("`{set}` names no nodes: kickctl node list"),
        _ => "no nodes yet: kickctl node add NAME --mac MAC, or kickctl node import FILE".to_owned(),
    }
}

/// One plain name is an object; any other set is a list, whatever it comes to.
async fn show(context: &Context, store: &dyn Store, set: &NodeSet) -> app::Result<()> {
    if let Some(name) = set.plain_name() {
        return context.one(&NodeDetail(app::show_node(store, name).await?));
    }
    let mut shown = vec![];
    for node in app::select_nodes(store, set).await? {
        shown.push(NodeDetail(app::show_node(store, &node.name).await?));
    }
    if context.globals.output != Format::Table || shown.is_empty() {
        return context.list_or(&shown, &no_nodes(Some(set)));
    }
    for (at, node) in shown.iter().enumerate() {
        if at > 0 {
            context.print("\n")?;
        }
        context.one(node)?;
    }
    Ok(())
}

async fn carry_out(context: &Context, store: &dyn Store, plan: Plan, dry: &DryRun) -> app::Result<()> {
    // Without a configuration there is no network yet to hold addresses against; the preflight looks again.
    if let Ok(config) = context.config() {
        plan.fits(&config)?;
    }
    if !dry.dry_run {
        plan.apply(store).await?;
    }
    changes(context, &plan.changes, dry.dry_run)
}

async fn remove(context: &Context, store: &dyn Store, set: &NodeSet, yes: Option<usize>, dry: &DryRun) -> app::Result<()> {
    let nodes = app::select_nodes(store, set).await?;
    app::remove_nodes(store, &nodes, true).await?;
    if !dry.dry_run {
        confirm(&format!("remove {}", fold(nodes.iter().map(|node| &node.name))), nodes.len(), yes)?;
        app::remove_nodes(store, &nodes, false).await?;
    }
    removals(context, &nodes, dry.dry_run)
}

/// Most bytes of a list.
const MAX_LIST: u64 = 64 << 20;

/// The list's name for messages, and its text.
async fn read(file: &Path) -> app::Result<(String, String)> {
    use tokio::io::AsyncReadExt;
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let mut text = String::new();
    let read = async {
        if file == Path::new("-") {
            tokio::io::stdin().take(MAX_LIST + 1).read_to_string(&mut text).await
        } else {
            tokio::fs::File::open(file).await?.take(MAX_LIST + 1).read_to_string(&mut text).await
        }
    };
    read.await.map_err(|source| app::Error::Io { what: format!("cannot read the list {name}"), source })?;
    if text.len() as u64 > MAX_LIST {
        return Err(app::Error::Usage(format!("{name} is larger than {MAX_LIST} bytes: import it in parts")));
    }
    Ok((name, text))
}
