//! A head with an image of two versions, and nodes that speak to it from addresses of their own.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kickctl::app::answer_dhcp::{Ask, Program, answer_dhcp};
use kickctl::app::assign_profile::assign_profile;
use kickctl::app::{DataDir, Head, SqliteStore, Store};
use kickctl::config::{Config, Source};
use kickctl::domain::attempt::{Attempt, State};
use kickctl::domain::mac::MacAddr;
use kickctl::domain::node::Node;
use kickctl::provision::decide::{Answer, Request};
use kickctl::provision::tokens::{self, Purpose};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use time::OffsetDateTime;

pub const NODE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);
pub const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
pub const OLD: &str = "20261121T053000Z-00000001";
pub const NEW: &str = "20261121T060000Z-00000002";

pub struct Lab {
    pub head: Head,
    pub base: String,
    pub folder: TempDir,
}

fn node(name: &str, last: u8, address: Ipv4Addr) -> Node {
    serde_json::from_value(json!({"name": name, "macs": [MacAddr::new([2, 0, 0, 0, 0, last])], "address": address})).unwrap()
}

/// A version as a build leaves it, but for what is in its files.
pub fn image_version(data: &DataDir, version: &str) {
    let folder = data.images().join("worker/versions").join(version);
    std::fs::create_dir_all(folder.join("root/usr/bin")).unwrap();
    let artefact = |name: &str, what: &str| {
        let text = format!("{what} {version}");
        std::fs::write(folder.join(name), &text).unwrap();
        json!({"bytes": text.len(), "sha256": kickctl::domain::checksum::Sha256::of(text.as_bytes())})
    };
    let (kernel, initrd) = (artefact("vmlinuz", "kernel"), artefact("initrd.img", "initrd"));
    let (root, base) = (artefact("root.squashfs", "root"), artefact("base.squashfs", "base"));
    std::fs::write(folder.join("root/usr/bin/version"), version).unwrap();
    let record = json!({
        "image": "worker", "id": version, "made": "2026-11-21T05:30:00Z", "origin": {"by": "build"}, "mirror": "debian-13",
        "snapshot": "20261121T045300Z-3f9a2c41", "input": kickctl::domain::checksum::Sha256::of(version.as_bytes()),
        "recipe": {"mirror": "debian-13", "arch": "amd64", "packages": [], "kernel": "linux-image-amd64", "keep": 3},
        "tree": kickctl::domain::checksum::Sha256::of(b"no list of files"),
        "packages": [], "kernel_release": "6.12.94+deb13-amd64", "files": 1, "bytes": 25,
        "kernel": kernel, "initrd": initrd, "root_squashfs": root, "base_squashfs": base,
    });
    std::fs::write(folder.join("version.json"), record.to_string()).unwrap();
}

