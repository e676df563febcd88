//! The archive as a shell and a kernel would read it.

use std::process::Command;

use super::*;
use crate::provision::cpio::Entry;
use crate::provision::fixture::settings;
use crate::provision::hosts::Host;

const HOSTS: &str = "10.0.0.7";
const DNS: [Ipv4Addr; 1] = [Ipv4Addr::new(10, 0, 0, 1)];

fn boot<'a>(node: &'a NodeName, version: &'a VersionId, settings: &'a Settings, hosts: &'a Hosts) -> Boot<'a> {
    Boot {
        node,
        domain: "cluster",
        attempt: 3,
        rescue: false,
        kind: ProfileKind::RamUsr,
        version,
        mac: Some("52:54:00:00:00:07".parse().unwrap()),
        address: Some(HOSTS.parse().unwrap()),
        subnet: "10.0.0.0/24".parse().unwrap(),
        router: None,
        dns: &DNS,
        ntp: vec!["10.0.0.1".into()],
        head: Ipv4Addr::new(10, 0, 0, 1),
        head_url: "http://10.0.0.1:8080",
        boot_url: "http://10.0.0.1:8080/boot/9-abc",
        syslog_port: 514,
        export: Some("/images/worker/v".into()),
        nfs_port: Some(2049),
        root: Some(RootFile { name: "base.squashfs", bytes: 4096, sha256: Sha256::of(b"x") }),
        hosts,
        package_sources: Some((
            "/etc/apt/sources.list.d/kickctl.sources",
            "Types: deb\nURIs: http://10.0.0.1:8080/mirror/debian-13\n".into(),
        )),
        machine_id: "0123456789abcdef0123456789abcdef".into(),
        settings,
    }
}

fn with<T>(toml: &str, look: impl FnOnce(Boot<'_>) -> T) -> T {
    let (node, version) = ("node07".parse().unwrap(), "20261121T053000Z-77aa0011".parse().unwrap());
    let (settings, other) = (settings(toml), Host { address: "10.0.0.8".parse().unwrap(), name: "node08".into() });
    look(boot(
        &node,
        &version,
        &settings,
        &Hosts::new("cluster", vec![Host { address: HOSTS.parse().unwrap(), name: "node07".into() }, other]),
    ))
}

/// What a shell makes of the env.
fn value(env: &str, name: &str) -> String {
    let script = format!("{env}printf '%s' \"$KICKCTL_{name}\"");
    String::from_utf8(Command::new("sh").args(["-c", &script]).output().unwrap().stdout).unwrap()
}

#[test]
fn a_shell_reads_the_env_back_as_it_was_meant() {
    let toml = "console = ['ttyS0']\nservices = { a = true, b = true, c = false }\nswap_disk = { serial = 'SWAP 1' }\n\
                mounts = [{ source = '10.0.0.1:/home', target = '/home' }]\nwritable = [{ path = '/var/tmp', on = 'tmpfs' }, { path = '/var/log', on = 'tmpfs', size = '5%' }]";
    with(toml, |boot| {
        let env = env(&boot);
        for (name, expected) in [
            ("NODE", "node07"),
            ("FQDN", "node07.cluster"),
            ("KIND", "ram-usr"),
            ("TAKEOVER", "http://10.0.0.1:8080/boot/9-abc/takeover"),
            ("NFS_SERVER", "10.0.0.1"),
            ("NFS_PATH", "/images/worker/v"),
            ("NFS_OPTIONS", "port=2049,mountport=2049"),
            ("ROOT_URL", "http://10.0.0.1:8080/boot/9-abc/base.squashfs"),
            ("ROOT_SIZE", "4096"),
            ("WRITABLE", "/var/tmp tmpfs\n/var/log tmpfs 5%"),
            ("SWAP", "serial=SWAP_1"),
            ("SCRATCH", ""),
            ("SERVICES_ENABLE", "a.service b.service"),
            ("SERVICES_DISABLE", "c.service"),
            ("MOUNTS", "10.0.0.1:/home /home nfs defaults,_netdev,nofail 0 0"),
            ("HEARTBEAT", "60"),
            ("SYSLOG", "10.0.0.1:514"),
        ] {
            assert_eq!(value(&env, name), expected, "{name}");
        }
    });
}

#[test]
fn the_command_line_has_the_way_to_the_network_and_no_token() {
    let arguments = with("console = ['ttyS0']\nkernel_args = 'quiet'", |boot| kernel_arguments(&boot));
    assert_eq!(
        arguments,
        "boot=kickctl kickctl.kind=ram-usr BOOTIF=01-52-54-00-00-00-07 ip=10.0.0.7:10.0.0.1::255.255.255.0:node07::none:10.0.0.1 console=ttyS0 quiet"
    );
    assert!(with("", |boot| kernel_arguments(&Boot { address: None, ..boot })).contains(" ip=dhcp "));
}

#[test]
fn the_node_finds_itself_and_the_cluster_in_its_files() {
    let archive = with("timezone = 'Europe/Berlin'\nroot_ssh_keys = ['ssh-ed25519 AAAA me@x']", |boot| archive(&boot));
    let entries: Vec<(String, Entry)> = archive.entries().map(|(path, entry)| (path.to_owned(), entry.clone())).collect();
    let text = |wanted: &str| match &entries.iter().find(|(path, _)| path == wanted).unwrap().1 {
        Entry::File { content, .. } => String::from_utf8(content.clone()).unwrap(),
        Entry::Link(target) => target.clone(),
    };
    assert_eq!(text("kickctl/files/etc/hostname"), "node07\n");
    let hosts =
        "127.0.0.1 localhost\n10.0.0.7 node07.cluster node07\n10.0.0.8\tnode08.cluster node08\n::1 localhost ip6-localhost ip6-loopback\n";
    assert_eq!(text("kickctl/files/etc/hosts"), hosts);
    assert_eq!(text("kickctl/files/etc/localtime"), "/usr/share/zoneinfo/Europe/Berlin");
    assert_eq!(text("kickctl/files/etc/resolv.conf"), "search cluster\nnameserver 10.0.0.1\n");
    assert_eq!(text("kickctl/files/etc/apt/sources.list.d/kickctl.sources"), "Types: deb\nURIs: http://10.0.0.1:8080/mirror/debian-13\n");
    assert_eq!(text("kickctl/files/root/.ssh/authorized_keys"), "ssh-ed25519 AAAA me@x\n");
    assert!(entries.iter().all(|(path, _)| path.starts_with("kickctl/") && !path.contains("ssh_host")));
}
