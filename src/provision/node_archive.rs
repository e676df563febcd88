//! What one diskless node is told at its boot: the kernel command line, which everybody on it can read, and the archive that the loader
//! appends to the initial RAM disk. The archive is only in memory until the root is entered; secrets are not even in there.

use std::net::Ipv4Addr;

use super::cpio::Archive;
use super::diskless::{Writable, is_named, selector_words};
use super::hosts::{Hosts, fqdn, names};
use super::render::quoted;
use super::variables::Settings;
use crate::domain::checksum::Sha256;
use crate::domain::mac::MacAddr;
use crate::domain::name::{NodeName, VersionId};
use crate::domain::profile::ProfileKind;
use crate::domain::subnet::Subnet;

/// All that one boot is made of.
#[derive(Clone, Debug)]
pub struct Boot<'a> {
    /// The machine, which is its host name.
    pub node: &'a NodeName,
    /// The nodes' DNS domain; may be empty.
    pub domain: &'a str,
    /// Counts the node's attempts.
    pub attempt: u32,
    /// True if it runs this because its installation failed: it tells what it knows of its trouble.
    pub rescue: bool,
    /// What it runs from.
    pub kind: ProfileKind,
    /// The version of its image.
    pub version: &'a VersionId,
    /// The interface it booted from.
    pub mac: Option<MacAddr>,
    /// Its fixed address; without one it asks DHCP.
    pub address: Option<Ipv4Addr>,
    /// The nodes' network.
    pub subnet: Subnet,
    /// The way out.
    pub router: Option<Ipv4Addr>,
    /// DNS servers.
    pub dns: &'a [Ipv4Addr],
    /// Time servers.
    pub ntp: Vec<String>,
    /// Where the head is.
    pub head: Ipv4Addr,
    /// `http://10.0.0.1:8080`, without a slash at the end.
    pub head_url: &'a str,
    /// Where this attempt's boot files are: `http://10.0.0.1:8080/boot/TOKEN`.
    pub boot_url: &'a str,
    /// The port of the head's syslog receiver.
    pub syslog_port: u16,
    /// The export to mount, where the kind has one.
    pub export: Option<String>,
    /// The port of the NFS and mount server, where nodes need ask no portmapper.
    pub nfs_port: Option<u16>,
    /// The root that is fetched, where the kind has one.
    pub root: Option<RootFile>,
    /// All nodes with a fixed address.
    pub hosts: &'a Hosts,
    /// Where the running system gets packages, if the image follows a mirror of the head: a file of apt or dnf (its absolute path), and what it holds.
    pub package_sources: Option<(&'static str, String)>,
    /// The same at every boot of the node (machine-id(5)).
    pub machine_id: String,
    /// The merged variables.
    pub settings: &'a Settings,
}

/// A root that is fetched over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFile {
    /// Its name below the boot files.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// The kernel command line; the loader adds `initrd=`. No token is in it.
