//! `kickctl export`.

use clap::{Args, ValueEnum};

use super::{Exit, Globals, output};
use crate::app;
use crate::app::export_dhcp::{Form, export_dhcp};
use crate::app::place::Place;

/// Write what other services need to know of the nodes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kickctl export dnsmasq > /etc/dnsmasq.d/kickctl.conf && systemctl restart dnsmasq
  kickctl export dhcpd > /etc/dhcp/kickctl.conf        dhcpd.conf: include \"/etc/dhcp/kickctl.conf\";
  kickctl export hosts >> /etc/hosts

dnsmasq and dhcpd are for dhcp.mode = \"off\": the site's server then gives each node its address and the way to this
head, and `kickctl serve` decides what it boots. Write them again after adding or removing nodes.")]
pub struct Export {
    /// What to write, to standard output
    form: Form,
}

impl ValueEnum for Form {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Dnsmasq, Self::Dhcpd, Self::Hosts, Self::Ethers]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let (name, help) = match self {
            Self::Dnsmasq => ("dnsmasq", "an include file for dnsmasq"),
            Self::Dhcpd => ("dhcpd", "an include file for ISC dhcpd"),
            Self::Hosts => ("hosts", "lines for /etc/hosts"),
            Self::Ethers => ("ethers", "lines for /etc/ethers"),
        };
        Some(clap::builder::PossibleValue::new(name).help(help))
    }
}

pub(super) async fn run(globals: &Globals, args: Export) -> app::Result<Exit> {
    let place = Place::find(globals.config.as_deref(), globals.data.as_deref())?;
    let text = export_dhcp(&place.store().await?, &place.config, args.form).await?;
    output::print(&text).map_err(super::no_output)?;
    Ok(Exit::Done)
}
