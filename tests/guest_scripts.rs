//! What runs in a diskless node before its system does, by the shells that run it, against an HTTP server that says yes, no, or nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in test functions only, not in their helpers")]

#[path = "support/guest.rs"]
mod guest_machine;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use guest_machine::{Machine, SHELLS, printed, run, source};
use kickctl::domain::checksum::Sha256;
use kickctl::image::guest;
use kickctl::net::syslog;

/// A script that is ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    async fn ended(&mut self) -> bool {
        for _ in 0..600 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A head that answers the same to everything, and remembers what it was asked.
#[derive(Clone)]
struct Head {
    said: Arc<Mutex<(StatusCode, Vec<u8>)>>,
    heard: Arc<Mutex<Vec<(String, String, String)>>>,
    address: SocketAddr,
}

impl Head {
    async fn start(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let head = Self { said: Arc::default(), heard: Arc::default(), address: listener.local_addr().unwrap() };
        head.say(status, body);
        let router = Router::new().fallback(answer).with_state(head.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        head
    }

    fn say(&self, status: u16, body: impl Into<Vec<u8>>) {
        *self.said.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body.into());
    }

    fn heard(&self) -> Vec<(String, String, String)> {
        self.heard.lock().unwrap().clone()
    }

    async fn hears(&self, path: &str) -> (String, String, String) {
        for _ in 0..600 {
            if let Some(found) = self.heard().into_iter().find(|(asked, ..)| asked == path) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} was never asked; but {:?}", self.heard());
    }

    /// What /kickctl/env says of this head.
    fn env(&self, more: &str) -> String {
        let url = format!("http://{}", self.address);
        format!("KICKCTL_NODE='node07'\nKICKCTL_KIND='ram'\nKICKCTL_HEAD='{url}'\nKICKCTL_TAKEOVER='{url}/boot/3-00/takeover'\n{more}\n")
    }
}

async fn answer(State(head): State<Head>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    head.heard.lock().unwrap().push((uri.path().to_owned(), token, String::from_utf8_lossy(&body).into_owned()));
    head.said.lock().unwrap().clone()
}

#[test]
fn every_script_reads_in_the_shells_that_run_it() {
    let mut files = guest::files(guest::Maker::Dracut);
    files.extend(guest::files(guest::Maker::InitramfsTools));
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        fs::write(&path, file.content).unwrap();
        let shells: &[&[&str]] = match file.path.rsplit_once('/').unwrap().1 {
            "agent" | "log" | "module-setup.sh" => &[&["bash", "-n"]],
            name if name.ends_with(".service") || file.path.contains("conf.d") => continue,
            _ => &[&["busybox", "ash", "-n"], &["dash", "-n"], &["bash", "-n"]],
        };
        for shell in shells {
            let arguments: Vec<&str> = shell[1..].iter().copied().chain([path.to_str().unwrap()]).collect();
            assert_eq!(run(shell[0], &arguments), "", "{}", file.path);
        }
    }
}

