//! Answers a DHCP client: which address, and what to boot.

use std::net::Ipv4Addr;
use std::time::Duration;

use time::OffsetDateTime;

use super::boot_diskless::attempt_for_boot;
use super::change_attempt::change_attempt;
use super::head::Head;
use super::{Error, Result};
use crate::domain::attempt::Attempt;
use crate::domain::attempt::{Event, State};
use crate::domain::facts::Facts;
use crate::domain::lease::{self, Lease};
use crate::domain::mac::MacAddr;
use crate::domain::name::NodeName;
use crate::domain::node::{Discovered, Node, Uuid};
use crate::provision::decide::{Answer, Asker, Request, decide};
use crate::provision::loader::{self, Loader};

/// How long an offered address is kept for a machine, so that two that start together are not offered the same.
const OFFERED: Duration = Duration::from_secs(60);

/// What a DHCP client asks.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its Ethernet address; client identifiers are ignored, so that firmware, loader, installer and system get one address.
    pub mac: MacAddr,
    /// What kind of program asks.
    pub program: Program,
    /// Its client system architecture type (option 93), if it sent one.
    pub client_type: Option<u16>,
    /// Its SMBIOS UUID (option 97).
    pub uuid: Option<Uuid>,
    /// The address that it believes to have or wants.
    pub wants: Option<Ipv4Addr>,
    /// True for a request that takes the address, false for a discovery.
    pub takes: bool,
}

/// What kind of program asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A network boot firmware.
    Firmware,
    /// iPXE.
    Loader,
    /// An installer or a running system.
    System,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: this client is none of ours.
    Silence,
    /// The address that it wants is not its own.
    Refuse {
        /// Why, for the log and the client.
        why: String,
    },
    /// An address.
    Lease {
        /// The address.
        address: Ipv4Addr,
        /// The node's name, if it is one.
        name: Option<NodeName>,
        /// What to boot.
        boot: Option<BootFile>,
    },
}

/// What to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A network boot program, by TFTP from the head.
    Tftp(&'static str),
    /// The loader's script, by HTTP.
    Url(String),
}

/// Answers a DHCP client, records leases and unknown network-boot clients, and tells the node's attempt that it booted.
///
/// # Errors
/// If the state cannot be read or written; the client is then better not answered.
pub async fn answer_dhcp(head: &Head, ask: &Ask, now: OffsetDateTime) -> Result<Reply> {
    let node = head.store.node_by_mac(ask.mac).await?;
    let Some(address) = address_for(head, ask, node.as_ref(), now).await? else { return Ok(Reply::Silence) };
    if let Some(wanted) = ask.wants.filter(|wanted| ask.takes && *wanted != address) {
        return Ok(Reply::Refuse { why: format!("{wanted} is not {}'s address, {address} is", ask.mac) });
    }
    let attempt = match &node {
        Some(node) if ask.program != Program::System && !ask.takes => attempt_for_boot(head, node, now).await?,
        Some(node) => head.last_attempt(node).await?,
        None => None,
    };
    let loader = ask.client_type.and_then(loader::for_client_type);
    if ask.program != Program::System {
        match &node {
            None => discover(head, ask, loader, address, now).await?,
            Some(_) if !ask.takes => note_boot(head, attempt.as_ref(), now).await?,
            Some(_) => {}
        }
    }
    let boot = boot_file(head, ask.program, node.as_ref(), attempt.as_ref(), loader);
    Ok(Reply::Lease { address, name: node.map(|node| node.name), boot })
}

/// A client gives its address back.
///
/// # Errors
/// If the state cannot be written.
pub async fn release_address(head: &Head, mac: MacAddr) -> Result<()> {
    Ok(head.store.end_lease(mac).await?)
}

async fn address_for(head: &Head, ask: &Ask, node: Option<&Node>, now: OffsetDateTime) -> Result<Option<Ipv4Addr>> {
    if let Some(address) = node.and_then(|node| node.address) {
        if let Some(why) = head.config.unfit_for_a_node(address) {
            tracing::error!(mac = %ask.mac, "no DHCP answer: {why}; give the node another address");
            return Ok(None);
        }
        return Ok(Some(address));
    }
    let Some(range) = head.config.dhcp.pool else { return Ok(None) };
    let (leases, nodes) = (head.store.leases().await?, head.store.nodes().await?);
    let Some(address) = lease::choose(range, &leases, &head.reserved(&nodes), ask.mac, now) else {
        tracing::warn!(mac = %ask.mac, "the DHCP pool is full: widen `dhcp.pool`, or shorten `dhcp.lease`");
        return Ok(None);
    };
    let length = if ask.takes { head.config.dhcp.lease } else { OFFERED };
    let held = leases.iter().any(|held| held.mac == ask.mac && held.address == address && held.expires > now);
    if ask.takes || !held {
        head.store.put_lease(&Lease { mac: ask.mac, address, expires: now + length }).await?;
    }
    Ok(Some(address))
}

async fn discover(head: &Head, ask: &Ask, loader: Option<&Loader>, address: Ipv4Addr, now: OffsetDateTime) -> Result<()> {
    let Some(loader) = loader else { return Ok(()) };
    let seen = Discovered {
        mac: ask.mac,
        uuid: ask.uuid.clone().filter(|uuid| !uuid.is_placeholder()),
        arch: loader.arch,
        firmware: loader.firmware,
        address: Some(address),
        facts: Facts::default(),
        first_seen: now,
        last_seen: now,
    };
    Ok(head.store.discover(&seen).await?)
}

async fn note_boot(head: &Head, attempt: Option<&Attempt>, now: OffsetDateTime) -> Result<()> {
    let Some(attempt) = attempt.filter(|attempt| attempt.state == State::Armed) else { return Ok(()) };
    match change_attempt(&*head.store, attempt.id, &Event::DhcpAsked, now).await {
        // Another packet of the same machine was quicker.
        Ok(_) | Err(Error::Rejected(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn boot_file(head: &Head, program: Program, node: Option<&Node>, attempt: Option<&Attempt>, loader: Option<&Loader>) -> Option<BootFile> {
    let asker = match (node, attempt) {
        (None, _) => Asker::Unknown,
        (Some(_), None) => Asker::Idle,
        (Some(_), Some(attempt)) => Asker::Attempt(&attempt.state),
    };
    let request = match program {
        Program::Firmware => Request::DhcpFirmware,
        Program::Loader => Request::DhcpLoader,
        Program::System => Request::DhcpSystem,
    };
    match decide(asker, request) {
        Answer::AddressAndLoader => loader.map(|loader| BootFile::Tftp(loader.file)),
        Answer::AddressAndScript => Some(BootFile::Url(format!("{}/boot.ipxe", head.config.http_base()))),
        _ => None,
    }
}
