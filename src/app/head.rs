//! What every use case of a serving head works with.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use super::Result;
use crate::config::Config;
use crate::domain::attempt::Attempt;
use crate::domain::name::NodeName;
use crate::domain::node::Node;
use crate::provision::hosts::{Host, Hosts};
use crate::provision::library::Library;
use crate::store::Store;
use crate::sys::data_dir::DataDir;

/// The nodes' addresses as they were read last, and what `/etc/hosts` is made of from them.
type LastHosts = Option<(Arc<[(NodeName, Ipv4Addr)]>, Arc<Hosts>)>;

/// A head: its configuration, its folder, its state.
#[derive(Clone)]
pub struct Head {
    /// What `kickctl.toml` means.
    pub config: Arc<Config>,
    /// Where everything lies.
    pub data: DataDir,
    /// Nodes, attempts, leases.
    pub store: Arc<dyn Store>,
    /// What tokens are derived from.
    pub token_secret: [u8; 32],
    /// The profiles as they were read last.
    pub(super) last_profiles: Arc<Mutex<Option<Library>>>,
    /// All nodes with a fixed address, as they were last.
    last_hosts: Arc<Mutex<LastHosts>>,
}

impl Head {
    /// A head of these parts.
    pub fn new(config: Config, data: DataDir, store: Arc<dyn Store>, token_secret: [u8; 32]) -> Self {
        Self { config: Arc::new(config), data, store, token_secret, last_profiles: Arc::default(), last_hosts: Arc::default() }
    }

    /// Addresses that the pool must not lend: the head's, the gateway's, and every node's.
    pub(super) fn reserved(&self, nodes: &[Node]) -> BTreeSet<Ipv4Addr> {
        let own = [Some(self.config.address), self.config.dhcp.gateway];
        nodes.iter().filter_map(|node| node.address).chain(own.into_iter().flatten()).collect()
    }

    /// The addresses from which `node` may speak: the reserved one, or the leases of its interfaces.
    pub(super) async fn addresses_of(&self, node: &Node) -> Result<Vec<Ipv4Addr>> {
        if let Some(address) = node.address {
            return Ok(vec![address]);
        }
        let leases = self.store.leases().await?;
        Ok(leases.iter().filter(|lease| node.macs.contains(&lease.mac)).map(|lease| lease.address).collect())
    }

    /// All nodes with a fixed address.
    pub(super) async fn hosts(&self) -> Result<Arc<Hosts>> {
        let reserved = self.store.reserved_addresses().await?;
        let mut last = self.last_hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hosts)) = last.as_ref().filter(|(before, _)| Arc::ptr_eq(before, &reserved)) {
            return Ok(Arc::clone(hosts));
        }
        let host = |(name, address): &(NodeName, Ipv4Addr)| Host { address: *address, name: name.to_string() };
        let hosts = Arc::new(Hosts::new(&self.config.domain, reserved.iter().map(host).collect()));
        *last = Some((reserved, Arc::clone(&hosts)));
        Ok(hosts)
    }

    /// The node's last attempt, over or not: late reports may still come.
    pub(super) async fn last_attempt(&self, node: &Node) -> Result<Option<Attempt>> {
        Ok(self.store.last_attempt(&node.name).await?)
    }
}
