//! What `kickctl.toml` means: validated, with every default filled in.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::file::{ConfigFile, DhcpTable, LimitsTable};
use super::hooks::{Drains, Notify};
use super::span::{Error, Source};
use crate::domain::attempt::{Limits, PAUSES, Pauses};
use crate::domain::lease::Pool;
use crate::domain::schedule::{self, Schedule};
use crate::domain::subnet::Subnet;

/// Most addresses a pool may have: an exhausted pool is searched address by address.
const MAX_POOL: usize = 65_536;
/// What is shorter, some power supplies and controllers do not notice.
const OFF_TIME: Duration = Duration::from_secs(6);
const AN_ADDRESS: &str = "an IPv4 address, such as 10.0.0.1";

/// A head's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The data folder, if the file names one.
    pub data: Option<PathBuf>,
    /// The interface towards the nodes.
    pub interface: String,
    /// The head's address on it.
    pub address: Ipv4Addr,
    /// The nodes' network.
    pub subnet: Subnet,
    /// The nodes' DNS domain.
    pub domain: String,
    /// Who gives the nodes their addresses, and what comes with them.
    pub dhcp: Dhcp,
    /// TCP port of the HTTP server.
    pub http_port: u16,
    /// UDP port of the TFTP server.
    pub tftp_port: u16,
    /// UDP and TCP port of the syslog receiver.
    pub syslog_port: u16,
    /// Who serves the roots of diskless nodes.
    pub nfs: Nfs,
    /// How long an attempt may stay in each stage.
    pub limits: Limits,
    /// How long to wait before a failed installation is tried again.
    pub retry_pauses: Pauses,
    /// How long a node stays off that is switched off and on.
    pub off_time: Duration,
    /// Downloads at a time in a mirror's sync.
    pub parallel: usize,
    /// When `serve` refreshes mirrors without a schedule of their own; `None`: never.
    pub refresh: Option<Schedule>,
    /// A folder of network boot programs that is looked in first.
    pub loaders: Option<PathBuf>,
    /// Who is told of what happens.
    pub notify: Notify,
    /// What takes nodes out of work before they are installed, and gives them back.
    pub drains: Drains,
}

/// DHCP. All but `mode`, `port`, `pool` and `lease` also goes into what `kickctl export` writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Dhcp {
    /// Who serves it.
    pub mode: DhcpMode,
    /// UDP port of the server; 67 outside tests.
    pub port: u16,
    /// Addresses for machines without a reservation. `None`: they get no answer.
    pub pool: Option<Pool>,
    /// How long an address is lent.
    pub lease: Duration,
    /// The nodes' router. `None`: the cluster network leads nowhere else.
    pub gateway: Option<Ipv4Addr>,
    /// The nodes' DNS servers, never empty: the Debian installer stops and asks for one when DHCP names none.
    pub dns: Vec<Ipv4Addr>,
    /// The nodes' NTP servers.
    pub ntp: Vec<Ipv4Addr>,
    /// Serve even if another DHCP server answers on the segment.
    pub beside_other_server: bool,
}

/// Who serves DHCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpMode {
    /// kickctl does.
    Server,
    /// The site's own server does, with what `kickctl export dnsmasq` or `dhcpd` writes.
    Off,
}

/// Who serves the roots of diskless nodes over NFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nfs {
    /// kickctl does, to each node exactly what it booted from.
    Embedded,
    /// The system's own server does, with what `kickctl export exports` writes.
    Kernel,
    /// Nobody: only nodes that run in their memory can be had.
    Off,
}

impl Config {
    /// Tells why a node cannot have this address, if it cannot.
    pub fn unfit_for_a_node(&self, address: Ipv4Addr) -> Option<String> {
        if !self.subnet.is_host(address) {
            return Some(format!("{address} is no address for a machine in {}", self.subnet));
        }
        let taken = [(Some(self.address), "the head"), (self.dhcp.gateway, "the gateway")];
        taken.into_iter().find(|(own, _)| *own == Some(address)).map(|(_, who)| format!("{address} is the address of {who}"))
    }

