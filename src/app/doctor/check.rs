//! Judges what `probe` saw. Pure.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Finding, OtherServers};
use crate::config::{Config, DhcpMode};
use crate::domain::name::NodeName;
use crate::provision::loader::Loader;
use crate::sys::interface::Interface;
use crate::sys::port::{Holder, Protocol};

const GIB: u64 = 1 << 30;

/// A port that `kickctl serve` needs, and who listens there.
#[derive(Debug)]
pub struct PortSeen {
    /// Which of the servers needs it.
    pub server: &'static str,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
    /// Sockets that listen on it, with their holders where they can be told.
    pub listeners: Result<Vec<(IpAddr, Option<Holder>)>, String>,
}

/// The one server that nodes can do without.
pub const PORTMAPPER: &str = "portmapper";

/// The system's own NFS server has what it was told by `kickctl export exports`.
pub fn exports(directories: usize, missing: &[String]) -> Finding {
    match missing {
        [] => Finding::ok("NFS exports", format!("{directories} directories are exported by the system's server")),
        [first, ..] => Finding::fail(
            "NFS exports",
            format!("the system's server lacks {}, such as {first}", missing.len()),
            "kickctl export exports > /etc/exports.d/kickctl.exports && exportfs -ra",
        ),
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct ClockSeen {
    /// What it shows.
    pub now: SystemTime,
    /// When this program was made.
    pub program: Option<SystemTime>,
    /// True if NTP keeps it.
    pub synchronised: bool,
}

/// The permissions of a file or folder.
#[derive(Debug)]
pub struct ModeSeen {
    /// Where it is.
    pub path: PathBuf,
    /// What they are.
    pub mode: u32,
    /// The most they may be.
    pub most: u32,
}

/// The cluster interface is there, up, connected, and has the head's address.
pub fn interface(config: &Config, seen: &io::Result<Vec<Interface>>) -> Finding {
    let name = &config.interface;
    let check = format!("interface {name}");
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return Finding::fail(check, format!("`ip` cannot be asked: {error}"), "apt install iproute2"),
    };
    let Some(interface) = seen.iter().find(|interface| interface.name == *name) else {
        let there = seen.iter().map(|interface| &*interface.name).filter(|name| *name != "lo").collect::<Vec<_>>().join(", ");
        return Finding::fail(
            check,
            format!("does not exist; there are: {there}"),
            "set `interface` in kickctl.toml to the one towards the nodes",
        );
    };
    let (address, prefix) = (config.address, config.subnet.prefix());
    if !interface.up {
        return Finding::fail(check, "is switched off", format!("ip link set {name} up"));
    }
    match interface.addresses.iter().find(|(own, _)| *own == address) {
        None => {
            let own = interface.addresses.iter().map(|(own, bits)| format!("{own}/{bits}")).collect::<Vec<_>>().join(", ");
            let own = if own.is_empty() { "no address".to_owned() } else { own };
            Finding::fail(
                check,
                format!("has {own}, not {address}"),
                format!("ip address add {address}/{prefix} dev {name}, and in the system's network settings so that it stays"),
            )
        }
        Some((_, bits)) if *bits != prefix => Finding::warn(
            check,
            format!("has {address}/{bits}, but kickctl.toml says {}", config.subnet),
            "make both the same, or nodes and head disagree on who is near",
        ),
        Some(_) if !interface.carrier => Finding::warn(check, "has no link", "plug in the cable, or switch on the other end"),
        Some(_) => Finding::ok(check, format!("up, {address}/{prefix}")),
    }
}

/// Nobody else listens where one of the servers will.
pub fn port(config: &Config, seen: &PortSeen) -> Finding {
    let protocol = match seen.protocol {
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
    };
    let check = format!("{protocol} port {} ({})", seen.port, seen.server);
    let listeners = match &seen.listeners {
        Ok(listeners) => listeners,
        Err(error) => return Finding::warn(check, format!("cannot be looked at: {error}"), "mount /proc"),
    };
    // A DHCP server listens for broadcasts, whatever address it names.
    let in_the_way = |address: IpAddr| {
        address.is_unspecified() || address == config.address || (seen.port == config.dhcp.port && !address.is_loopback())
    };
    match listeners.iter().find(|(address, _)| in_the_way(*address)) {
        None => Finding::ok(check, "free"),
        Some((_, Some(holder))) if is_serve(&holder.command) => {
            Finding::ok(check, format!("held by `kickctl serve`, process {}", holder.pid))
        }
        Some(_) if seen.server == PORTMAPPER => Finding::ok(check, "held by another portmapper; diskless nodes need none"),
        Some((address, Some(Holder { pid, command }))) => Finding::fail(
            check,
            format!("held on {address} by process {pid}: {command}"),
            format!("stop that service (`systemctl status {pid}` names it), or give {} another port", seen.server),
        ),
        Some((address, None)) => Finding::fail(
            check,
            format!("held on {address} by a process that cannot be seen"),
            "run `kickctl doctor` as root to learn which",
        ),
    }
}

fn is_serve(command: &str) -> bool {
    let mut words = command.split(' ');
    words.next().is_some_and(|program| program.rsplit('/').next() == Some("kickctl")) && words.any(|word| word == "serve")
}

/// Whoever runs `serve` may bind its ports.
pub fn rights(config: &Config, low_ports: bool) -> Finding {
    let dhcp = (config.dhcp.mode == DhcpMode::Server).then_some(config.dhcp.port);
    let low =
        [dhcp, Some(config.tftp_port), Some(config.syslog_port), Some(config.http_port)].into_iter().flatten().any(|port| port < 1024);
    match (low, low_ports) {
        (_, true) => Finding::ok("rights", "ports below 1024 can be bound"),
        (false, false) => Finding::ok("rights", "none needed: all ports are above 1023"),
        (true, false) => Finding::warn(
            "rights",
            "this user cannot bind ports below 1024",
            "run `kickctl serve` as root, or with CAP_NET_BIND_SERVICE and CAP_NET_RAW",
        ),
    }
}

/// Exactly one DHCP server answers on the segment.
pub fn other_servers(config: &Config, seen: &OtherServers) -> Finding {
    const CHECK: &str = "other DHCP servers";
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            return Finding::warn(
                CHECK,
                format!("could not be asked for: {error}"),
                "run `kickctl doctor` as root while no DHCP client holds UDP port 68",
            );
        }
    };
    let others: Vec<String> = seen.iter().filter(|server| **server != config.address).map(Ipv4Addr::to_string).collect();
    let told = others.join(", ");
    match (config.dhcp.mode, others.is_empty()) {
        (DhcpMode::Server, true) => Finding::ok(CHECK, "none answers"),
        (DhcpMode::Server, false) if config.dhcp.beside_other_server => Finding::warn(
            CHECK,
            format!("{told} answers too, and beside_other_server is set"),
            "make sure that the other one ignores the nodes",
        ),
        (DhcpMode::Server, false) => Finding::fail(
            CHECK,
            format!("{told} answers on {}: nodes would listen to whoever is faster", config.interface),
            "stop it, or set dhcp.mode = \"off\" and give it what `kickctl export dnsmasq` or `dhcpd` writes",
        ),
        (DhcpMode::Off, false) => Finding::ok(CHECK, format!("{told} answers, as dhcp.mode = \"off\" expects")),
        (DhcpMode::Off, true) => Finding::warn(
            CHECK,
            "none answers strangers, and dhcp.mode is \"off\"",
            "start the site's server with what `kickctl export dnsmasq` or `dhcpd` writes",
        ),
    }
}