pub fn kernel_arguments(boot: &Boot<'_>) -> String {
    let mut words = vec!["boot=kickctl".to_owned(), format!("kickctl.kind={}", boot.kind)];
    words.extend(boot.mac.map(|mac| format!("BOOTIF={}", mac.bootif())));
    words.push(match boot.address {
        // Linux, Documentation/admin-guide/nfs/nfsroot.rst: client:server:gateway:mask:host:device:how:dns:dns
        Some(address) => {
            let router = boot.router.map(|router| router.to_string()).unwrap_or_default();
            let dns: Vec<String> = boot.dns.iter().take(2).map(ToString::to_string).collect();
            format!("ip={address}:{}:{router}:{}:{}::none:{}", boot.head, boot.subnet.netmask(), boot.node, dns.join(":"))
        }
        None => "ip=dhcp".into(),
    });
    words.extend(boot.settings.console.iter().map(|console| format!("console={}", console.as_str())));
    words.push(boot.settings.kernel_args.as_str().to_owned());
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// The whole archive.
pub fn archive(boot: &Boot<'_>) -> Archive {
    let mut archive = Archive::default();
    archive.file("kickctl/env", 0o600, env(boot));
    let mut file = |path: &str, text: String| archive.file(&format!("kickctl/files/{path}"), 0o644, text);
    file("etc/hostname", format!("{}\n", boot.node));
    file("etc/hosts", hosts(boot));
    file("etc/machine-id", format!("{}\n", boot.machine_id));
    if let Some(text) = resolv_conf(boot) {
        file("etc/resolv.conf", text);
    }
    if let Some((path, text)) = &boot.package_sources {
        file(path.trim_start_matches('/'), text.clone());
    }
    if !boot.ntp.is_empty() {
        file("etc/systemd/timesyncd.conf.d/kickctl.conf", format!("[Time]\nNTP={}\n", boot.ntp.join(" ")));
    }
    let zone = boot.settings.timezone.as_str();
    file("etc/timezone", format!("{zone}\n"));
    archive.link("kickctl/files/etc/localtime", &format!("/usr/share/zoneinfo/{zone}"));
    let keys: String = boot.settings.root_ssh_keys.iter().map(|key| format!("{}\n", key.as_str())).collect();
    if !keys.is_empty() {
        archive.file("kickctl/files/root/.ssh/authorized_keys", 0o600, keys);
    }
    archive
}

/// `kickctl/env`: assignments for a shell.
pub fn env(boot: &Boot<'_>) -> String {
    let settings = boot.settings;
    let units = |on: bool| {
        let chosen = settings.services.iter().filter(|(_, wanted)| **wanted == on);
        chosen.map(|(unit, _)| unit.as_str()).collect::<Vec<_>>().join(" ")
    };
    let lines = |lines: Vec<String>| lines.join("\n");
    let scratch = &settings.scratch;
    let root = |of: fn(&RootFile) -> String| boot.root.as_ref().map(of).unwrap_or_default();
    let nfs_options = boot.nfs_port.map(|port| format!("port={port},mountport={port}")).unwrap_or_default();
    let all = [
        ("NODE", boot.node.to_string()),
        ("FQDN", fqdn(boot.node.as_str(), boot.domain)),
        ("KIND", boot.kind.to_string()),
        ("VERSION", boot.version.to_string()),
        ("ATTEMPT", boot.attempt.to_string()),
        ("RESCUE", if boot.rescue { "yes".into() } else { String::new() }),
        ("HEAD", boot.head_url.to_owned()),
        ("TAKEOVER", format!("{}/takeover", boot.boot_url)),
        ("MAC", boot.mac.map(|mac| mac.to_string()).unwrap_or_default()),
        ("NFS_SERVER", boot.export.as_ref().map(|_| boot.head.to_string()).unwrap_or_default()),
        ("NFS_PATH", boot.export.clone().unwrap_or_default()),
        ("NFS_OPTIONS", nfs_options),
        ("ROOT_URL", boot.root.as_ref().map(|root| format!("{}/{}", boot.boot_url, root.name)).unwrap_or_default()),
        ("ROOT_SHA256", root(|root| root.sha256.to_string())),
        ("ROOT_SIZE", root(|root| root.bytes.to_string())),
        ("OVERLAY_SIZE", settings.overlay_size.as_str().to_owned()),
        ("WRITABLE", lines(settings.writable.iter().map(Writable::line).collect())),
        ("SCRATCH", selector_words(&scratch.disk)),
        ("SCRATCH_MOUNT", if is_named(&scratch.disk) { scratch.mount.as_str().to_owned() } else { String::new() }),
        ("SCRATCH_FILESYSTEM", scratch.filesystem.to_string()),
        ("SWAP", selector_words(&settings.swap_disk)),
        ("SERVICES_ENABLE", units(true)),
        ("SERVICES_DISABLE", units(false)),
        ("MOUNTS", lines(settings.mounts.iter().map(mount_line).collect())),
        ("HEARTBEAT", u64::from(settings.heartbeat).to_string()),
        ("SYSLOG", if settings.syslog { format!("{}:{}", boot.head, boot.syslog_port) } else { String::new() }),
        ("NTP", boot.ntp.join(" ")),
        ("TIMEZONE", settings.timezone.as_str().to_owned()),
    ];
    all.into_iter().map(|(name, value)| format!("KICKCTL_{name}={}\n", quoted(&value))).collect()
}

/// A line of fstab(5).
fn mount_line(mount: &super::variables::Mount) -> String {
    let words = [mount.source.as_str(), mount.target.as_str(), mount.kind.as_str(), mount.options.as_str(), "0", "0"];
    words.join(" ")
}

/// The node's own name is on its own address where it has one; else where glibc and Debian put it, 127.0.1.1.
fn hosts(boot: &Boot<'_>) -> String {
    let own = boot.address.map_or_else(|| "127.0.1.1".to_owned(), |address| address.to_string());
    let mut text = format!("127.0.0.1 localhost\n{own} {}\n", names(boot.node.as_str(), boot.domain));
    if boot.settings.hosts {
        text += &boot.hosts.lines_of_others(boot.node.as_str());
    }
    text + "::1 localhost ip6-localhost ip6-loopback\n"
}

fn resolv_conf(boot: &Boot<'_>) -> Option<String> {
    let search = if boot.domain.is_empty() { String::new() } else { format!("search {}\n", boot.domain) };
    let servers: String = boot.dns.iter().take(3).map(|server| format!("nameserver {server}\n")).collect();
    (!servers.is_empty()).then(|| search + &servers)
}

#[cfg(test)]
#[path = "node_archive_tests.rs"]
mod tests;