    /// Reads and validates a file.
    ///
    /// # Errors
    /// [`Error`] names the file, the place in it, what was written and what is allowed.
    pub fn load(file: &Path) -> Result<Self, Error> {
        Self::parse(&Source::open(file)?)
    }

    /// Validates text.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(source: &Source) -> Result<Self, Error> {
        let file: ConfigFile = source.read()?;
        let check = Check(source);
        let subnet: Subnet = check.parse("subnet", &file.subnet, "")?;
        let address = check.host("address", &file.address, subnet)?;
        let config = Self {
            data: check.absolute("data", file.data)?,
            interface: check.interface(file.interface)?,
            address,
            subnet,
            domain: check.domain(file.domain)?,
            dhcp: check.dhcp(file.dhcp, subnet, address)?,
            http_port: check.port("http.port", file.http.port, 8080)?,
            tftp_port: check.port("tftp.port", file.tftp.port, 69)?,
            syslog_port: check.port("syslog.port", file.syslog.port, 514)?,
            nfs: check.nfs(file.nfs.as_deref())?,
            limits: check.limits(&file.limits)?,
            retry_pauses: check.pauses(file.retries.pauses.as_deref())?,
            off_time: check.time("power.off", file.power.off.as_ref(), OFF_TIME, Duration::from_secs(1))?,
            parallel: check.number("mirrors.parallel", file.mirrors.parallel, 8, 1..=64)?,
            refresh: check.refresh(file.refresh.at.as_deref())?,
            loaders: check.absolute("loaders.path", file.loaders.path)?,
            notify: check.notify(file.notify)?,
            drains: check.drains(file.rollouts)?,
        };
        check.ports_differ(&config)?;
        Ok(config)
    }

    /// Where nodes find the HTTP server: `http://10.0.0.1:8080`, without a slash at the end.
    pub fn http_base(&self) -> String {
        match self.http_port {
            80 => format!("http://{}", self.address),
            port => format!("http://{}:{port}", self.address),
        }
    }
}

/// Parses a time span: `90s`, `10min`, `1h`, `7d`.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).filter(|seconds| *seconds > 0) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("is no time span".into()),
    }
}

/// Turns text into values; each failure is located in the source.
pub(super) struct Check<'a>(pub(super) &'a Source);

