//! Installations that fail, seen from the nodes: machines that speak DHCP and HTTP to the real head as installers do, break in one way each, and come to
//! the end that the rules demand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod diskless_support;
#[path = "support/snapshot.rs"]
mod snapshot;

use std::net::Ipv4Addr;
use std::time::Duration;

use diskless_support::{Lab, NODE, client, lab};
use kickctl::app::expire_attempts::expire_attempts;
use kickctl::app::list_profiles::list_profiles;
use kickctl::app::settle_failures::settle_failures;
use kickctl::app::show_node;
use kickctl::domain::attempt::{Attempt, Order, State};
use kickctl::domain::name::{NodeName, ProfileName};
use kickctl::domain::occurrence::What;
use kickctl::domain::outbox::Work;
use kickctl::domain::power::{BootFrom, Power};
use kickctl::domain::profile::{Assignment, ProfileKind};
use kickctl::domain::variables::merge;
use kickctl::provision::tokens::Purpose;
use kickctl::store::Arming;
use reqwest::{Client, StatusCode};
use serde_json::json;
use snapshot::{SNAPSHOT, snapshot};
use time::{Duration as Span, OffsetDateTime};

/// What an installer finds: one disk that holds nothing.
const BLANK: &str = "disk\tname=vda\tsize=8589934592\tmodel=\tserial=S1\twwn=\tbus=virtio\trotational=0\tremovable=0\tids=\tcontents=\n";

/// A machine, what it has, and the head that it boots from.
struct Machine {
    lab: Lab,
    from: Ipv4Addr,
    /// How often it was given an installer.
    installers: u32,
}

fn name() -> NodeName {
    "node07".parse().unwrap()
}

impl Machine {
    /// A node that was ordered to be installed, and falls back to a root in memory.
    async fn ordered(variables: serde_json::Value) -> Self {
        let lab = lab("[dhcp]\nmode = \"server\"\n").await;
        snapshot(&lab.head.data, "debian-13", None);
        let store = &lab.head.store;
        let mut node = store.node(&name()).await.unwrap().unwrap();
        node.variables = serde_json::from_value(variables).unwrap();
        store.update_nodes(std::slice::from_ref(&node)).await.unwrap();
        let library = list_profiles(&lab.head.data).unwrap();
        let profile: ProfileName = "debian-13".parse().unwrap();
        store.assign(&[Assignment { node: name(), profile: profile.clone(), snapshot: None }]).await.unwrap();
        let order = Order {
            kind: ProfileKind::Preseed,
            profile_digest: library.digest(&profile).unwrap(),
            mirror: "debian-13".parse().unwrap(),
            snapshot: SNAPSHOT.parse().unwrap(),
            image: None,
            fallback_of: None,
            variables: merge(&library.layers(&profile, &Default::default(), Some(&node)).unwrap()),
            profile,
        };
        let arming = Arming { node: &name(), order: &order, after: None, cycle: false, why: "test".into() };
        store.arm_and(&arming, OffsetDateTime::now_utc()).await.unwrap();
        Self { lab, from: NODE, installers: 0 }
    }

    async fn has_power(&self) {
        let power = Power::Command { command: vec!["/bin/false".into()] };
        self.lab.head.store.set_power(&[(name(), Some(power))]).await.unwrap();
    }

    async fn attempt(&self) -> Attempt {
        self.lab.last("node07").await.unwrap()
    }

    async fn state(&self) -> String {
        show_node(&*self.lab.head.store, &name()).await.unwrap().state
    }

    fn client(&self) -> Client {
        client(self.from)
    }

    /// From the firmware's first packet to the script: true if it is given an installer, or a diskless root.
    async fn boots(&mut self) -> bool {
        self.lab.firmware_asks(7).await;
        let script = self.lab.script(self.from, 7).await;
        self.installers += u32::from(script.contains("/linux "));
        script.contains("\nkernel http")
    }

    /// It loads the installer, which takes over.
    async fn begins(&mut self) {
        assert!(self.boots().await, "{}", self.state().await);
        let boot = self.lab.token(&self.attempt().await, Purpose::Boot);
        for file in ["linux", "initrd.gz", "preseed.cfg", "takeover.sh"] {
            assert_eq!(self.lab.get(&boot, file, self.from).await.0, StatusCode::OK, "{file}");
        }
    }

    async fn post(&self, event: &str, body: &str) -> StatusCode {
        let report = self.lab.token(&self.attempt().await, Purpose::Report);
        self.posts(&report, event, body).await
    }

    async fn posts(&self, report: &str, event: &str, body: &str) -> StatusCode {
        let post = self.client().post(format!("{}/report/{event}", self.lab.base)).bearer_auth(report).body(body.to_owned());
        post.send().await.unwrap().status()
    }

