//! Asks the segment for DHCP servers besides this head.

use std::time::Duration;

use crate::app::doctor::OtherServers;
use crate::config::Config;
use crate::net::dhcp::Probe;

/// Long enough for a server that looks for a free address by ping before it offers one, as dnsmasq and dhcpd do.
const PATIENCE: Duration = Duration::from_secs(4);

/// The servers that answer on the cluster interface, this head among them if it serves; or why nobody could be asked.
pub async fn other_servers(config: &Config) -> OtherServers {
    match Probe::bind(&config.interface) {
        Ok(probe) => answering(probe).await,
        Err(error) => Err(error.to_string()),
    }
}

/// As [`other_servers`], from a socket that was bound before.
pub(super) async fn answering(probe: Probe) -> OtherServers {
    probe.run(PATIENCE).await.map_err(|error| error.to_string())
}
