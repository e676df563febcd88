//! The protocol servers at the other end of real clients: udhcpc, dhclient, perfdhcp, atftp, tftp-hpa, curl, logger.
//!
//! Each test has two namespaces of its own joined by a cable: `head` (10.99.0.1 on `eth0`) with our server, `node` (on `eth0`) with the client.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/netns.rs"]
mod netns;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kickctl::net::{dhcp, syslog, tftp};
use netns::{Namespace, cable, printed, run, wait_for};
use tokio_util::sync::CancellationToken;

const HEAD: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// A head with a server in it, and a node.
struct Lab {
    node: Namespace,
    shutdown: CancellationToken,
    server: Option<JoinHandle<()>>,
    head: Namespace,
}

impl Lab {
    fn new() -> Self {
        let (head, node) = (Namespace::new("kh"), Namespace::new("kn"));
        cable((&head, "eth0"), (&node, "eth0"));
        head.ip("addr add 10.99.0.1/16 dev eth0");
        Self { node, shutdown: CancellationToken::new(), server: None, head }
    }

    /// Runs `serve` in the head until the lab is gone; `serve` has bound its sockets when this returns.
    fn serve<S, F>(
        &mut self,
        bind: impl FnOnce() -> std::io::Result<S> + Send + 'static,
        serve: impl FnOnce(S, CancellationToken) -> F + Send + 'static,
    ) where
        F: Future<Output = std::io::Result<()>>,
    {
        let (bound, is_bound) = channel();
        let shutdown = self.shutdown.clone();
        self.server = Some(self.head.spawn(move || {
            let server = bind().unwrap();
            bound.send(()).unwrap();
            runtime().block_on(serve(server, shutdown)).unwrap();
        }));
        is_bound.recv().unwrap();
    }

    fn dhcp(&mut self, handler: impl dhcp::Handler + 'static) {
        let bind = || dhcp::Server::bind(&dhcp::Config::new("eth0", HEAD));
        self.serve(bind, |server, shutdown| server.run(Arc::new(handler), shutdown));
    }

