//! What `kickctl export` writes, read by the daemons it is meant for, and asked by other people's DHCP clients.
//!
//! Needs root, iproute2, dnsmasq-base, isc-dhcp-server, udhcpc and isc-dhcp-client. Each test has two network namespaces of its own.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support {
    pub mod netns;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kickctl::app::export_dhcp::{Form, render};
use kickctl::config::{Config, Source};
use kickctl::domain::node::Node;
use support::netns::{Namespace, cable, run, wait_for};
use tempfile::TempDir;

const NODE07: &str = "52:54:00:00:00:07";
const NODE07_SECOND: &str = "52:54:00:00:01:07";
const STRANGER: &str = "52:54:00:00:00:99";
const IPXE: &str = "69505845";

/// A head's and a node's end of one cable: `eth1` with 10.77.0.1 and `eth0` without an address.
struct Segment {
    head: Namespace,
    node: Namespace,
}

impl Segment {
    fn new() -> Self {
        let segment = Self { head: Namespace::new("kxh"), node: Namespace::new("kxn") };
        cable((&segment.head, "eth1"), (&segment.node, "eth0"));
        segment.head.ip("address add 10.77.0.1/24 dev eth1");
        segment
    }

    /// The node's card becomes another one.
    fn plug(&self, mac: &str) {
        self.node.ip("link set eth0 down");
        self.node.ip(&format!("link set eth0 address {mac}"));
        self.node.ip("link set eth0 up");
    }
}

/// A daemon that ends with the test. `ip netns exec` replaces itself by the program, so the child is the daemon.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn config() -> Config {
    let text = r#"
        interface = "eth1"
        address = "10.77.0.1"
        subnet = "10.77.0.0/24"
        domain = "hpc.local"
        [dhcp]
        mode = "off"
        pool = "10.77.0.200-10.77.0.210"
        dns = ["10.77.0.1", "10.77.0.2"]
        ntp = ["10.77.0.1"]
    "#;
    Config::parse(&Source::new("kickctl.toml", text)).unwrap()
}

fn exported(form: Form, folder: &Path) -> PathBuf {
    let nodes: Vec<Node> = serde_json::from_value(serde_json::json!([
        {"name": "node07", "macs": [NODE07, NODE07_SECOND], "address": "10.77.0.7"},
        {"name": "node08", "macs": ["52:54:00:00:00:08"]},
    ]))
    .unwrap();
    let file = folder.join("kickctl.conf");
    fs::write(&file, render(form, &config(), &nodes)).unwrap();
    file
}

/// What udhcpc's script is told once it has a lease.
fn udhcpc(segment: &Segment, folder: &Path, options: &[&str]) -> BTreeMap<String, String> {
    let script = folder.join("script");
    fs::write(&script, "#!/bin/sh\n[ \"$1\" = bound ] && env > \"$0.env\"\nexit 0\n").unwrap();
    run(Command::new("chmod").arg("755").arg(&script));
    let told = folder.join("script.env");
    let _ = fs::remove_file(&told);
    run(segment.node.command("udhcpc").args(["-f", "-q", "-n", "-t", "10", "-T", "1", "-i", "eth0", "-s"]).arg(&script).args(options));
    fs::read_to_string(told)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

/// What firmware of this client system architecture type is told; `more` are further options of udhcpc.
fn firmware(segment: &Segment, folder: &Path, client_type: u16, more: &[&str]) -> (String, String) {
    let class = format!("PXEClient:Arch:{client_type:05}:UNDI:003001");
    let arch = format!("0x5d:{client_type:04x}");
    let told = udhcpc(segment, folder, &[&["-V", &class, "-x", &arch], more].concat());
    (told["ip"].clone(), told.get("boot_file").or_else(|| told.get("bootfile")).cloned().unwrap_or_default())
}

/// All that a site's server has to get right, whichever it is.
fn answers_as_the_head_would(segment: &Segment, folder: &Path) {
    let reserved = |file: &str| ("10.77.0.7".to_owned(), file.to_owned());
    segment.plug(NODE07);
    assert_eq!(firmware(segment, folder, 0, &[]), reserved("undionly.kpxe"));
    assert_eq!(firmware(segment, folder, 7, &[]), reserved("snponly.efi"));
    assert_eq!(firmware(segment, folder, 9, &["-C"]), reserved("snponly.efi"), "no client identifier, same address");
    assert_eq!(firmware(segment, folder, 11, &[]), reserved(""), "there is no loader for arm64 yet");
    let user_class = format!("0x4d:{IPXE}");
    for client_type in [0, 7, 11] {
        let told = firmware(segment, folder, client_type, &["-x", &user_class]);
        assert_eq!(told, reserved("http://10.77.0.1:8080/boot.ipxe"), "iPXE on type {client_type}");
    }
    assert_eq!(firmware(segment, folder, 0, &["-x", &format!("0x4d:04{IPXE}")]).1, "http://10.77.0.1:8080/boot.ipxe", "RFC 3004's form");

    let system = udhcpc(segment, folder, &["-O", "ntpsrv", "-O", "hostname"]);
    assert_eq!(system["ip"], "10.77.0.7");
    assert_eq!(system["siaddr"], "10.77.0.1");
    assert_eq!(system["dns"], "10.77.0.1 10.77.0.2");
    assert_eq!((system["domain"].as_str(), system["hostname"].as_str()), ("hpc.local", "node07"));
    assert_eq!(system["ntpsrv"], "10.77.0.1");
    assert_eq!(system.get("router"), None, "no gateway was configured");

    segment.plug(NODE07_SECOND);
    assert_eq!(firmware(segment, folder, 0, &[]), reserved("undionly.kpxe"), "its other card, while the first one's lease runs");

    segment.plug(STRANGER);
    let (address, file) = firmware(segment, folder, 7, &[]);
    assert!(config().dhcp.pool.unwrap().contains(address.parse().unwrap()), "{address}");
    assert_eq!(file, "snponly.efi", "an unknown machine reaches the head too, to be discovered");
}

#[test]
fn dnsmasq_answers_as_the_head_would() {
    let folder = TempDir::new().unwrap();
    let file = exported(Form::Dnsmasq, folder.path());
    let checked = run(Command::new("dnsmasq").arg("--test").arg(format!("--conf-file={}", file.display())));
    assert!(checked.contains("syntax check OK"), "{checked}");

    let segment = Segment::new();
    let _daemon = Daemon(
        segment
            .head
            .command("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--pid-file",
                "--port=0",
                "--interface=eth1",
                "--bind-interfaces",
                "--user=root",
                "--no-ping",
                "--no-hosts",
            ])
            .arg(format!("--conf-file={}", file.display()))
            .arg(format!("--dhcp-leasefile={}", folder.path().join("leases").display()))
            .arg(format!("--log-facility={}", folder.path().join("log").display()))
            .arg("--log-dhcp")
            .spawn()
            .unwrap(),
    );
    answers_as_the_head_would(&segment, folder.path());
}