/// A head on the loopback; `more` is what its configuration has besides.
pub async fn lab(more: &str) -> Lab {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = TempDir::new().unwrap();
    let data = DataDir::new(folder.path());
    [OLD, NEW].iter().for_each(|version| image_version(&data, version));
    std::fs::create_dir(data.keys()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!("interface = \"lo\"\naddress = \"127.0.0.1\"\nsubnet = \"127.0.0.0/24\"\n{more}\n[http]\nport = {port}\n");
    let config = Config::parse(&Source::new("kickctl.toml", text)).unwrap();
    let store = SqliteStore::open(&data.state()).await.unwrap();
    store.add_nodes(&[node("node07", 7, NODE), node("node08", 8, OTHER)]).await.unwrap();
    let head = Head::new(config, data, Arc::new(store), [7; 32]);
    tokio::spawn(kickctl::web::serve(listener, head.clone(), std::future::pending()));
    let lab = Lab { head, base: format!("http://127.0.0.1:{port}"), folder };
    lab.publish(OLD);
    lab
}

pub fn client(from: Ipv4Addr) -> Client {
    Client::builder().local_address(IpAddr::V4(from)).no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

impl Lab {
    pub fn publish(&self, version: &str) {
        self.unpublish();
        std::os::unix::fs::symlink(format!("versions/{version}"), self.head.data.images().join("worker/current")).unwrap();
    }

    pub fn unpublish(&self) {
        let _ = std::fs::remove_file(self.head.data.images().join("worker/current"));
    }

    /// The copy of an image that one node may change, as `image checkout` leaves it.
    pub fn check_out(&self, node: &str, version: &str) {
        let work = self.head.data.images().join("worker/work").join(node);
        std::fs::create_dir_all(work.join("root")).unwrap();
        std::fs::write(work.join("version"), version).unwrap();
    }

    pub async fn assign(&self, node: &str, profile: &str) {
        assign_profile(&self.head, &[node.parse().unwrap()], &profile.parse().unwrap(), None, false).await.unwrap();
    }

    pub async fn last(&self, node: &str) -> Option<Attempt> {
        self.head.store.last_attempt(&node.parse().unwrap()).await.unwrap()
    }

    /// Puts the attempt into a state, whatever it was in.
    pub async fn put(&self, attempt: &Attempt, state: &State) {
        let mut now = self.head.store.attempt(attempt.id).await.unwrap().unwrap();
        now.state = state.clone();
        self.head.store.save_attempt(&now, &[]).await.unwrap();
    }

    pub async fn state(&self, attempt: &Attempt) -> State {
        self.head.store.attempt(attempt.id).await.unwrap().unwrap().state
    }

    pub fn token(&self, attempt: &Attempt, purpose: Purpose) -> String {
        tokens::mint(&self.head.token_secret, attempt.id, purpose)
    }

    /// The node's firmware looks for a network boot program.
    pub async fn firmware_asks(&self, last: u8) {
        let mac = MacAddr::new([2, 0, 0, 0, 0, last]);
        let ask = Ask { mac, program: Program::Firmware, client_type: Some(0), uuid: None, wants: None, takes: false };
        answer_dhcp(&self.head, &ask, OffsetDateTime::now_utc()).await.unwrap();
    }

    pub async fn script(&self, from: Ipv4Addr, last: u8) -> String {
        let url = format!("{}/script?mac=02:00:00:00:00:{last:02x}&platform=pcbios&arch=i386", self.base);
        client(from).get(url).send().await.unwrap().text().await.unwrap()
    }

    pub async fn get(&self, boot: &str, file: &str, from: Ipv4Addr) -> (StatusCode, Vec<u8>) {
        let answer = client(from).get(format!("{}/boot/{boot}/{file}", self.base)).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }

    pub async fn take_over(&self, boot: &str, from: Ipv4Addr) -> (StatusCode, Vec<u8>) {
        let answer = client(from).post(format!("{}/boot/{boot}/takeover", self.base)).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }

    async fn report(&self, report: &str, event: &str, body: &str, from: Ipv4Addr) -> StatusCode {
        let post = client(from).post(format!("{}/report/{event}", self.base)).bearer_auth(report).body(body.to_owned());
        post.send().await.unwrap().status()
    }

    pub async fn heartbeat(&self, report: &str, body: &str) -> StatusCode {
        self.report(report, "heartbeat", body, NODE).await
    }

    /// A whole boot, from the firmware to the call home.
    pub async fn boots(&self, from: Ipv4Addr, last: u8) {
        self.firmware_asks(last).await;
        let attempt = self.last(&format!("node{last:02}")).await.unwrap();
        let boot = self.token(&attempt, Purpose::Boot);
        self.script(from, last).await;
        self.get(&boot, "vmlinuz", from).await;
        assert_eq!(self.take_over(&boot, from).await.0, StatusCode::OK);
        let report = self.token(&attempt, Purpose::Report);
        assert_eq!(self.report(&report, "home", "hostname=x&uptime=12", from).await, StatusCode::OK);
    }

    /// One request, judged by what came back.
    pub async fn ask(&self, request: Request, boot: &str, report: &str, from: Ipv4Addr) -> Answer {
        let status = match request {
            Request::Script => {
                let text = self.script(from, 7).await;
                return if text.contains("\nkernel http") { Answer::Installer } else { Answer::LocalDisk };
            }
            Request::BootFile => self.get(boot, "node.cpio", from).await.0,
            Request::TakeOver => self.take_over(boot, from).await.0,
            Request::Report => self.report(report, "heartbeat", "uptime=60&version=v", from).await,
            Request::Home => self.report(report, "home", "hostname=node07&uptime=12&version=v", from).await,
            other => panic!("{other:?} is not asked here"),
        };
        match status {
            StatusCode::OK => Answer::Granted,
            StatusCode::FORBIDDEN => Answer::Refused,
            other => panic!("{request:?}: {other}"),
        }
    }

    /// A member of a cpio archive, as GNU cpio unpacks it.
    pub fn unpacked(&self, archive: &[u8], member: &str) -> String {
        let mut cpio = Command::new("cpio")
            .args(["-i", "--quiet", "--to-stdout", member])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(archive).unwrap();
        String::from_utf8(cpio.wait_with_output().unwrap().stdout).unwrap()
    }
}