    fn node_has_address(&self) {
        self.node.ip("addr add 10.99.0.9/16 dev eth0");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(server) = self.server.take() {
            let ended = server.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

// ---- DHCP

/// Gives every MAC address its own address, in order, and tells what it was asked.
struct Leases {
    known: Mutex<HashMap<[u8; 6], Ipv4Addr>>,
    asked: Mutex<Sender<dhcp::Request>>,
}

impl Leases {
    fn new() -> (Self, Receiver<dhcp::Request>) {
        let (asked, questions) = channel();
        (Self { known: Mutex::default(), asked: Mutex::new(asked) }, questions)
    }
}

#[async_trait::async_trait]
impl dhcp::Handler for Leases {
    async fn answer(&self, request: &dhcp::Request) -> dhcp::Answer {
        let _ = self.asked.lock().unwrap().send(request.clone());
        let mut known = self.known.lock().unwrap();
        let next = Ipv4Addr::from(u32::from(HEAD) + 100 + u32::try_from(known.len()).unwrap());
        let address = *known.entry(request.mac).or_insert(next);
        let wants = match request.kind {
            dhcp::RequestKind::Request { requested, .. } => requested.unwrap_or(request.ciaddr),
            _ => address,
        };
        if wants != address {
            return dhcp::Answer::Nak("that address is not yours".into());
        }
        dhcp::Answer::from(dhcp::Reply {
            address,
            mask: Ipv4Addr::new(255, 255, 0, 0),
            router: Some(HEAD),
            dns: vec![HEAD, Ipv4Addr::new(10, 99, 0, 2)],
            ntp: vec![HEAD],
            domain: Some("cluster.example".into()),
            host_name: Some("node07".into()),
            lease: Duration::from_secs(3600),
            boot: Some(dhcp::Boot { next_server: HEAD, file: "snponly.efi".into() }),
        })
    }
}

/// A script for a client that notes down its environment, and configures nothing but what it is told to.
fn script(folder: &Path, then: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("script");
    std::fs::write(&path, format!("#!/bin/sh\nenv | sed \"s/^/${{1:-$reason}} /\" >>{}/seen\n{then}\nexit 0\n", folder.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn seen(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("seen")).unwrap_or_default()
}

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|seen| seen == *line), "`{line}` is not among\n{text}");
    }
}

#[test]
fn udhcpc_gets_an_address_with_everything_that_belongs_to_it_renews_it_by_unicast_and_gives_it_back() {
    let (folder, mut lab, (leases, questions)) = (tempfile::tempdir().unwrap(), Lab::new(), Leases::new());
    lab.dhcp(leases);
    let script = script(folder.path(), "[ \"$1\" != bound ] || ip addr add $ip/$mask dev $interface");
    let options = ["hostname", "domain", "ntpsrv", "dns", "router", "tftp", "bootfile"].iter().flat_map(|option| ["-O", option]);
    let mut client = lab.node.command("udhcpc").args(["-i", "eth0", "-f", "-R", "-s", &script]).args(options).spawn().unwrap();
    let bound = wait_for("an address", || Some(seen(folder.path())).filter(|text| text.contains("bound ip=")));
    assert_lines(
        &bound,
        &[
            "bound ip=10.99.0.101",
            "bound subnet=255.255.0.0",
            "bound router=10.99.0.1",
            "bound dns=10.99.0.1 10.99.0.2",
            "bound ntpsrv=10.99.0.1",
            "bound domain=cluster.example",
            "bound hostname=node07",
            "bound lease=3600",
            "bound serverid=10.99.0.1",
            "bound siaddr=10.99.0.1",
            "bound boot_file=snponly.efi",
            "bound tftp=10.99.0.1",
        ],
    );
    signal(client.id(), "USR1");
    wait_for("a renewal", || seen(folder.path()).contains("renew ip=10.99.0.101").then_some(()));
    signal(client.id(), "TERM");
    client.wait().unwrap();
    let release = wait_for("the release", || questions.try_iter().find(|request| request.kind == dhcp::RequestKind::Release));
    assert_eq!(release.ciaddr, Ipv4Addr::new(10, 99, 0, 101));
}

/// `ip netns exec` becomes the program, so the child's number is the client's own.
fn signal(process: u32, name: &str) {
    run(std::process::Command::new("kill").args([&format!("-{name}"), &process.to_string()]));
}

#[test]
fn udhcpc_that_remembers_a_foreign_address_is_told_no_and_gets_its_own() {
    let (folder, mut lab, (leases, _questions)) = (tempfile::tempdir().unwrap(), Lab::new(), Leases::new());
    lab.dhcp(leases);
    let script = script(folder.path(), "");
    run(lab.node.command("udhcpc").args(["-i", "eth0", "-f", "-q", "-n", "-r", "10.99.7.7", "-s", &script]));
    assert_lines(&seen(folder.path()), &["bound ip=10.99.0.101"]);
}

#[test]
fn dhclient_gets_an_address_with_router_name_servers_domain_and_host_name() {
    let (folder, mut lab, (leases, questions)) = (tempfile::tempdir().unwrap(), Lab::new(), Leases::new());
    lab.dhcp(leases);
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("conf"), "request subnet-mask, routers, domain-name-servers, domain-name, host-name, ntp-servers;\n").unwrap();
    let script = script(folder.path(), "");
    let files = ["-sf", &script, "-cf", &file("conf"), "-lf", &file("leases"), "-pf", &file("pid")];
    let mut client = lab.node.command("dhclient").args(["-4", "-1", "-d"]).args(files).arg("eth0").spawn().unwrap();
    let bound = wait_for("an address", || Some(seen(folder.path())).filter(|text| text.contains("BOUND new_ip_address")));
    signal(client.id(), "TERM");
    client.wait().unwrap();
    assert_lines(
        &bound,
        &[
            "BOUND new_ip_address=10.99.0.101",
            "BOUND new_subnet_mask=255.255.0.0",
            "BOUND new_routers=10.99.0.1",
            "BOUND new_domain_name_servers=10.99.0.1 10.99.0.2",
            "BOUND new_domain_name=cluster.example",
            "BOUND new_host_name=node07",
            "BOUND new_ntp_servers=10.99.0.1",
            "BOUND new_dhcp_lease_time=3600",
        ],
    );
    assert!(questions.try_iter().count() >= 2, "a DISCOVER and a REQUEST reached the handler");
}