#[test]
fn isc_dhcpd_answers_as_the_head_would() {
    let folder = TempDir::new().unwrap();
    let file = exported(Form::Dhcpd, folder.path());
    let main = folder.path().join("dhcpd.conf");
    fs::write(&main, format!("authoritative;\ninclude \"{}\";\n", file.display())).unwrap();
    run(Command::new("dhcpd").args(["-t", "-cf"]).arg(&main));

    let segment = Segment::new();
    let leases = folder.path().join("leases");
    fs::write(&leases, "").unwrap();
    let _daemon = Daemon(
        segment
            .head
            .command("dhcpd")
            .args(["-4", "-f", "--no-pid", "-cf"])
            .arg(&main)
            .arg("-lf")
            .arg(&leases)
            .arg("eth1")
            .stderr(Stdio::from(fs::File::create(folder.path().join("log")).unwrap()))
            .spawn()
            .unwrap(),
    );
    answers_as_the_head_would(&segment, folder.path());
}

/// dhclient keeps what it was told in its lease file, the boot file name among it.
#[test]
fn dhclient_gets_its_loader_from_an_exported_dnsmasq() {
    let folder = TempDir::new().unwrap();
    let file = exported(Form::Dnsmasq, folder.path());
    let segment = Segment::new();
    let _daemon = Daemon(
        segment
            .head
            .command("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--pid-file",
                "--port=0",
                "--interface=eth1",
                "--bind-interfaces",
                "--user=root",
                "--no-ping",
                "--no-hosts",
            ])
            .arg(format!("--conf-file={}", file.display()))
            .arg(format!("--dhcp-leasefile={}", folder.path().join("leases").display()))
            .arg(format!("--log-facility={}", folder.path().join("log").display()))
            .spawn()
            .unwrap(),
    );
    segment.plug(NODE07);
    let client = folder.path().join("dhclient.conf");
    let wishes = "option client-type code 93 = unsigned integer 16;\nsend vendor-class-identifier \"PXEClient:Arch:00007:UNDI:003016\";\n\
                  send client-type 7;\nrequest subnet-mask, domain-name-servers, bootfile-name;\n";
    fs::write(&client, wishes).unwrap();
    let got = folder.path().join("dhclient.leases");
    let pid = folder.path().join("dhclient.pid");
    run(segment
        .node
        .command("dhclient")
        .args(["-1", "-sf", "/bin/true", "-cf"])
        .arg(&client)
        .arg("-lf")
        .arg(&got)
        .arg("-pf")
        .arg(&pid)
        .arg("eth0"));
    // The file is written by the process that stays behind, a moment after the one that was waited for.
    let number = wait_for("dhclient's process number", || fs::read_to_string(&pid).ok().filter(|pid| pid.ends_with('\n')));
    run(Command::new("kill").arg(number.trim()));
    let got = fs::read_to_string(got).unwrap();
    assert!(got.contains("fixed-address 10.77.0.7;") && got.contains("snponly.efi"), "{got}");
}
