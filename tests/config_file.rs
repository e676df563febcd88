//! `kickctl.toml`: what it means, and what is said about each thing that can be wrong in it.

#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::time::Duration;

use kickctl::config::{self, Config, DhcpMode, Source};

const LEAST: &str = "interface = \"eth1\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n";

fn parse(text: &str) -> Result<Config, config::Error> {
    Config::parse(&Source::new("kickctl.toml", text))
}

/// What is said about the smallest good file with `more` after it.
fn said(more: &str) -> String {
    parse(&format!("{LEAST}{more}")).unwrap_err().to_string()
}

#[test]
fn three_keys_are_enough_and_the_rest_has_defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.http_base(), "http://10.0.0.1:8080");
    assert_eq!((config.tftp_port, config.syslog_port, config.dhcp.port), (69, 514, 67));
    assert_eq!(config.dhcp.mode, DhcpMode::Server);
    assert_eq!(config.dhcp.dns, [Ipv4Addr::new(10, 0, 0, 1)], "the installer stops and asks without a DNS server");
    assert_eq!((config.dhcp.gateway, config.dhcp.pool), (None, None));
    assert_eq!(config.dhcp.lease, Duration::from_secs(3600));
    assert_eq!(config.domain, "cluster");
    assert_eq!(config.limits, kickctl::domain::attempt::Limits::default());
    assert_eq!(config.retry_pauses.map(|pause| pause.as_secs()), [30, 120, 480]);
    assert_eq!(config.off_time, Duration::from_secs(6));
}

#[test]
fn every_key_can_be_set() {
    let config = parse(
        r#"
        data = "/srv/kickctl"
        interface = "bond0.7"
        address = "10.1.4.1"
        subnet = "10.1.4.0/22"
        domain = "hpc.example.org"
        [dhcp]
        mode = "off"
        pool = "10.1.7.0 - 10.1.7.200"
        lease = "7d"
        gateway = "10.1.4.254"
        dns = ["10.1.4.1", "192.0.2.53"]
        ntp = ["10.1.4.1"]
        beside_other_server = true
        [http]
        port = 80
        [limits]
        install = "2h"
        stall = "10min"
        [retries]
        pauses = ["1min", "5min"]
        [power]
        off = "15s"
        [mirrors]
        parallel = 16
        [loaders]
        path = "/srv/loaders"
        "#,
    )
    .unwrap();
    assert_eq!(config.http_base(), "http://10.1.4.1");
    assert_eq!(config.dhcp.mode, DhcpMode::Off);
    assert_eq!(config.dhcp.pool.map(|pool| pool.len()), Some(201));
    assert_eq!(config.dhcp.lease, Duration::from_secs(7 * 86_400));
    assert_eq!((config.limits.install, config.limits.stall), (7200, 600));
    assert_eq!(config.retry_pauses.map(|pause| pause.as_secs()), [60, 300, 300]);
    assert_eq!(config.off_time, Duration::from_secs(15));
    assert_eq!(config.parallel, 16);
    assert_eq!(config::data(None, Some(&config)).to_str(), Some("/srv/kickctl"));
}