/// Never answers clients that call themselves slow.
struct Stuck(Leases);

#[async_trait::async_trait]
impl dhcp::Handler for Stuck {
    async fn answer(&self, request: &dhcp::Request) -> dhcp::Answer {
        if request.vendor_class.as_deref() == Some("slow") {
            std::future::pending::<()>().await;
        }
        self.0.answer(request).await
    }
}

#[test]
fn neither_a_handler_that_hangs_nor_noise_on_the_port_keeps_others_from_an_address() {
    let (folder, mut lab, (leases, _questions)) = (tempfile::tempdir().unwrap(), Lab::new(), Leases::new());
    let (told, counters) = channel();
    let bind = move || {
        let server = dhcp::Server::bind(&dhcp::Config::new("eth0", HEAD))?;
        told.send(server.counters()).unwrap();
        Ok(server)
    };
    lab.serve(bind, |server, shutdown| server.run(Arc::new(Stuck(leases)), shutdown));
    lab.node_has_address();
    lab.node.within(|| {
        let socket = std::net::UdpSocket::bind("10.99.0.9:0").unwrap();
        for length in [0, 1, 239, 240, 300, 1400] {
            socket.send_to(&vec![255; length], (HEAD, 67)).unwrap();
        }
    });
    let script = script(folder.path(), "");
    let udhcpc = |vendor: &str| {
        let mut command = lab.node.command("udhcpc");
        command.args(["-i", "eth0", "-f", "-q", "-n", "-V", vendor, "-s", &script]);
        command
    };
    let mut slow = udhcpc("slow").spawn().unwrap();
    let counters = counters.recv().unwrap();
    wait_for("the slow client's request", || (counters.received() >= 7).then_some(()));
    run(&mut udhcpc("quick"));
    let (malformed, sent) = (counters.malformed(), counters.sent());
    slow.kill().unwrap();
    slow.wait().unwrap();
    assert_eq!((malformed, sent), (6, 2), "the noise is counted; an OFFER and an ACK were sent");
    assert_lines(&seen(folder.path()), &["bound ip=10.99.0.101"]);
}

#[test]
fn perfdhcp_loses_no_answer_of_hundreds_of_clients() {
    let (mut lab, (leases, _questions)) = (Lab::new(), Leases::new());
    lab.dhcp(leases);
    lab.node_has_address();
    let output = lab.node.command("perfdhcp").args("-4 -l eth0 -r 200 -R 600 -n 600 -d 10 -W 3000000".split(' ')).output().unwrap();
    let report = printed(&output);
    let dropped: Vec<_> = report.lines().filter(|line| line.starts_with("drops:")).collect();
    assert_eq!(dropped, ["drops: 0", "drops: 0"], "{report}");
    assert!(report.lines().any(|line| line == "received packets: 600"), "{report}");
}

#[test]
fn the_probe_finds_a_server_from_an_interface_without_address_and_nobody_on_an_empty_segment() {
    let (mut lab, (leases, _questions)) = (Lab::new(), Leases::new());
    let probe = || runtime().block_on(dhcp::Probe::bind("eth0").unwrap().run(Duration::from_secs(2))).unwrap();
    assert_eq!(lab.node.within(probe), Vec::<Ipv4Addr>::new());
    lab.dhcp(leases);
    assert_eq!(lab.node.within(probe), [HEAD]);
    assert_eq!(lab.head.within(probe), [HEAD], "one's own server is seen too");
}

