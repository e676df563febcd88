//! `kickctl init`.

use std::net::Ipv4Addr;

use clap::Args;
use serde::Serialize;

use super::output::{self, Record};
use super::{Exit, Globals};
use crate::app::init_head::{self, Answers, Plan};
use crate::app::{self};
use crate::domain::subnet::Subnet;

/// Make this machine a head: configuration, state and keys
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kickctl init --interface eth1 --subnet 10.0.0.0/24
  kickctl init --interface eth1 --subnet 10.0.0.0/24 --pool 10.0.0.200-10.0.0.250 --gateway 10.0.0.254
  kickctl init --interface eth1 --subnet 10.0.0.0/24 --dhcp off      the site keeps its own DHCP server
  kickctl init --interface eth1 --subnet 10.0.0.0/24 --dry-run       shows the file and changes nothing

Nothing is overwritten: with a configuration in place it ends with code 4.")]
pub struct Init {
    /// Interface towards the nodes, as `ip link` shows it
    #[arg(long, value_name = "NAME")]
    interface: String,
    /// The nodes' network
    #[arg(long, value_name = "ADDRESS/BITS")]
    subnet: Subnet,
    /// This machine's address in it [default: the interface's own, else the network's first]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Ipv4Addr>,
    /// Who gives the nodes their addresses
    #[arg(long, value_parser = ["server", "off", "proxy"], default_value = "server")]
    dhcp: String,
    /// Addresses for machines that are no nodes yet [default: none, they get no answer]
    #[arg(long, value_name = "FIRST-LAST")]
    pool: Option<String>,
    /// The nodes' DNS domain [default: cluster]
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The nodes' router [default: none]
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<Ipv4Addr>,
    /// The nodes' DNS servers, with commas between them [default: this machine]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<Ipv4Addr>,
    /// Show what would be made and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was made, or would be.
#[derive(Serialize)]
struct Made {
    made: bool,
    config: String,
    data: String,
    interface: String,
    address: Ipv4Addr,
    subnet: Subnet,
    signing_key: Option<String>,
    file: String,
    next: Vec<String>,
}

impl Record for Made {
    const COLUMNS: &'static [&'static str] = &["config", "data", "interface", "address", "network", "signing key", "file", "next"];
    fn cells(&self) -> Vec<String> {
        // The file that was written can be read there; one that was not is shown.
        let file = if self.made { String::new() } else { self.file.trim_end().to_owned() };
        vec![
            self.config.clone(),
            self.data.clone(),
            self.interface.clone(),
            self.address.to_string(),
            self.subnet.to_string(),
            self.signing_key.clone().unwrap_or_default(),
            file,
            self.next.join("\n"),
        ]
    }
    fn name(&self) -> String {
        self.config.clone()
    }
}

pub(super) async fn run(globals: &Globals, init: Init) -> app::Result<Exit> {
    let dry_run = init.dry_run;
    let plan = init_head::plan(&Answers {
        config: globals.config.clone(),
        data: globals.data.clone(),
        interface: init.interface,
        subnet: init.subnet,
        address: init.address,
        dhcp: init.dhcp,
        pool: init.pool,
        domain: init.domain,
        gateway: init.gateway,
        dns: init.dns,
    })?;
    if let Some(warning) = plan.warning.as_ref().filter(|_| !globals.quiet) {
        anstream::eprintln!("kickctl: warning: {warning}");
    }
    let fingerprint = if dry_run { None } else { Some(init_head::carry_out(&plan).await?) };
    if !globals.quiet {
        output::one(globals.output, &made(plan, fingerprint)).map_err(super::no_output)?;
    }
    Ok(Exit::Done)
}

fn made(plan: Plan, fingerprint: Option<String>) -> Made {
    Made {
        made: fingerprint.is_some(),
        config: plan.file.display().to_string(),
        data: plan.data.display().to_string(),
        interface: plan.config.interface,
        address: plan.config.address,
        subnet: plan.config.subnet,
        signing_key: fingerprint,
        file: plan.text,
        next: plan.next,
    }
}