#[test]
fn each_wrong_value_is_told_with_file_line_key_value_and_what_is_allowed() {
    let cases = [
        (
            "[dhcp]\nmode = \"proxy\"\n",
            "kickctl.toml:5:8: dhcp.mode = \"proxy\": proxyDHCP is planned and not there yet; allowed: \"server\"",
        ),
        ("[retries]\npauses = []\n", "retries.pauses = []: has too few or too many pauses; allowed: one to three time spans"),
        ("[retries]\npauses = [\"1min\", \"soon\"]\n", "retries.pauses.1 = \"soon\": is no time span"),
        ("[power]\noff = \"400d\"\n", "power.off = \"400d\": is out of range"),
        ("[dhcp]\nmode = \"on\"\n", "kickctl.toml:5:8: dhcp.mode = \"on\": is no mode; allowed: \"server\""),
        ("[dhcp]\npool = \"10.0.0.9\"\n", "kickctl.toml:5:8: dhcp.pool = \"10.0.0.9\": is no range of addresses; allowed: FIRST-LAST"),
        ("[dhcp]\npool = \"10.0.0.9-10.0.0.8\"\n", "kickctl.toml:5:8: dhcp.pool = \"10.0.0.9-10.0.0.8\": ends before it starts"),
        ("[dhcp]\npool = \"10.0.0.9-10.0.1.8\"\n", "dhcp.pool = \"10.0.0.9-10.0.1.8\": leaves 10.0.0.0/24"),
        ("[dhcp]\npool = \"10.0.0.1-10.0.0.8\"\n", "contains the head's address, 10.0.0.1"),
        ("[dhcp]\ngateway = \"10.0.0.8\"\npool = \"10.0.0.7-10.0.0.9\"\n", "kickctl.toml:6:8: dhcp.pool"),
        (
            "[dhcp]\ngateway = \"10.0.0.255\"\n",
            "dhcp.gateway = \"10.0.0.255\": is no machine's address in 10.0.0.0/24; allowed: 10.0.0.0 to 10.0.0.255",
        ),
        ("[dhcp]\ndns = []\n", "dhcp.dns = []: is empty"),
        (
            "[dhcp]\ndns = [\"10.0.0.1\", \"dns1\"]\n",
            "kickctl.toml:5:20: dhcp.dns.1 = \"dns1\": invalid IPv4 address syntax; allowed: an IPv4 address",
        ),
        ("[dhcp]\nlease = \"1 hour\"\n", "dhcp.lease = \"1 hour\": is no time span; allowed: a number with s, min, h or d"),
        ("[dhcp]\nlease = \"5s\"\n", "dhcp.lease = \"5s\": is out of range"),
        ("[dhcp]\nlease = \"99999999999999999999h\"\n", "is no time span"),
        ("[dhcp]\nlease = 60\n", "kickctl.toml:5:9: dhcp.lease = 60: invalid type: integer `60`, expected a string"),
        ("[http]\nport = 0\n", "kickctl.toml:5:8: http.port = 0: is out of range; allowed: 1 to 65535"),
        ("[http]\nport = 514\n", "http.port = 514: port 514 is also that of [syslog]"),
        ("[tftp]\nport = 67\n", "port 67 is also that of [tftp]"),
        ("[http]\nhost = \"x\"\n", "kickctl.toml:5:1: http.host: there is no such key; allowed: `port`"),
        ("[limits]\nboot = \"1s\"\n", "kickctl.toml:5:1: limits.boot: there is no such key; allowed: `power`"),
        (
            "[limits]\nfirst_boot = \"2s\"\n",
            "limits.first_boot = \"2s\": is out of range; allowed: a number with s, min, h or d, such as 90s or 10min; 5 s to 365d",
        ),
        ("[refresh]\nat = \"sometimes\"\n", "refresh.at = \"sometimes\": is no schedule"),
        ("[mirrors]\nparallel = 0\n", "mirrors.parallel = 0: is out of range; allowed: 1 to 64"),
        ("[loaders]\npath = \"loaders\"\n", "loaders.path = \"loaders\": is not an absolute path"),
        ("domain = \"Cluster\"\n", "kickctl.toml:4:10: domain = \"Cluster\": is no DNS domain"),
        ("domain = \"a..b\"\n", "is no DNS domain"),
    ];
    for (text, expected) in cases {
        let said = said(text);
        assert!(said.contains(expected), "{text}\nsaid:     {said}\nexpected: {expected}");
    }
}

#[test]
fn the_addresses_of_the_head_must_fit_each_other() {
    let said = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(
        said("interface = \"eth1\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.1/24\"\n"),
        "kickctl.toml:3:10: subnet = \"10.0.0.1/24\": `10.0.0.1/24` has host bits set: the network that holds it is 10.0.0.0/24"
    );
    let outside = said("interface = \"eth1\"\naddress = \"10.0.1.1\"\nsubnet = \"10.0.0.0/24\"\n");
    assert!(outside.starts_with("kickctl.toml:2:11: address = \"10.0.1.1\": is no machine's address in 10.0.0.0/24"), "{outside}");
    let nameless = said("address = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n");
    assert_eq!(nameless, "kickctl.toml:1:1: interface: is missing, and has no default");
    let long = said("interface = \"sixteencharacter\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n");
    assert!(long.contains("is no interface's name"), "{long}");
}

#[test]
fn the_diagnostic_shows_the_line_itself() {
    let error = parse(&format!("{LEAST}[http]\nport = 0\n")).unwrap_err();
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none()).render_report(&mut shown, &error).unwrap();
    assert!(shown.contains("port = 0") && shown.contains("1 to 65535"), "{shown}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load("/nonexistent/kickctl.toml".as_ref()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nonexistent/kickctl.toml"), "{error}");
}