    /// The rest of an installation that succeeds.
    async fn completes(&self) {
        assert_eq!(self.post("gate", BLANK).await, StatusCode::OK);
        assert_eq!(self.post("step", "step=base-system&percent=60").await, StatusCode::OK);
        assert_eq!(self.post("done", "").await, StatusCode::OK);
        assert_eq!(self.post("home", "hostname=node07").await, StatusCode::OK);
    }

    /// The head looks after its attempts, now and then, until `span` has passed; what it would switch is carried out by nobody.
    async fn passes(&self, span: Span) {
        let now = OffsetDateTime::now_utc();
        for tenth in 0..=10 {
            settle_failures(&self.lab.head, now + span * tenth / 10).await.unwrap();
        }
    }

    async fn told(&self) -> Vec<What> {
        self.lab.head.store.events(0, 1000).await.unwrap().iter().map(|event| event.what).collect()
    }

    async fn switches(&self) -> Vec<(i64, BootFrom)> {
        let works = self.lab.head.store.outbox(OffsetDateTime::now_utc() + Span::days(2), 100).await.unwrap();
        let power = |own: kickctl::domain::outbox::Outgoing| match own.work {
            Work::Power { attempt, boot, .. } => Some((attempt, boot)),
            Work::Notify { .. } | Work::Hook { .. } => None,
        };
        works.into_iter().filter_map(power).collect()
    }
}

#[tokio::test]
async fn a_mirror_that_is_out_of_order_for_two_minutes_costs_a_second_attempt_and_no_hand() {
    let mut machine = Machine::ordered(json!({})).await;
    machine.has_power().await;
    machine.begins().await;
    assert_eq!(machine.post("gate", BLANK).await, StatusCode::OK);
    assert_eq!(machine.post("failed", "debootstrap: http://127.0.0.1/mirror/debian-13/pool/x.deb: HTTP 503").await, StatusCode::OK);
    let first = machine.attempt().await;
    assert!(first.state.failure().unwrap().signature().as_str().starts_with("installing/transient/"));
    machine.passes(Span::seconds(20)).await;
    assert_eq!(machine.attempt().await.number, 1, "the first pause is half a minute");
    machine.passes(Span::seconds(40)).await;
    let second = machine.attempt().await;
    assert_eq!((second.number, &second.state, &second.order), (2, &State::Armed, &first.order));
    assert_eq!(machine.switches().await, [(second.id, BootFrom::Network)]);
    // A late word of the first attempt belongs to no attempt any more.
    assert_eq!(machine.posts(&machine.lab.token(&first, Purpose::Report), "done", "").await, StatusCode::FORBIDDEN);
    machine.begins().await;
    machine.completes().await;
    assert_eq!((machine.state().await.as_str(), machine.installers), ("verified", 2));
    assert_eq!(machine.told().await, [What::Armed, What::Failed, What::Armed, What::Verified]);
}

#[tokio::test]
async fn no_disk_that_matches_is_not_tried_again_and_the_node_falls_back_and_tells_of_its_trouble() {
    let mut machine = Machine::ordered(json!({"disk": {"min_size": "100GiB"}, "fallback": "debian-13-ram"})).await;
    machine.has_power().await;
    machine.begins().await;
    assert_eq!(machine.post("gate", BLANK).await, StatusCode::FORBIDDEN);
    let failed = machine.attempt().await;
    machine.passes(Span::hours(30)).await;
    let State::Fallback(ending) = machine.attempt().await.state else { panic!("{}", machine.state().await) };
    assert!(ending.failure.reason.contains("disk") && !ending.failure.wrote, "{ending:?}");
    assert_eq!(machine.switches().await, [(failed.id, BootFrom::Network)]);

    assert!(machine.boots().await);
    let attempt = machine.attempt().await;
    assert_eq!((attempt.number, attempt.order.fallback_of, attempt.order.profile.as_str()), (2, Some(1), "debian-13-ram"));
    let (boot, report) = (machine.lab.token(&attempt, Purpose::Boot), machine.lab.token(&attempt, Purpose::Report));
    let archive = machine.lab.get(&boot, "node.cpio", NODE).await.1;
    assert!(machine.lab.unpacked(&archive, "kickctl/env").contains("KICKCTL_RESCUE='yes'\n"), "the node is not told to report");
    assert_eq!(machine.lab.take_over(&boot, NODE).await.0, StatusCode::OK);
    assert_eq!(machine.posts(&report, "home", "hostname=node07&uptime=12").await, StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(machine.posts(&report, "rescue", "== disks\nvda 8G\n== SMART of vda\nPASSED\n").await, StatusCode::OK);
    }
    let log = machine.lab.head.store.log(attempt.id, 0, 100).await.unwrap();
    let rescue: Vec<&str> = log.iter().filter(|line| line.source == "rescue").map(|line| line.text.as_str()).collect();
    assert_eq!(rescue, ["== disks", "vda 8G", "== SMART of vda", "PASSED"]);
    machine.passes(Span::hours(30)).await;
    assert!(machine.boots().await, "its next boot is the fallback too");
    assert_eq!((machine.state().await.as_str(), machine.installers), ("booting/loader", 1));
    assert_eq!(machine.told().await, [What::Armed, What::Failed, What::Fallback, What::Verified, What::Rescue]);
}