// ---- TFTP

/// Serves a few names, from memory and from files, and tells how it ended.
struct Shelf {
    contents: HashMap<&'static str, Vec<u8>>,
    folder: tempfile::TempDir,
    ended: Mutex<Sender<tftp::Finished>>,
}

#[async_trait::async_trait]
impl tftp::Handler for Shelf {
    async fn open(&self, _peer: SocketAddr, name: &str) -> Result<tftp::Content, tftp::Refused> {
        let bytes = self.contents.get(name).ok_or(tftp::Refused::NotFound)?;
        if name == "empty" || name == "even" {
            return Ok(tftp::Content::Memory(bytes.as_slice().into()));
        }
        let file = std::fs::File::open(self.folder.path().join(name)).unwrap();
        Ok(tftp::Content::File { file, length: bytes.len() as u64 })
    }

    async fn finished(&self, transfer: tftp::Finished) {
        let _ = self.ended.lock().unwrap().send(transfer);
    }
}

/// Bytes in which a block that is lost, doubled or swapped shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn shelf() -> (Shelf, HashMap<&'static str, Vec<u8>>, Receiver<tftp::Finished>) {
    let contents =
        HashMap::from([("big", pattern(5_000_000)), ("empty", Vec::new()), ("even", pattern(512 * 64)), ("many", pattern(8 * 66_000 + 3))]);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &contents {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let (ended, ends) = channel();
    (Shelf { contents: contents.clone(), folder, ended: Mutex::new(ended) }, contents, ends)
}

/// Fetches each name with `client` (the arguments for a name and a local file) and compares the bytes.
fn fetch_all(names: &[&str], client: impl Fn(&Namespace, &str, &str) -> std::process::Command) {
    let (mut lab, (shelf, contents, ends)) = (Lab::new(), shelf());
    lab.node_has_address();
    lab.serve(|| tftp::Server::bind(tftp::Config::new(HEAD.into())), |server, shutdown| server.run(Arc::new(shelf), shutdown));
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let local = folder.path().join(name);
        run(&mut client(&lab.node, name, local.to_str().unwrap()));
        let (got, expected) = (std::fs::read(&local).unwrap(), &contents[name]);
        assert_eq!(got.len(), expected.len(), "{name}");
        assert!(got == *expected, "{name}: {:?} is the first byte that differs", got.iter().zip(expected).position(|(a, b)| a != b));
        let end = ends.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!((end.name.as_str(), &end.outcome, end.acknowledged), (*name, &tftp::Outcome::Complete, expected.len() as u64));
        assert_eq!(end.peer.ip(), IpAddr::from([10, 99, 0, 9]));
    }
}

#[test]
fn tftp_hpa_fetches_a_large_an_empty_and_an_even_file() {
    fetch_all(&["big", "empty", "even"], |node, name, local| {
        let mut command = node.command("tftp");
        command.args(["-m", "binary", "10.99.0.1", "-c", "get", name, local]);
        command
    });
}

#[test]
fn atftp_fetches_with_and_without_large_blocks_and_windows() {
    let options: [&[&str]; 3] =
        [&[], &["--option", "blksize 1428", "--option", "tsize 0"], &["--option", "windowsize 16", "--option", "blksize 1428"]];
    for list in options {
        fetch_all(&["big", "empty", "even"], |node, name, local| {
            let mut command = node.command("atftp");
            command.args(list).args(["--get", "-r", name, "-l", local, "10.99.0.1"]);
            command
        });
    }
}

