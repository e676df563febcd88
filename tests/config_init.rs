//! `kickctl init`, `doctor`, `export` and `completions`, run as a person runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support {
    pub mod netns;
}

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output};

use serde_json::Value;
use support::netns::{Namespace, cable, printed, run, wait_for};
use tempfile::TempDir;

const KICKCTL: &str = env!("CARGO_BIN_EXE_kickctl");

fn kickctl(data: &Path, arguments: &str) -> Output {
    Command::new(KICKCTL).arg("--data").arg(data).args(arguments.split_whitespace()).env_remove("KICKCTL_CONFIG").output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", printed(output)))
}

const INIT: &str = "init --interface eth9 --subnet 10.77.0.0/24";

#[test]
fn init_makes_a_head_whose_secrets_are_its_owners_alone() {
    let place = TempDir::new().unwrap();
    let data = place.path().join("data");
    let made = kickctl(&data, &format!("{INIT} --pool 10.77.0.200-10.77.0.250 -o json"));
    assert_eq!(made.status.code(), Some(0), "{}", printed(&made));
    let made = json(&made);
    assert_eq!((made["address"].as_str(), made["made"].as_bool()), (Some("10.77.0.1"), Some(true)));

    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    let modes = ["", "kickctl.toml", "state.db", "objects", "keys", "keys/signing.key", "keys/token.secret", "keys/signing.gpg"].map(mode);
    assert_eq!(modes, [0o755, 0o644, 0o600, 0o700, 0o700, 0o600, 0o600, 0o644]);
    let shown = run(Command::new("gpg").args(["--show-keys", "--with-colons"]).arg(data.join("keys/signing.gpg")));
    assert!(shown.contains(made["signing_key"].as_str().unwrap()), "GnuPG reads the public key that init names: {shown}");
}

#[test]
fn init_overwrites_nothing_and_keeps_the_keys_of_a_head_that_begins_anew() {
    let place = TempDir::new().unwrap();
    let data = place.path();
    let first = json(&kickctl(data, &format!("{INIT} -o json")));
    let config = fs::read(data.join("kickctl.toml")).unwrap();
    let again = kickctl(data, INIT);
    assert_eq!(again.status.code(), Some(4), "{}", printed(&again));
    assert!(printed(&again).contains("overwrites nothing"), "{}", printed(&again));
    assert_eq!(fs::read(data.join("kickctl.toml")).unwrap(), config);

    fs::remove_file(data.join("kickctl.toml")).unwrap();
    let anew = json(&kickctl(data, &format!("{INIT} --domain hpc.local -o json")));
    assert_eq!(anew["signing_key"], first["signing_key"]);
    assert!(fs::read_to_string(data.join("kickctl.toml")).unwrap().contains("hpc.local"));
}

#[test]
fn a_configuration_can_lie_elsewhere_and_names_the_data_folder() {
    let place = TempDir::new().unwrap();
    let (file, data) = (place.path().join("head.toml"), place.path().join("data"));
    let with_config =
        |arguments: &str| Command::new(KICKCTL).arg("--config").arg(&file).args(arguments.split_whitespace()).output().unwrap();
    let made = with_config(&format!("--data {} {INIT}", data.display()));
    assert_eq!(made.status.code(), Some(0), "{}", printed(&made));
    assert!(data.join("state.db").exists() && !data.join("kickctl.toml").exists());
    run(Command::new(KICKCTL).arg("--config").arg(&file).args([
        "node",
        "add",
        "node01",
        "--mac",
        "52:54:00:00:00:01",
        "--address",
        "10.77.0.11",
    ]));
    assert_eq!(printed(&with_config("export hosts")), "10.77.0.11\tnode01.cluster node01\n");
}

#[test]
fn a_dry_run_makes_nothing() {
    let place = TempDir::new().unwrap();
    let data = place.path().join("data");
    let shown = kickctl(&data, &format!("{INIT} --dry-run"));
    assert_eq!(shown.status.code(), Some(0));
    assert!(printed(&shown).contains("subnet = \"10.77.0.0/24\""), "{}", printed(&shown));
    assert!(!data.exists());
}

#[test]
fn answers_that_make_no_sense_are_wrong_usage() {
    let place = TempDir::new().unwrap();
    let data = place.path().join("data");
    for (more, said) in [
        ("--dhcp proxy", "planned and not there yet"),
        ("--pool 10.77.0.1-10.77.0.9", "contains the head's address"),
        ("--gateway 10.78.0.1", "is no machine's address in 10.77.0.0/24"),
    ] {
        let output = kickctl(&data, &format!("{INIT} {more}"));
        assert_eq!(output.status.code(), Some(2), "{more}");
        assert!(printed(&output).contains(said), "{more}: {}", printed(&output));
    }
    assert_eq!(kickctl(&data, "init --interface eth9 --subnet 10.77.0.9/24").status.code(), Some(2));
    assert!(!data.exists());
}