/// A network boot program is there.
pub fn loader(loader: &Loader, found: Option<&Path>) -> Finding {
    let check = format!("loader {}", loader.file);
    match found {
        Some(path) => Finding::ok(check, path.display().to_string()),
        None => {
            Finding::fail(check, format!("is missing: {} machines cannot boot", loader.firmware), "apt install ipxe, or set loaders.path")
        }
    }
}

/// There is room for a mirror.
pub fn space(folder: &Path, free: io::Result<u64>) -> Finding {
    const CHECK: &str = "disk space";
    let remedy = "make room, or move the data folder to a larger disk (`data` in kickctl.toml)";
    let told = |free: u64| format!("{:.1} GiB free under {}", free as f64 / GIB as f64, folder.display());
    match free {
        Err(error) => Finding::warn(CHECK, format!("{} cannot be asked: {error}", folder.display()), remedy),
        Ok(free) if free < GIB / 2 => Finding::fail(CHECK, told(free), remedy),
        Ok(free) if free < 5 * GIB => Finding::warn(CHECK, told(free), remedy),
        Ok(free) => Finding::ok(CHECK, told(free)),
    }
}

/// The clock is right: signatures of archives have dates, and nodes take their time from here.
pub fn clock(seen: &ClockSeen) -> Finding {
    const CHECK: &str = "clock";
    if seen.program.is_some_and(|program| seen.now < program) {
        return Finding::fail(
            CHECK,
            "shows a time before this program was made: archives will seem to be signed in the future",
            "timedatectl set-ntp true, or set it by hand",
        );
    }
    if seen.synchronised {
        return Finding::ok(CHECK, "kept by NTP");
    }
    Finding::warn(
        CHECK,
        "is not kept by NTP: an expired archive may pass, a fresh one may be refused",
        "apt install systemd-timesyncd, or chrony",
    )
}