#[test]
fn curl_fetches_with_its_own_options_and_across_the_roll_over_of_block_numbers() {
    let curl = |block: &'static str| {
        move |node: &Namespace, name: &str, local: &str| {
            let mut command = node.command("curl");
            command.args(["-sS", "--tftp-blksize", block, "-o", local, &format!("tftp://10.99.0.1/{name}")]);
            command
        }
    };
    fetch_all(&["big", "empty", "even"], curl("512"));
    fetch_all(&["big"], curl("65464"));
    fetch_all(&["many"], curl("8"));
}

#[test]
fn many_clients_fetch_at_the_same_time() {
    const CLIENTS: usize = 24;
    let (mut lab, (shelf, contents, _ends)) = (Lab::new(), shelf());
    lab.node_has_address();
    let config = tftp::Config { transfers_per_client: CLIENTS, ..tftp::Config::new(HEAD.into()) };
    lab.serve(move || tftp::Server::bind(config), |server, shutdown| server.run(Arc::new(shelf), shutdown));
    let folder = tempfile::tempdir().unwrap();
    let local = |number: usize| folder.path().join(number.to_string()).to_str().unwrap().to_owned();
    let start = |number| {
        lab.node.command("atftp").args(["--option", "blksize 1428", "--get", "-r", "big", "-l", &local(number), "10.99.0.1"]).spawn()
    };
    let clients: Vec<_> = (0..CLIENTS).map(|number| start(number).unwrap()).collect();
    for (number, mut client) in clients.into_iter().enumerate() {
        assert!(client.wait().unwrap().success(), "client {number}");
        assert!(std::fs::read(local(number)).unwrap() == contents["big"], "client {number}");
    }
}

#[test]
fn what_is_not_there_and_what_would_be_written_is_refused_with_the_right_error() {
    let (mut lab, (shelf, _contents, _ends)) = (Lab::new(), shelf());
    lab.node_has_address();
    lab.serve(|| tftp::Server::bind(tftp::Config::new(HEAD.into())), |server, shutdown| server.run(Arc::new(shelf), shutdown));
    let missing = lab.node.command("curl").args(["-sS", "tftp://10.99.0.1/nothing"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(68), "curl's code for file not found: {}", printed(&missing));
    let written = lab.node.command("curl").args(["-sS", "-T", "/etc/hostname", "tftp://10.99.0.1/new"]).output().unwrap();
    assert_eq!(written.status.code(), Some(69), "curl's code for permission problem: {}", printed(&written));
}

// ---- syslog

struct Log(Mutex<Sender<(IpAddr, syslog::Line)>>);

#[async_trait::async_trait]
impl syslog::Handler for Log {
    async fn line(&self, peer: IpAddr, line: syslog::Line) {
        let _ = self.0.lock().unwrap().send((peer, line));
    }
}

#[test]
fn logger_is_understood_over_udp_and_tcp_in_both_formats_and_framings() {
    let (sender, lines) = channel();
    let mut lab = Lab::new();
    lab.node_has_address();
    let bind = || syslog::Server::bind(syslog::Config::new(HEAD.into()));
    lab.serve(bind, |server, shutdown| server.run(Arc::new(Log(Mutex::new(sender))), shutdown));
    let ways: [&[&str]; 6] = [
        &["-d"],
        &["-T"],
        &["-d", "--rfc3164"],
        &["-T", "--rfc3164"],
        &["-T", "--octet-count"],
        &["-d", "--sd-id", "a@1", "--sd-param", "b=\"x\""],
    ];
    for way in ways {
        let message = format!("grüße: sent by {}", way.join(" "));
        let common = ["-n", "10.99.0.1", "-P", "514", "-t", "anna", "-p", "daemon.warning"];
        run(lab.node.command("logger").args(common).args(way).args(["--", &message]));
        let (peer, line) = lines.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(peer, IpAddr::from([10, 99, 0, 9]));
        assert_eq!((line.facility, line.severity, line.tag.as_deref()), (3, 4, Some("anna")), "{way:?}");
        assert_eq!(line.message, message);
    }
}