#[test]
fn the_card_is_the_one_that_was_booted_from() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        for (card, address) in [("lo", "00:00:00:00:00:00"), ("ens3", "52:54:00:00:00:f1"), ("ens4", "52:54:00:00:ab:07")] {
            let folder = machine.path("sys/class/net").join(card);
            fs::create_dir_all(folder.join(if card == "lo" { "queues" } else { "device" })).unwrap();
            fs::write(folder.join("address"), format!("{address}\n")).unwrap();
        }
        assert_eq!(machine.says("BOOTIF=01-52-54-00-00-AB-07; nic_of \"$(boot_mac)\""), "ens4");
        assert_eq!(machine.says("KICKCTL_MAC=52:54:00:00:00:F1; nic_of \"$(boot_mac)\""), "ens3");
        assert_eq!(machine.says("BOOTIF='$(reboot)' KICKCTL_MAC=52:54:00:00:ab:07; boot_mac"), "52:54:00:00:ab:07");
        assert_eq!(machine.says("nic_of 52:54:00:00:00:99 || echo none"), "none");
        for (ip, told) in [
            ("dhcp", "ens4"),
            ("", "ens4"),
            ("10.0.0.7::10.0.0.1:255.255.255.0:node07::none", "10.0.0.7::10.0.0.1:255.255.255.0:node07:ens4:none"),
            ("10.0.0.7:::255.255.255.0:node07:eth0:off:10.0.0.1:10.0.0.2", "10.0.0.7:::255.255.255.0:node07:ens4:off:10.0.0.1:10.0.0.2"),
            ("::::node07:eth0:dhcp", "ens4"),
        ] {
            assert_eq!(machine.says(&format!("ip_for ens4 '{ip}'")), told, "{ip}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_missing_or_incomplete_ends_in_a_reboot_and_never_in_a_shell() {
    for shell in SHELLS {
        let head = Head::start(403, "").await;
        let machine = Machine::new(shell);
        assert!(machine.fails("read_env").contains("CANNOT START: there is no"));
        fs::write(machine.path("kickctl/env"), head.env("").replace("KICKCTL_KIND", "KICKCTL_OTHER")).unwrap();
        assert!(machine.fails("read_env").contains("does not set KICKCTL_KIND"));
        let odd = "KICKCTL_WRITABLE='/var/log tmpfs 10%\n/data nfs 10.0.0.1:/it'\\''s \"here\" $HOME'";
        fs::write(machine.path("kickctl/env"), head.env(odd)).unwrap();
        let read = machine.says("read_env; echo \"$KICKCTL_WRITABLE\"");
        assert_eq!(read, "/var/log tmpfs 10%\n/data nfs 10.0.0.1:/it's \"here\" $HOME");
        assert_eq!(fs::metadata(machine.path("state/env")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_the_head_under_the_report_token() {
    for shell in SHELLS {
        let head = Head::start(200, archive(&[("token", "3-secret\n")])).await;
        let machine = Machine::new(shell);
        fs::write(machine.path("kickctl/env"), head.env("")).unwrap();
        // What begins with @ is a text like any other.
        let console = machine.fails("read_env; fail '@/etc/passwd cannot be mounted'");
        assert!(console.contains("CANNOT START: @/etc/passwd cannot be mounted"), "{console}");
        let heard = head.heard();
        assert_eq!(heard[0].0, "/boot/3-00/takeover");
        assert_eq!(heard[1], ("/report/failed".into(), "Bearer 3-secret".into(), "@/etc/passwd cannot be mounted".into()));
    }
}

#[test]
fn a_card_gets_its_address_without_ipconfig_too() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        let mut command = Command::new("unshare");
        let given = "10.0.0.7:10.0.0.1:10.0.0.1:255.255.255.0:node07:lo:none:10.0.0.2:10.0.0.3";
        let inner = machine.command(&format!(
            "fixed_address lo {given} && fixed_address lo {given} && ip -o -4 address show dev lo && ip route && cat \"$KICKCTL_RUN/net-lo.conf\""
        ));
        command.args(["--net", "--"]).arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        let told = printed(&output);
        assert!(output.status.success(), "{told}");
        for words in ["inet 10.0.0.7/24 ", "default via 10.0.0.1 dev lo", "IPV4ADDR=10.0.0.7\nIPV4DNS0=10.0.0.2\nIPV4DNS1=10.0.0.3\n"] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}

/// A newc archive, as the head's answer to the take-over is one.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let made = Command::new("sh")
        .args(["-c", "find . -mindepth 1 | sort | cpio --quiet -o -H newc -R 0:0"])
        .current_dir(folder.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(made.status.success());
    made.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn the_take_over_is_asked_until_the_head_answers_and_given_up_when_it_refuses() {
    for shell in SHELLS {
        let given = archive(&[("token", "3-secret\n"), ("files/etc/ssh/ssh_host_ed25519_key", "key\n")]);
        let head = Head::start(503, "later").await;
        let machine = Machine::new(shell);
        fs::write(machine.path("kickctl/env"), head.env("")).unwrap();
        let mut waiting = Running::start(&mut machine.command("read_env; take_over"));
        head.hears("/boot/3-00/takeover").await;
        // Half an archive is no answer.
        head.say(200, &given[..given.len() / 3]);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!machine.path("state/token").exists());
        head.say(200, given);
        assert!(waiting.ended().await, "{}", machine.read("console"));
        assert_eq!(machine.read("state/token"), "3-secret\n");
        assert_eq!(machine.read("state/given/files/etc/ssh/ssh_host_ed25519_key"), "key\n");
        for (file, mode) in [("state/token", 0o600), ("state/given", 0o700), ("state/given/files/etc/ssh/ssh_host_ed25519_key", 0o600)] {
            assert_eq!(fs::metadata(machine.path(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
        }
        let refused = Machine::new(shell);
        fs::write(refused.path("kickctl/env"), head.env("")).unwrap();
        head.say(403, "");
        assert!(refused.fails("read_env; take_over").contains("does not let this node take over (status 403)"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_used_only_with_the_digest_that_the_head_told() {
    for shell in SHELLS {
        let root: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let head = Head::start(200, root.clone()).await;
        let machine = Machine::new(shell);
        let url = format!("http://{}/root.squashfs", head.address);
        let env = |digest: Sha256| {
            head.env(&format!("KICKCTL_ROOT_URL='{url}'\nKICKCTL_ROOT_SHA256='{digest}'\nKICKCTL_ROOT_SIZE='{}'", root.len()))
        };
        fs::write(machine.path("kickctl/env"), env(Sha256::of(&root))).unwrap();
        let fetch = format!("read_env; fetch_root {}", machine.path("image").display());
        machine.says(&fetch);
        assert_eq!(fs::read(machine.path("image")).unwrap(), root);
        fs::remove_file(machine.path("image")).unwrap();
        fs::write(machine.path("kickctl/env"), env(Sha256::of(b"another"))).unwrap();
        assert!(machine.fails(&fetch).contains("has another SHA-256"));
        assert_eq!(head.heard().iter().filter(|(path, ..)| path == "/root.squashfs").count(), 1 + 3);
        assert!(!machine.path("image").exists());
        head.say(404, "");
        assert!(machine.fails(&fetch).contains("does not give"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_calls_home_until_it_is_heard_and_then_gives_signs_of_life() {
    let head = Head::start(503, "later").await;
    let machine = Machine::new(SHELLS[0]);
    fs::write(machine.path("state/env"), head.env("KICKCTL_HEARTBEAT='1'\nKICKCTL_VERSION='20261121T045300Z-3f9a2c41'")).unwrap();
    fs::write(machine.path("state/token"), "3-secret\n").unwrap();
    let _agent = Running::start(Command::new("bash").arg(source("agent/agent")).env("KICKCTL_STATE", machine.path("state")));
    let (_, token, body) = head.hears("/report/home").await;
    assert_eq!(token, "Bearer 3-secret");
    for fact in ["hostname=", "kind=ram", "version=20261121T045300Z-3f9a2c41", "boot_id=", "kernel=", "memory_mib=", "uptime="] {
        assert!(body.contains(fact), "{fact} in {body}");
    }
    assert!(head.heard().iter().all(|(path, ..)| path == "/report/home"), "no sign of life before the head has heard who lives");
    head.say(200, "ok");
    let (_, token, body) = head.hears("/report/heartbeat").await;
    assert!(token == "Bearer 3-secret" && body.contains("uptime="), "{body}");
}

#[test]
fn the_journal_goes_to_the_head_and_goes_on_where_a_lost_connection_left_off() {
    let machine = Machine::new(SHELLS[0]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    fs::write(machine.path("state/env"), format!("KICKCTL_SYSLOG='{address}'\n")).unwrap();
    // What journalctl -o json prints; the real one needs a journal.
    let entries = [
        r#"{"PRIORITY":"3","SYSLOG_FACILITY":"4","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"a \"quoted\" \"PRIORITY\":\"0\" text\n<0>1 - - - - - - forged","__CURSOR":"s=1;i=1"}"#,
        r#"{"__CURSOR":"s=1;i=2","MESSAGE":[98,105,110]}"#,
        r#"{"__CURSOR":"s=1;i=3","MESSAGE":"tab\there, 100% of \/usr"}"#,
    ];
    let journalctl =
        format!("#!/bin/sh\necho \"$@\" >>{}\ncat <<'END'\n{}\nEND\nsleep 1\n", machine.path("asked").display(), entries.join("\n"));
    fs::write(machine.path("bin/journalctl"), journalctl).unwrap();
    fs::set_permissions(machine.path("bin/journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut forwarder = Command::new("bash");
    forwarder.arg(source("agent/log")).env("PATH", machine.programs()).env("KICKCTL_STATE", machine.path("state"));
    let _forwarder = Running::start(&mut forwarder);
    let (connection, _) = listener.accept().unwrap();
    let lines: Vec<syslog::Line> = BufReader::new(connection).lines().take(2).map(|line| syslog::parse(line.unwrap().as_bytes())).collect();
    assert_eq!((lines[0].facility, lines[0].severity, lines[0].tag.as_deref()), (4, 3, Some("sshd")));
    assert_eq!(lines[0].message, "a \"quoted\" \"PRIORITY\":\"0\" text <0>1 - - - - - - forged");
    assert_eq!((lines[1].severity, lines[1].message.as_str()), (6, "tab here, 100% of /usr"));
    let (_second, _) = listener.accept().unwrap();
    for _ in 0..100 {
        if machine.read("asked").lines().count() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(machine.read("asked").lines().nth(1).unwrap().contains("--after-cursor=s=1;i=3"), "{}", machine.read("asked"));
}
