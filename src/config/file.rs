//! What was written in `kickctl.toml`: shapes only. What it means is decided in [`meaning`](super::meaning).

use std::path::PathBuf;

use serde::Deserialize;

/// `kickctl.toml` as written. Addresses, networks and times are still text, so that what is wrong with them can be told
/// with what is allowed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The data folder; `--data` wins.
    pub data: Option<PathBuf>,
    /// The interface towards the nodes.
    pub interface: String,
    /// The head's address on it.
    pub address: String,
    /// The nodes' network, `ADDRESS/BITS`.
    pub subnet: String,
    /// The nodes' DNS domain.
    pub domain: Option<String>,
    /// The DHCP server.
    #[serde(default)]
    pub dhcp: DhcpTable,
    /// The HTTP server.
    #[serde(default)]
    pub http: PortTable,
    /// The TFTP server.
    #[serde(default)]
    pub tftp: PortTable,
    /// The syslog receiver, UDP and TCP.
    #[serde(default)]
    pub syslog: PortTable,
    /// How long an attempt may stay in each stage.
    #[serde(default)]
    pub limits: LimitsTable,
    /// Trying again what failed.
    #[serde(default)]
    pub retries: RetriesTable,
    /// Switching nodes.
    #[serde(default)]
    pub power: PowerTable,
    /// Who serves the roots of diskless nodes: `embedded`, `kernel` or `off`.
    pub nfs: Option<String>,
    /// All mirrors.
    #[serde(default)]
    pub mirrors: MirrorsTable,
    /// Refreshing mirrors.
    #[serde(default)]
    pub refresh: RefreshTable,
    /// Network boot programs.
    #[serde(default)]
    pub loaders: LoadersTable,
    /// Who is told of what happens.
    #[serde(default)]
    pub notify: NotifyTable,
    /// Reinstallations of many nodes.
    #[serde(default)]
    pub rollouts: RolloutsTable,
}

/// `[rollouts]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutsTable {
    /// A program that takes a node out of work, with its arguments.
    pub drain: Option<Vec<String>>,
    /// A program that gives a node back.
    pub undrain: Option<Vec<String>>,
}

/// `[notify]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyTable {
    /// The URL that each event is posted to as JSON.
    pub webhook: Option<String>,
    /// A file with the key that what is posted is signed with.
    pub secret_file: Option<PathBuf>,
    /// A program that is run for each event, with its arguments.
    pub command: Option<Vec<String>>,
    /// Which events.
    pub on: Option<Vec<String>>,
}

/// `[dhcp]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DhcpTable {
    /// `server`, `proxy` or `off`.
    pub mode: Option<String>,
    /// The server's port; another than 67 makes sense in tests only.
    pub port: Option<i64>,
    /// `FIRST-LAST`: addresses for machines without a reservation.
    pub pool: Option<String>,
    /// How long an address is lent.
    pub lease: Option<String>,
    /// The nodes' router.
    pub gateway: Option<String>,
    /// The nodes' DNS servers.
    pub dns: Option<Vec<String>>,
    /// The nodes' NTP servers.
    #[serde(default)]
    pub ntp: Vec<String>,
    /// Start even if another DHCP server answers on the segment.
    #[serde(default)]
    pub beside_other_server: bool,
}

/// `[http]`, `[tftp]`, `[syslog]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortTable {
    /// The port to listen on.
    pub port: Option<i64>,
}

/// `[limits]`: see [`Limits`](crate::domain::attempt::Limits).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    /// From the moment that the head switched the node on to its first DHCP request.
    pub power: Option<String>,
    /// From the DHCP answer to the loader's script.
    pub loader: Option<String>,
    /// From the loader's script to the kernel.
    pub kernel: Option<String>,
    /// From the kernel to the installer's first word, or to the diskless root's mount or fetch.
    pub installer: Option<String>,
    /// From the diskless root's mount or fetch to its take-over.
    pub root: Option<String>,
    /// Without progress while installing.
    pub stall: Option<String>,
    /// For the whole installation.
    pub install: Option<String>,
    /// From the installer's end to the call home.
    pub first_boot: Option<String>,
}

/// `[retries]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetriesTable {
    /// How long to wait after the first, the second and any later failure.
    pub pauses: Option<Vec<String>>,
}

/// `[power]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerTable {
    /// How long a node stays off that is switched off and on.
    pub off: Option<String>,
}

/// `[mirrors]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorsTable {
    /// How many downloads at a time.
    pub parallel: Option<i64>,
}

/// `[refresh]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshTable {
    /// When mirrors without a schedule of their own are refreshed.
    pub at: Option<String>,
}

/// `[loaders]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadersTable {
    /// A folder of network boot programs that is looked in first.
    pub path: Option<PathBuf>,
}