impl Check<'_> {
    fn parse<T: FromStr<Err: Display>>(&self, key: &str, text: &str, allowed: &str) -> Result<T, Error> {
        text.parse().map_err(|error: T::Err| self.0.wrong(key, error.to_string(), allowed))
    }

    fn host(&self, key: &str, text: &str, subnet: Subnet) -> Result<Ipv4Addr, Error> {
        let address: Ipv4Addr = self.parse(key, text, AN_ADDRESS)?;
        if subnet.is_host(address) {
            return Ok(address);
        }
        let allowed = format!("{} to {}, its first and last address not included", subnet.network(), subnet.broadcast());
        Err(self.0.wrong(key, format!("is no machine's address in {subnet}"), allowed))
    }

    fn addresses(&self, key: &str, texts: &[String]) -> Result<Vec<Ipv4Addr>, Error> {
        // Three is what resolvers read; sixteen still fits a DHCP option with room for the others.
        if texts.len() > 16 {
            return Err(self.0.wrong(key, "has too many addresses", "at most 16"));
        }
        texts.iter().enumerate().map(|(at, text)| self.parse(&format!("{key}.{at}"), text, AN_ADDRESS)).collect()
    }

    pub(super) fn absolute(&self, key: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Error> {
        match path {
            Some(path) if !path.is_absolute() => Err(self.0.wrong(key, "is not an absolute path", "a path that starts with /")),
            other => Ok(other),
        }
    }

    /// The kernel's own rule (`dev_valid_name` in net/core/dev.c).
    fn interface(&self, name: String) -> Result<String, Error> {
        let right = (1..16).contains(&name.len())
            && name != "."
            && name != ".."
            && !name.contains(|c: char| c.is_whitespace() || c == '/' || c == ':');
        if right {
            return Ok(name);
        }
        Err(self.0.wrong("interface", "is no interface's name", "1 to 15 characters without blanks, / and :, as `ip link` shows them"))
    }

    fn domain(&self, name: Option<String>) -> Result<String, Error> {
        let Some(name) = name else { return Ok("cluster".into()) };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() <= 190 && name.split('.').all(label) {
            return Ok(name);
        }
        Err(self.0.wrong("domain", "is no DNS domain", "labels of a-z, 0-9 and - with dots between them, such as cluster.local"))
    }

    fn number(&self, key: &str, written: Option<i64>, default: usize, range: std::ops::RangeInclusive<usize>) -> Result<usize, Error> {
        let Some(written) = written else { return Ok(default) };
        usize::try_from(written)
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.0.wrong(key, "is out of range", format!("{} to {}", range.start(), range.end())))
    }

    fn port(&self, key: &str, written: Option<i64>, default: u16) -> Result<u16, Error> {
        let number = self.number(key, written, default.into(), 1..=usize::from(u16::MAX))?;
        Ok(u16::try_from(number).unwrap_or(default))
    }

    fn time(&self, key: &str, written: Option<&String>, default: Duration, least: Duration) -> Result<Duration, Error> {
        let Some(text) = written else { return Ok(default) };
        let allowed = format!("a number with s, min, h or d, such as 90s or 10min; {} s to 365d", least.as_secs());
        let time = duration(text).map_err(|problem| self.0.wrong(key, problem, &*allowed))?;
        if time < least || time > Duration::from_secs(365 * 86_400) {
            return Err(self.0.wrong(key, "is out of range", allowed));
        }
        Ok(time)
    }

    fn dhcp(&self, table: DhcpTable, subnet: Subnet, head: Ipv4Addr) -> Result<Dhcp, Error> {
        let gateway = table.gateway.map(|text| self.host("dhcp.gateway", &text, subnet)).transpose()?;
        let taken = [Some(("the head's address", head)), gateway.map(|gateway| ("the gateway", gateway))];
        let dns = match table.dns {
            None => vec![head],
            Some(written) if written.is_empty() => {
                return Err(self.0.wrong(
                    "dhcp.dns",
                    "is empty, and installers stop and ask when DHCP names no DNS server",
                    "1 to 16 addresses",
                ));
            }
            Some(written) => self.addresses("dhcp.dns", &written)?,
        };
        Ok(Dhcp {
            mode: self.mode(table.mode.as_deref())?,
            port: self.port("dhcp.port", table.port, 67)?,
            pool: table.pool.map(|text| self.pool(&text, subnet, taken.into_iter().flatten())).transpose()?,
            lease: self.time("dhcp.lease", table.lease.as_ref(), Duration::from_secs(3600), Duration::from_secs(120))?,
            gateway,
            dns,
            ntp: self.addresses("dhcp.ntp", &table.ntp)?,
            beside_other_server: table.beside_other_server,
        })
    }

    fn mode(&self, text: Option<&str>) -> Result<DhcpMode, Error> {
        const ALLOWED: &str = "\"server\" (kickctl gives the addresses) or \"off\" (the site's own server does, see `kickctl export`)";
        match text {
            None | Some("server") => Ok(DhcpMode::Server),
            Some("off") => Ok(DhcpMode::Off),
            Some("proxy") => Err(self.0.wrong("dhcp.mode", "proxyDHCP is planned and not there yet", ALLOWED)),
            Some(_) => Err(self.0.wrong("dhcp.mode", "is no mode", ALLOWED)),
        }
    }

    fn refresh(&self, text: Option<&str>) -> Result<Option<Schedule>, Error> {
        let parse = |text: &str| text.parse().map_err(|_| self.0.wrong("refresh.at", "is no schedule", schedule::ALLOWED));
        text.map(parse).transpose()
    }

    fn nfs(&self, text: Option<&str>) -> Result<Nfs, Error> {
        match text {
            None | Some("embedded") => Ok(Nfs::Embedded),
            Some("kernel") => Ok(Nfs::Kernel),
            Some("off") => Ok(Nfs::Off),
            Some(_) => Err(self.0.wrong("nfs", "is nobody who could serve", "\"embedded\", \"kernel\" or \"off\"")),
        }
    }

    fn pool(&self, text: &str, subnet: Subnet, taken: impl Iterator<Item = (&'static str, Ipv4Addr)>) -> Result<Pool, Error> {
        const KEY: &str = "dhcp.pool";
        let allowed = format!("FIRST-LAST, two addresses in {subnet}, such as 10.0.0.200-10.0.0.250");
        let wrong = |problem: &str| self.0.wrong(KEY, problem, &*allowed);
        let (first, last) = text.split_once('-').ok_or_else(|| wrong("is no range of addresses"))?;
        let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse()) else { return Err(wrong("is no range of addresses")) };
        let pool = Pool { first, last };
        if pool.is_empty() {
            return Err(wrong("ends before it starts"));
        }
        if !subnet.is_host(first) || !subnet.is_host(last) {
            return Err(wrong(&format!("leaves {subnet}")));
        }
        if pool.len() > MAX_POOL {
            return Err(wrong(&format!("has {} addresses, more than {MAX_POOL}", pool.len())));
        }
        for (whose, address) in taken {
            if pool.contains(address) {
                return Err(wrong(&format!("contains {whose}, {address}")));
            }
        }
        Ok(pool)
    }

    fn limits(&self, table: &LimitsTable) -> Result<Limits, Error> {
        let defaults = Limits::default();
        let limit = |name: &str, written: &Option<String>, default: u64| {
            let key = format!("limits.{name}");
            self.time(&key, written.as_ref(), Duration::from_secs(default), Duration::from_secs(5)).map(|time| time.as_secs())
        };
        Ok(Limits {
            power: limit("power", &table.power, defaults.power)?,
            loader: limit("loader", &table.loader, defaults.loader)?,
            kernel: limit("kernel", &table.kernel, defaults.kernel)?,
            installer: limit("installer", &table.installer, defaults.installer)?,
            root: limit("root", &table.root, defaults.root)?,
            stall: limit("stall", &table.stall, defaults.stall)?,
            install: limit("install", &table.install, defaults.install)?,
            first_boot: limit("first_boot", &table.first_boot, defaults.first_boot)?,
        })
    }

    /// One to three; the last one holds for what comes after it.
    fn pauses(&self, written: Option<&[String]>) -> Result<Pauses, Error> {
        const KEY: &str = "retries.pauses";
        let Some(written) = written else { return Ok(PAUSES) };
        if !(1..=PAUSES.len()).contains(&written.len()) {
            let allowed = "one to three time spans, such as [\"30s\", \"2min\", \"8min\"]; the last one holds for later failures too";
            return Err(self.0.wrong(KEY, "has too few or too many pauses", allowed));
        }
        let mut pauses = PAUSES;
        for (at, pause) in pauses.iter_mut().enumerate() {
            let at = at.min(written.len() - 1);
            *pause = self.time(&format!("{KEY}.{at}"), written.get(at), *pause, Duration::from_secs(1))?;
        }
        Ok(pauses)
    }

    fn ports_differ(&self, config: &Config) -> Result<(), Error> {
        let clash =
            |key: &str, port: u16, other: &str| Err(self.0.wrong(key, format!("port {port} is also that of {other}"), "a port of its own"));
        if config.http_port == config.syslog_port {
            return clash("http.port", config.http_port, "[syslog], which listens on TCP too");
        }
        if config.tftp_port == config.syslog_port {
            return clash("tftp.port", config.tftp_port, "[syslog]");
        }
        if config.dhcp.port == config.tftp_port || config.dhcp.port == config.syslog_port {
            return clash("dhcp.port", config.dhcp.port, "[tftp] or [syslog]");
        }
        Ok(())
    }
}