#[test]
fn the_next_commands_that_init_names_are_commands() {
    let place = TempDir::new().unwrap();
    let made = json(&kickctl(place.path(), &format!("{INIT} -o json")));
    let next: Vec<&str> = made["next"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let doctor = next.iter().find(|command| command.ends_with(" doctor")).unwrap();
    let typed = doctor.replacen("kickctl", KICKCTL, 1) + " --no-probe -o json";
    let output = Command::new("sh").args(["-c", &typed]).output().unwrap();
    assert!(json(&output).as_array().is_some_and(|findings| findings.len() > 10), "{}", printed(&output));
    let add = next.iter().find(|command| command.contains(" node add ")).unwrap();
    run(Command::new("sh").args(["-c", &add.replacen("kickctl", KICKCTL, 1)]));
    assert_eq!(printed(&kickctl(place.path(), "export hosts")), "10.77.0.11\tnode01.cluster node01\n");
}

/// A daemon that ends with the test; `ip netns exec` becomes the program, so the child is the daemon.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn doctor_names_the_process_on_a_port_and_the_other_dhcp_server() {
    let place = TempDir::new().unwrap();
    let (head, other) = (Namespace::new("kdh"), Namespace::new("kdo"));
    cable((&head, "eth9"), (&other, "eth0"));
    other.ip("address add 10.77.0.254/24 dev eth0");
    kickctl(place.path(), INIT);
    let doctor = |finding: &str| {
        let output = head.command(KICKCTL).arg("--data").arg(place.path()).args(["doctor", "-o", "json"]).output().unwrap();
        let found = json(&output).as_array().unwrap().iter().find(|found| found["check"].as_str() == Some(finding)).cloned();
        (found.unwrap_or_else(|| panic!("no finding {finding}: {}", printed(&output))), output.status.code())
    };

    let (interface, code) = doctor("interface eth9");
    assert_eq!((interface["level"].as_str(), code), (Some("fail"), Some(1)));
    let remedy = interface["remedy"].as_str().unwrap().split(',').next().unwrap().to_owned();
    head.ip(remedy.strip_prefix("ip ").unwrap());
    assert_eq!(doctor("interface eth9").0["level"], "ok", "its own remedy mends it");
    assert_eq!(doctor("other DHCP servers").0["level"], "ok");
    assert_eq!(doctor("UDP port 69 (tftp)").0["level"], "ok");

    let leases = place.path().join("leases");
    let daemon = other
        .command("dnsmasq")
        .args([
            "--keep-in-foreground",
            "--port=0",
            "--interface=eth0",
            "--bind-interfaces",
            "--user=root",
            "--no-ping",
            "--conf-file=/dev/null",
        ])
        .args(["--dhcp-range=10.77.0.10,10.77.0.20", &format!("--dhcp-leasefile={}", leases.display())])
        .spawn()
        .unwrap();
    let _other_server = Daemon(daemon);
    let tftp = head
        .command("dnsmasq")
        .args(["--keep-in-foreground", "--port=0", "--enable-tftp", "--tftp-root=/usr/share", "--conf-file=/dev/null", "--pid-file"])
        .spawn()
        .unwrap();
    let tftp = Daemon(tftp);

    let found = wait_for("the other DHCP server", || Some(doctor("other DHCP servers").0).filter(|found| found["level"] == "fail"));
    assert!(found["told"].as_str().unwrap().contains("10.77.0.254"), "{found}");
    assert!(found["remedy"].as_str().unwrap().contains("kickctl export"), "{found}");
    let found = wait_for("the TFTP server", || Some(doctor("UDP port 69 (tftp)").0).filter(|found| found["level"] == "fail"));
    assert!(found["told"].as_str().unwrap().contains(&format!("process {}: dnsmasq", tftp.0.id())), "{found}");
}

#[test]
fn the_completion_scripts_are_scripts() {
    let place = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = kickctl(place.path(), &format!("completions {shell}"));
        assert_eq!(output.status.code(), Some(0));
        assert!(printed(&output).contains("doctor"), "{shell}");
    }
    let script = place.path().join("kickctl.bash");
    fs::write(&script, kickctl(place.path(), "completions bash").stdout).unwrap();
    let offered = |words: &str| {
        let complete = "source $0; COMP_WORDS=(kickctl $1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _kickctl kickctl ${COMP_WORDS[-1]} ${COMP_WORDS[-2]}; echo ${COMPREPLY[@]}";
        run(Command::new("bash").args(["-c", complete]).arg(&script).arg(words)).trim().to_owned()
    };
    assert_eq!(offered("expo"), "export");
    assert_eq!(offered("mirror ind"), "index");
    assert_eq!(offered("node add --addr"), "--address");
}

#[test]
fn export_without_nodes_is_a_file_that_dnsmasq_takes() {
    let place = TempDir::new().unwrap();
    kickctl(place.path(), &format!("{INIT} --dhcp off"));
    let file = place.path().join("dnsmasq.conf");
    fs::write(&file, kickctl(place.path(), "export dnsmasq").stdout).unwrap();
    run(Command::new("dnsmasq").arg("--test").arg(format!("--conf-file={}", file.display())));
    let nowhere = kickctl(&place.path().join("nothing"), "export hosts");
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(printed(&nowhere).contains("kickctl init"), "{}", printed(&nowhere));
}
