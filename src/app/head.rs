//! What every use case of a serving head works with.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use super::Result;
use crate::config::Config;
use crate::domain::attempt::Attempt;
use crate::domain::node::Node;
use crate::provision::library::Library;
use crate::store::Store;
use crate::sys::data_dir::DataDir;

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
}

impl Head {
    /// A head of these parts.
    pub fn new(config: Config, data: DataDir, store: Arc<dyn Store>, token_secret: [u8; 32]) -> Self {
        Self { config: Arc::new(config), data, store, token_secret, last_profiles: Arc::default() }
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

    /// The node's last attempt, over or not: late reports may still come.
    pub(super) async fn last_attempt(&self, node: &Node) -> Result<Option<Attempt>> {
        Ok(self.store.last_attempt(&node.name).await?)
    }
}