/// Secrets are their owner's alone.
pub fn mode(seen: &ModeSeen) -> Finding {
    let check = format!("permissions of {}", seen.path.display());
    if seen.mode & !seen.most == 0 {
        return Finding::ok(check, format!("{:04o}", seen.mode));
    }
    let (mode, most) = (seen.mode, seen.most);
    Finding::fail(check, format!("{mode:04o}: others can read it; at most {most:04o}"), format!("chmod {most:04o} {}", seen.path.display()))
}

/// Each mirror has something to serve.
pub fn mirrors(seen: &[(String, bool)]) -> Finding {
    const CHECK: &str = "mirrors";
    let empty: Vec<&str> = seen.iter().filter(|(_, published)| !published).map(|(name, _)| &**name).collect();
    match (seen.len(), empty.first()) {
        (0, _) => Finding::warn(CHECK, "there is none", "kickctl mirror add debian-13 && kickctl mirror sync debian-13"),
        (_, Some(first)) => {
            Finding::warn(CHECK, format!("nothing is published of {}", empty.join(", ")), format!("kickctl mirror sync {first}"))
        }
        (count, None) => Finding::ok(CHECK, format!("{count} published")),
    }
}

/// Each node has a profile.
pub fn nodes(count: usize, unassigned: &[NodeName]) -> Finding {
    const CHECK: &str = "nodes";
    match unassigned.first() {
        None if count == 0 => Finding::ok(CHECK, "none yet"),
        None => Finding::ok(CHECK, format!("{count}, all with a profile")),
        Some(first) => Finding::warn(
            CHECK,
            format!("{} of {count} have no profile, the first is {first}: they boot their own disks", unassigned.len()),
            format!("kickctl profile assign {first} debian-13"),
        ),
    }
}

