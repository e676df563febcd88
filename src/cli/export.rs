//! `kickctl export`.

use clap::{Args, ValueEnum};

use super::context::Context;
use super::{Exit, Globals, output};
use crate::app;
use crate::app::export_dhcp::{Form, export_dhcp};
use crate::app::export_nfs::export_nfs;
use crate::app::place::Place;

/// Write what other services need to know of the nodes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kickctl export dnsmasq > /etc/dnsmasq.d/kickctl.conf && systemctl restart dnsmasq
  kickctl export dhcpd > /etc/dhcp/kickctl.conf        dhcpd.conf: include \"/etc/dhcp/kickctl.conf\";
  kickctl export hosts >> /etc/hosts
  kickctl export exports > /etc/exports.d/kickctl.exports && exportfs -ra

dnsmasq and dhcpd are for dhcp.mode = \"off\": the site's server then gives each node its address and the way to this
head, and `kickctl serve` decides what it boots. Write them again after adding or removing nodes.")]
pub struct Export {
    /// What to write, to standard output
    form: What,
}

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// For DHCP servers and name services.
    Names(Form),
    /// For the system's NFS server.
    Exports,
}

impl ValueEnum for What {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Names(Form::Dnsmasq), Self::Names(Form::Dhcpd), Self::Names(Form::Hosts), Self::Names(Form::Ethers), Self::Exports]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let (name, help) = match self {
            Self::Names(Form::Dnsmasq) => ("dnsmasq", "an include file for dnsmasq"),
            Self::Names(Form::Dhcpd) => ("dhcpd", "an include file for ISC dhcpd"),
            Self::Names(Form::Hosts) => ("hosts", "lines for /etc/hosts"),
            Self::Names(Form::Ethers) => ("ethers", "lines for /etc/ethers"),
            Self::Exports => ("exports", "an exports file for the system's NFS server, for nfs = \"kernel\""),
        };
        Some(clap::builder::PossibleValue::new(name).help(help))
    }
}

pub(super) async fn run(globals: &Globals, args: Export) -> app::Result<Exit> {
    let text = match args.form {
        What::Names(form) => {
            let place = Place::find(globals.config.as_deref(), globals.data.as_deref())?;
            export_dhcp(&place.store().await?, &place.config, form).await?
        }
        What::Exports => export_nfs(&Context::new(globals)?.head().await?).await?,
    };
    output::print(&text).map_err(super::no_output)?;
    Ok(Exit::Done)
}
