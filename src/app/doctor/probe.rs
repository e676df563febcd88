//! Looks at the machine; judges nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::check::{ClockSeen, ModeSeen, PORTMAPPER, PortSeen};
use crate::app::diskless_material::NFS_PORT;
use crate::app::find_loader::find_loader;
use crate::config::{Config, DhcpMode, Nfs};
use crate::provision::loader::{LOADERS, Loader};
use crate::sys::condition;
use crate::sys::data_dir::DataDir;
use crate::sys::interface::{self, Interface};
use crate::sys::port::{self, Protocol};

pub fn interfaces() -> io::Result<Vec<Interface>> {
    interface::interfaces()
}

/// The ports that `kickctl serve` will bind.
pub fn ports(config: &Config) -> Vec<PortSeen> {
    let mut needed = vec![
        ("tftp", Protocol::Udp, config.tftp_port),
        ("syslog", Protocol::Udp, config.syslog_port),
        ("syslog", Protocol::Tcp, config.syslog_port),
        ("http", Protocol::Tcp, config.http_port),
    ];
    if config.nfs == Nfs::Embedded {
        needed.push(("nfs", Protocol::Tcp, NFS_PORT));
        needed.push((PORTMAPPER, Protocol::Tcp, 111));
    }
    if config.dhcp.mode == DhcpMode::Server {
        needed.insert(0, ("dhcp", Protocol::Udp, config.dhcp.port));
    }
    needed.into_iter().map(|(server, protocol, port)| PortSeen { server, protocol, port, listeners: listeners(protocol, port) }).collect()
}

fn listeners(protocol: Protocol, number: u16) -> Result<Vec<(std::net::IpAddr, Option<port::Holder>)>, String> {
    let all = port::listeners(protocol).map_err(|error| error.to_string())?;
    let here = all.into_iter().filter(|listener| listener.port == number);
    Ok(here.map(|listener| (listener.address, port::holder(listener.inode))).collect())
}

pub fn loaders(config: &Config, data: &DataDir) -> Vec<(&'static Loader, Option<PathBuf>)> {
    LOADERS.iter().map(|loader| (loader, find_loader(config, data, loader))).collect()
}

/// What the system's NFS server exports; nothing if there is no such server.
pub fn exported() -> String {
    fs::read_to_string("/var/lib/nfs/etab").unwrap_or_default()
}

/// How many neighbours on all its segments the system keeps in mind; `None` where it does not tell.
pub fn most_neighbours() -> Option<usize> {
    fs::read_to_string("/proc/sys/net/ipv4/neigh/default/gc_thresh3").ok()?.trim().parse().ok()
}

pub fn free_space(folder: &Path) -> io::Result<u64> {
    condition::free_space(folder)
}

pub fn clock() -> ClockSeen {
    ClockSeen { now: SystemTime::now(), program: condition::program_time(), synchronised: condition::clock_synchronised() }
}

/// What must be its owner's alone, where it exists.
pub fn modes(data: &DataDir) -> Vec<ModeSeen> {
    let keys = data.keys();
    let secrets = [(keys.clone(), 0o700), (keys.join("signing.key"), 0o600), (keys.join("token.secret"), 0o600), (data.objects(), 0o700)];
    let seen = secrets.into_iter().filter_map(|(path, most)| Some(ModeSeen { mode: condition::mode(&path)?, path, most }));
    seen.collect()
}

/// Each mirror's name, and whether a snapshot of it is published.
pub fn mirrors(data: &DataDir) -> Vec<(String, bool)> {
    let Ok(folders) = fs::read_dir(data.mirrors()) else { return vec![] };
    let mut mirrors: Vec<(String, bool)> = folders
        .filter_map(Result::ok)
        .filter(|folder| folder.path().join("definition.toml").is_file())
        .map(|folder| (folder.file_name().to_string_lossy().into_owned(), folder.path().join("current").is_dir()))
        .collect();
    mirrors.sort();
    mirrors
}