/// The system keeps all nodes in mind: those that do not fit into its table of neighbours are not answered when many are awake.
pub fn neighbours(nodes: usize, most: usize) -> Finding {
    const CHECK: &str = "neighbour table";
    if nodes < most {
        return Finding::ok(CHECK, format!("{most} machines, more than there are nodes"));
    }
    let (soft, hard) = (nodes.saturating_mul(2), nodes.saturating_mul(4));
    Finding::warn(
        CHECK,
        format!("Linux keeps {most} machines in it, and there are {nodes} nodes: when all are awake, some get no answer"),
        format!(
            "sysctl -w net.ipv4.neigh.default.gc_thresh2={soft} net.ipv4.neigh.default.gc_thresh3={hard}, and the same in /etc/sysctl.d"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use crate::config::Source;
    use crate::provision::loader::LOADERS;
    use std::time::Duration;

    fn config(more: &str) -> Config {
        let text = format!("interface = \"eth1\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n{more}");
        Config::parse(&Source::new("kickctl.toml", text)).unwrap()
    }

    fn eth1(up: bool, carrier: bool, addresses: &[(Ipv4Addr, u8)]) -> io::Result<Vec<Interface>> {
        Ok(vec![Interface { name: "eth1".into(), up, carrier, addresses: addresses.into() }])
    }

    fn remedy(finding: Finding, level: Level) -> String {
        assert_eq!(finding.level, level, "{finding:?}");
        finding.remedy.unwrap_or_default()
    }

    #[test]
    fn each_way_an_interface_can_be_wrong_has_its_own_remedy() {
        let head = Ipv4Addr::new(10, 0, 0, 1);
        let judge = |seen| interface(&config(""), &seen);
        assert_eq!(judge(eth1(true, true, &[(head, 24)])).level, Level::Ok);
        assert!(remedy(judge(Ok(vec![])), Level::Fail).contains("kickctl.toml"));
        assert_eq!(remedy(judge(eth1(false, false, &[])), Level::Fail), "ip link set eth1 up");
        assert!(remedy(judge(eth1(true, true, &[])), Level::Fail).starts_with("ip address add 10.0.0.1/24 dev eth1"));
        assert!(remedy(judge(eth1(true, true, &[(head, 16)])), Level::Warn).contains("both the same"));
        assert!(remedy(judge(eth1(true, false, &[(head, 24)])), Level::Warn).contains("cable"));
        assert!(remedy(judge(Err(io::ErrorKind::NotFound.into())), Level::Fail).contains("iproute2"));
    }

    #[test]
    fn a_port_is_judged_by_who_holds_it_and_where() {
        let judge = |port, address: &str, holder: Option<&str>| {
            let holder = holder.map(|command| Holder { pid: 7, command: command.into() });
            let listeners = Ok(vec![(address.parse().unwrap(), holder)]);
            super::port(&config(""), &PortSeen { server: "tftp", protocol: Protocol::Udp, port, listeners })
        };
        let taken = judge(69, "0.0.0.0", Some("/usr/sbin/in.tftpd -l"));
        assert!(taken.told.contains("process 7: /usr/sbin/in.tftpd -l"), "{taken:?}");
        assert_eq!(taken.level, Level::Fail);
        assert_eq!(judge(69, "::", Some("x")).level, Level::Fail);
        assert_eq!(judge(69, "10.0.0.1", Some("x")).level, Level::Fail);
        assert_eq!(judge(69, "192.0.2.1", Some("x")).level, Level::Ok, "another address of this machine");
        assert_eq!(judge(67, "192.0.2.1", Some("dhcpd")).level, Level::Fail, "it would hear the broadcasts");
        assert_eq!(judge(69, "10.0.0.1", Some("/usr/bin/kickctl --data /d serve")).level, Level::Ok);
        assert_eq!(judge(69, "10.0.0.1", Some("vi kickctl serve")).level, Level::Fail);
        assert!(remedy(judge(69, "0.0.0.0", None), Level::Fail).contains("root"));
    }

    #[test]
    fn another_dhcp_server_matters_as_the_mode_says() {
        let seen: OtherServers = Ok(vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 254)]);
        let own: OtherServers = Ok(vec![Ipv4Addr::new(10, 0, 0, 1)]);
        assert!(remedy(other_servers(&config(""), &seen), Level::Fail).contains("kickctl export"));
        assert_eq!(other_servers(&config(""), &own).level, Level::Ok, "its own answer is not another's");
        assert_eq!(other_servers(&config("[dhcp]\nbeside_other_server = true\n"), &seen).level, Level::Warn);
        assert_eq!(other_servers(&config("[dhcp]\nmode = \"off\"\n"), &seen).level, Level::Ok);
        assert_eq!(other_servers(&config("[dhcp]\nmode = \"off\"\n"), &own).level, Level::Warn);
        assert_eq!(other_servers(&config(""), &Err("no".into())).level, Level::Warn);
    }

    #[test]
    fn the_machine_is_judged_by_its_space_clock_and_rights() {
        assert_eq!(space("/d".as_ref(), Ok(6 * GIB)).level, Level::Ok);
        assert_eq!(space("/d".as_ref(), Ok(4 * GIB)).level, Level::Warn);
        assert_eq!(space("/d".as_ref(), Ok(1 << 20)).level, Level::Fail);
        let now = SystemTime::now();
        let judge = |program, synchronised| clock(&ClockSeen { now, program: Some(program), synchronised }).level;
        assert_eq!(judge(now - Duration::from_secs(1), true), Level::Ok);
        assert_eq!(judge(now - Duration::from_secs(1), false), Level::Warn);
        assert_eq!(judge(now + Duration::from_secs(1), true), Level::Fail);
        assert_eq!(rights(&config(""), false).level, Level::Warn);
        assert_eq!(rights(&config("[dhcp]\nmode = \"off\"\n[tftp]\nport = 6969\n[syslog]\nport = 5514\n"), false).level, Level::Ok);
    }

    #[test]
    fn a_secret_that_others_can_read_is_answered_with_the_command() {
        let judge = |mode| super::mode(&ModeSeen { path: "/d/keys/signing.key".into(), mode, most: 0o600 });
        assert_eq!(judge(0o400).level, Level::Ok);
        assert_eq!(remedy(judge(0o640), Level::Fail), "chmod 0600 /d/keys/signing.key");
    }

    #[test]
    fn what_is_missing_is_answered_with_the_next_command() {
        assert!(remedy(loader(&LOADERS[0], None), Level::Fail).starts_with("apt install ipxe"));
        assert!(remedy(mirrors(&[]), Level::Warn).starts_with("kickctl mirror add"));
        assert_eq!(remedy(mirrors(&[("a".into(), true), ("b".into(), false)]), Level::Warn), "kickctl mirror sync b");
        assert_eq!(remedy(nodes(2, &["node07".parse().unwrap()]), Level::Warn), "kickctl profile assign node07 debian-13");
        assert_eq!(nodes(2, &[]).level, Level::Ok);
    }

    #[test]
    fn a_cluster_that_does_not_fit_into_the_table_of_neighbours_is_told_of() {
        assert_eq!(neighbours(1023, 1024).level, Level::Ok);
        let told = neighbours(1024, 1024);
        assert_eq!(told.level, Level::Warn);
        assert!(told.remedy.unwrap().contains("gc_thresh3=4096"));
    }
}