#[tokio::test]
async fn a_node_whose_disk_holds_a_system_boots_that_when_no_disk_matches() {
    let mut machine = Machine::ordered(json!({"disk": {"min_size": "100GiB"}, "fallback": "debian-13-ram"})).await;
    machine.has_power().await;
    machine.begins().await;
    assert_eq!(machine.post("gate", &BLANK.replace("contents=", "contents=gpt,vfat,ext4")).await, StatusCode::FORBIDDEN);
    machine.passes(Span::hours(1)).await;
    assert_eq!((machine.state().await.as_str(), machine.switches().await.len()), ("held", 1));
    assert_eq!(machine.switches().await[0].1, BootFrom::Disk);
    assert!(!machine.boots().await);
    assert_eq!(machine.installers, 1);
}

/// Takes connections for the head and loses them: the first `lost` calls never arrive, and `unanswered` more arrive, but their answers are lost.
async fn lossy(base: &str, mut lost: u32, mut unanswered: u32) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let head = base.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        loop {
            let (mut call, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = call.read(&mut request).await.unwrap();
            if lost > 0 {
                lost -= 1;
                continue;
            }
            // From the node's own address, as the head demands.
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((NODE, 0).into()).unwrap();
            let mut onward = socket.connect(head.parse().unwrap()).await.unwrap();
            onward.write_all(&request[..length]).await.unwrap();
            let mut answer = vec![0; 4096];
            let length = onward.read(&mut answer).await.unwrap();
            if unanswered > 0 {
                unanswered -= 1;
                continue;
            }
            call.write_all(&answer[..length]).await.unwrap();
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_call_home_that_is_lost_ten_times_and_then_comes_twice_verifies_once() {
    let mut machine = Machine::ordered(json!({"fallback": "none"})).await;
    machine.begins().await;
    assert_eq!(machine.post("gate", BLANK).await, StatusCode::OK);
    assert_eq!(machine.post("done", "").await, StatusCode::OK);
    let report = machine.lab.token(&machine.attempt().await, Purpose::Report);
    let base = lossy(&machine.lab.base, 10, 1).await;
    let calls = async || {
        let post = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let post = post.post(format!("{base}/report/home")).bearer_auth(&report).body("hostname=node07");
        post.send().await.map(|answer| answer.status()).ok()
    };
    for lost in 0..10 {
        assert_eq!(calls().await, None);
        // Meanwhile the head loses patience, and does not install it again.
        if lost == 5 {
            let limit = Duration::from_secs(machine.lab.head.config.limits.first_boot + 1);
            assert_eq!(expire_attempts(&machine.lab.head, limit, OffsetDateTime::now_utc()).await.unwrap(), 1);
            machine.passes(Span::hours(1)).await;
            assert_eq!(machine.state().await, "held");
        }
    }
    assert_eq!(calls().await, None, "its answer was lost");
    assert_eq!(machine.state().await, "verified");
    assert_eq!(calls().await, Some(StatusCode::OK));
    assert_eq!((machine.attempt().await.number, machine.state().await.as_str()), (1, "verified"));
    assert_eq!(machine.told().await, [What::Armed, What::Failed, What::Held, What::Verified]);
    assert!(!machine.boots().await, "from now on it is given its local disk");
    assert_eq!(machine.installers, 1);
}

#[tokio::test]
async fn an_installer_that_restarts_its_machine_early_is_given_no_second_one() {
    let mut machine = Machine::ordered(json!({"fallback": "none"})).await;
    machine.has_power().await;
    machine.begins().await;
    assert_eq!(machine.post("step", "step=network&percent=3").await, StatusCode::OK);
    for _ in 0..10 {
        assert!(!machine.boots().await, "the installer was served again");
        machine.passes(Span::hours(2)).await;
    }
    let attempt = machine.attempt().await;
    let failure = attempt.state.failure().unwrap();
    assert!(failure.reason.starts_with("unexpected reboot"), "{}", failure.reason);
    assert_eq!((attempt.number, machine.state().await.as_str(), machine.installers), (1, "held", 1));
    assert_eq!(machine.told().await, [What::Armed, What::Failed, What::Held]);
}
