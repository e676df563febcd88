//! Every row of the boot table over HTTP and DHCP, with the real server and the real state; and everything that a stranger may try.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

#[path = "support/snapshot.rs"]
mod snapshot;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use kickctl::app::answer_dhcp::{Ask, BootFile, Program, Reply, answer_dhcp};
use kickctl::app::{DataDir, Head, SqliteStore, Store, list_profiles::list_profiles};
use kickctl::config::{Config, Source};
use kickctl::domain::attempt::{Attempt, Order, State};
use kickctl::domain::mac::MacAddr;
use kickctl::domain::mirror::LiveFiles;
use kickctl::domain::name::ProfileName;
use kickctl::domain::node::{Arch, Node};
use kickctl::domain::profile::ProfileKind;
use kickctl::domain::variables::merge;
use kickctl::provision::decide::{Answer, Asker, Request, decide};
use kickctl::provision::tokens::{self, Purpose};
use reqwest::{Client, Response, StatusCode};
use snapshot::{SNAPSHOT, snapshot};
use tempfile::TempDir;
use time::OffsetDateTime;

const NODE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
const ONE_DISK: &str = "disk\tname=vda\tsize=8589934592\tmodel=\tserial=S1\twwn=\tbus=virtio\trotational=0\tremovable=0\tids=\tcontents=\n";

struct Lab {
    head: Head,
    base: String,
    order: Order,
    _folder: TempDir,
}

fn node(name: &str, last: u8, address: Ipv4Addr) -> Node {
    Node {
        name: name.parse().unwrap(),
        macs: vec![MacAddr::new([2, 0, 0, 0, 0, last])],
        address: Some(address),
        arch: Arch::Amd64,
        firmware: None,
        uuid: None,
        serial: None,
        groups: Default::default(),
        variables: Default::default(),
    }
}

async fn lab() -> Lab {
    lab_of("debian-13", ProfileKind::Preseed, None).await
}

/// A head whose nodes are installed by a profile, from the mirror of its name.
async fn lab_of(profile: &str, kind: ProfileKind, live: Option<LiveFiles>) -> Lab {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = TempDir::new().unwrap();
    let data = DataDir::new(folder.path());
    snapshot(&data, profile, live);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!(
        "interface = \"lo\"\naddress = \"127.0.0.1\"\nsubnet = \"127.0.0.0/24\"\n[dhcp]\nmode = \"off\"\npool = \"127.0.0.100-127.0.0.120\"\n[http]\nport = {port}\n"
    );
    let config = Config::parse(&Source::new("kickctl.toml", text)).unwrap();
    let store = SqliteStore::open(&data.state()).await.unwrap();
    store.add_nodes(&[node("node07", 7, NODE), node("node08", 8, OTHER)]).await.unwrap();
    let library = list_profiles(&data).unwrap();
    let mirror = profile.parse().unwrap();
    let profile: ProfileName = profile.parse().unwrap();
    let order = Order {
        kind,
        profile_digest: library.digest(&profile).unwrap(),
        mirror,
        snapshot: SNAPSHOT.parse().unwrap(),
        image: None,
        fallback_of: None,
        variables: merge(&library.layers(&profile, &Default::default(), None).unwrap()),
        profile,
    };
    let head = Head::new(config, data, Arc::new(store), [7; 32]);
    tokio::spawn(kickctl::web::serve(listener, head.clone(), std::future::pending()));
    Lab { head, base: format!("http://127.0.0.1:{port}"), order, _folder: folder }
}

impl Lab {
    async fn armed(&self, name: &str) -> Attempt {
        self.head.store.arm(&name.parse().unwrap(), &self.order, OffsetDateTime::now_utc()).await.unwrap()
    }

    /// Puts the attempt into a state, whatever it was in.
    async fn put(&self, attempt: &Attempt, state: &State) {
        let mut now = self.state(attempt).await;
        now.state = state.clone();
        self.head.store.save_attempt(&now, &[]).await.unwrap();
    }

    async fn state(&self, attempt: &Attempt) -> Attempt {
        self.head.store.attempt(attempt.id).await.unwrap().unwrap()
    }

    fn token(&self, attempt: &Attempt, purpose: Purpose) -> String {
        tokens::mint(&self.head.token_secret, attempt.id, purpose)
    }

    async fn send(&self, request: Request, boot: &str, report: &str, from: Ipv4Addr) -> Response {
        let client = Client::builder().local_address(IpAddr::V4(from)).no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let get = |path: String| client.get(format!("{}{path}", self.base));
        let post = |event: &str, body: &'static str| client.post(format!("{}/report/{event}", self.base)).bearer_auth(report).body(body);
        let request = match request {
            Request::Script => get("/script?mac=02:00:00:00:00:07&platform=pcbios&serial=S+7&arch=i386".into()),
            Request::BootFile => get(format!("/boot/{boot}/initrd.gz")),
            Request::TakeOver => get(format!("/boot/{boot}/takeover.sh")),
            Request::Report => post("step", "step=network&percent=1"),
            Request::Gate => post("gate", ONE_DISK),
            Request::LateScript => get("/report/late.sh".into()).bearer_auth(report),
            Request::Home => post("home", "root_uuid=1234&hostname=node07"),
            Request::DhcpFirmware | Request::DhcpLoader | Request::DhcpSystem | Request::LoaderFile | Request::Mount => {
                panic!("not over HTTP")
            }
        };
        request.send().await.unwrap()
    }
}

fn kind(wanted: &str) -> State {
    State::every_kind().into_iter().find(|(name, _)| *name == wanted).unwrap().1
}

const OVER_HTTP: [Request; 7] =
    [Request::Script, Request::BootFile, Request::TakeOver, Request::Report, Request::Gate, Request::LateScript, Request::Home];

async fn told(response: Response) -> Answer {
    let status = response.status();
    let text = response.text().await.unwrap();
    match status {
        StatusCode::FORBIDDEN => Answer::Refused,
        StatusCode::OK if text.starts_with("#!ipxe") && text.contains("\nkernel http") => Answer::Installer,
        StatusCode::OK if text.starts_with("#!ipxe") && text.contains("\nsanboot ") => Answer::LocalDisk,
        StatusCode::OK => Answer::Granted,
        _ => panic!("{status}: {text}"),
    }
}

#[tokio::test]
async fn every_state_is_answered_over_http_as_the_table_says() {
    let lab = lab().await;
    let attempt = lab.armed("node07").await;
    let (boot, report) = (lab.token(&attempt, Purpose::Boot), lab.token(&attempt, Purpose::Report));
    for (name, state) in State::every_kind() {
        for request in OVER_HTTP {
            lab.put(&attempt, &state).await;
            let answer = told(lab.send(request, &boot, &report, NODE).await).await;
            assert_eq!(answer, decide(Asker::Attempt(&state), request), "{name}, {request:?}");
            if answer == Answer::Refused {
                assert_eq!(lab.state(&attempt).await.state, state, "{name}: a refused {request:?} changed the attempt");
            }
        }
    }
}

#[tokio::test]
async fn dhcp_gives_every_state_the_same_address_and_loader() {
    let lab = lab().await;
    let attempt = lab.armed("node07").await;
    for (name, state) in State::every_kind() {
        for (program, expected) in [
            (Program::Firmware, Some(BootFile::Tftp("undionly.kpxe"))),
            (Program::Loader, Some(BootFile::Url(format!("{}/boot.ipxe", lab.base)))),
            (Program::System, None),
        ] {
            lab.put(&attempt, &state).await;
            let ask = Ask { mac: MacAddr::new([2, 0, 0, 0, 0, 7]), program, client_type: Some(0), uuid: None, wants: None, takes: false };
            let reply = answer_dhcp(&lab.head, &ask, OffsetDateTime::now_utc()).await.unwrap();
            let node = Some("node07".parse().unwrap());
            assert_eq!(reply, Reply::Lease { address: NODE, name: node, boot: expected }, "{name}, {program:?}");
        }
    }
}

#[tokio::test]
async fn a_stranger_gets_nothing_and_changes_nothing() {
    let lab = lab().await;
    let stale = lab.armed("node07").await;
    lab.put(&stale, &State::Verified).await;
    let attempt = lab.armed("node07").await;
    let other = lab.armed("node08").await;
    let pair = |attempt: &Attempt| (lab.token(attempt, Purpose::Boot), lab.token(attempt, Purpose::Report));
    let (own, of_stale, of_other) = (pair(&attempt), pair(&stale), pair(&other));
    let forged = (own.0.replace(own.0.as_bytes()[own.0.len() - 1] as char, "z"), format!("{}0", own.1));
    let swapped = (own.1.clone(), own.0.clone());
    let strangers = [
        ("a wrong source address", &own, OTHER),
        ("a stale attempt's token", &of_stale, NODE),
        ("another node's token", &of_other, NODE),
        ("a forged token", &forged, NODE),
        ("a token for something else", &swapped, NODE),
    ];
    for (name, state) in State::every_kind() {
        for (who, (boot, report), from) in strangers {
            for request in OVER_HTTP {
                if request == Request::Script && from == NODE {
                    continue;
                }
                lab.put(&attempt, &state).await;
                let answer = told(lab.send(request, boot, report, from).await).await;
                assert_eq!(answer, decide(Asker::Stranger, request), "{name}, {who}, {request:?}");
                assert_eq!(lab.state(&attempt).await.state, state, "{name}, {who}: {request:?} changed the attempt");
            }
        }
    }
}

#[tokio::test]
async fn an_installation_from_the_first_script_to_the_call_home() {
    let lab = lab().await;
    let attempt = lab.armed("node07").await;
    let (boot, report) = (lab.token(&attempt, Purpose::Boot), lab.token(&attempt, Purpose::Report));
    let send = |request| lab.send(request, &boot, &report, NODE);
    let name = async || lab.state(&attempt).await.state.name();

    let script = send(Request::Script).await.text().await.unwrap();
    assert!(script.contains(&format!("/boot/{boot}/linux")) && script.contains("BOOTIF=01-02-00-00-00-00-07"), "{script}");
    assert!(!script.contains(&report), "the report token must not stand on a kernel command line");
    assert_eq!(name().await, "booting/loader");
    assert_eq!(lab.head.store.facts(&attempt.node).await.unwrap().get("serial"), Some("S+7"));

    let client = Client::builder().local_address(IpAddr::V4(NODE)).no_proxy().build().unwrap();
    let file = async |file: &str| client.get(format!("{}/boot/{boot}/{file}", lab.base)).send().await.unwrap();
    assert_eq!(file("linux").await.text().await.unwrap(), "a kernel");
    assert_eq!(name().await, "booting/kernel");
    let preseed = file("preseed.cfg").await.text().await.unwrap();
    assert!(!preseed.contains(&report) && !preseed.contains("partman-auto/disk") && !preseed.contains("partman/confirm "), "{preseed}");

    // The answer may be lost: it is given again until the report token is used, and then never again.
    let takeover = send(Request::TakeOver).await.text().await.unwrap();
    assert!(takeover.contains(&report));
    assert_eq!(file("preseed.cfg").await.status(), StatusCode::FORBIDDEN, "the boot token is dead");
    assert_eq!(send(Request::TakeOver).await.status(), StatusCode::OK);
    assert_eq!(send(Request::Report).await.status(), StatusCode::OK);
    assert_eq!(send(Request::TakeOver).await.status(), StatusCode::FORBIDDEN);

    assert_eq!(send(Request::LateScript).await.status(), StatusCode::FORBIDDEN, "no secret before the gate");
    let yes = send(Request::Gate).await.text().await.unwrap();
    assert!(yes.contains("d-i partman-auto/disk string /dev/vda"), "{yes}");
    assert_eq!(name().await, "installing/gate");
    assert_eq!(lab.state(&attempt).await.progress.disks.len(), 1);
    assert_eq!(send(Request::LateScript).await.status(), StatusCode::OK);

    // "done" is lost; the machine boots over the network again.
    assert_eq!(told(send(Request::Script).await).await, Answer::LocalDisk);
    assert_eq!(name().await, "finishing/first-boot");
    assert_eq!(send(Request::Home).await.status(), StatusCode::OK);
    let home = lab.state(&attempt).await;
    assert_eq!((home.state, home.progress.home.unwrap()["root_uuid"].as_str()), (State::Verified, Some("1234")));
    assert_eq!(told(send(Request::Script).await).await, Answer::LocalDisk);
}

#[tokio::test]
async fn cloud_inits_files_are_there_for_the_boot_token_until_the_installer_takes_over() {
    let live = LiveFiles { image: "medium.iso".into(), title: "Ubuntu-Server".into(), manifests: vec![] };
    let lab = lab_of("ubuntu-24.04", ProfileKind::Autoinstall, Some(live)).await;
    let attempt = lab.armed("node07").await;
    let (boot, report) = (lab.token(&attempt, Purpose::Boot), lab.token(&attempt, Purpose::Report));
    let send = |request| lab.send(request, &boot, &report, NODE);
    let script = send(Request::Script).await.text().await.unwrap();
    let seed = format!(" autoinstall ds=nocloud;s={}/boot/{boot}/ ", lab.base);
    let image = format!(" url={}/snapshots/ubuntu-24.04/{SNAPSHOT}/medium.iso ", lab.base);
    assert!(script.contains(&seed) && script.contains(&image) && !script.contains(&report), "{script}");

    let file = async |name: &str, from: Ipv4Addr| {
        let client = Client::builder().local_address(IpAddr::V4(from)).no_proxy().build().unwrap();
        client.get(format!("{}/boot/{boot}/{name}", lab.base)).send().await.unwrap()
    };
    assert_eq!(file("initrd.gz", NODE).await.text().await.unwrap(), "an initial RAM disk");
    let files = ["user-data", "meta-data", "vendor-data"];
    for name in files {
        let text = file(name, NODE).await.text().await.unwrap();
        assert!(!text.is_empty() && !text.contains(&report), "{name}: {text}");
        assert_eq!(file(name, OTHER).await.status(), StatusCode::FORBIDDEN, "{name} for another node");
    }
    let id = attempt.id;
    assert_eq!(file("meta-data", NODE).await.text().await.unwrap(), format!("instance-id: kickctl-{id}\nlocal-hostname: \"node07\"\n"));
    // Another installer's answers, the complete file that the take-over brings, and what cloud-init asks for in vain.
    for name in ["preseed.cfg", "ks.cfg", "autoinstall.yaml", "network-config"] {
        assert_eq!(file(name, NODE).await.status(), StatusCode::FORBIDDEN, "{name}");
    }
    let takeover = send(Request::TakeOver).await.text().await.unwrap();
    assert!(takeover.contains(&report) && takeover.contains("late-commands:"), "{takeover}");
    for name in files {
        assert_eq!(file(name, NODE).await.status(), StatusCode::FORBIDDEN, "{name}: the boot token is dead");
    }
    let yes = send(Request::Gate).await.text().await.unwrap();
    assert!(yes.starts_with("storage:\n") && yes.contains("path: /dev/vda, ") && yes.ends_with("# kickctl: yes\n"), "{yes}");
    assert_eq!(send(Request::LateScript).await.status(), StatusCode::OK);
    assert_eq!(told(send(Request::Script).await).await, Answer::LocalDisk);
    assert_eq!(send(Request::Home).await.status(), StatusCode::OK);
    assert_eq!(lab.state(&attempt).await.state, State::Verified);
}

#[tokio::test]
async fn a_debian_installation_has_no_files_of_cloud_init() {
    let lab = lab().await;
    let boot = lab.token(&lab.armed("node07").await, Purpose::Boot);
    let client = Client::builder().local_address(IpAddr::V4(NODE)).no_proxy().build().unwrap();
    for name in ["user-data", "meta-data", "vendor-data", "ks.cfg"] {
        let answer = client.get(format!("{}/boot/{boot}/{name}", lab.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
}

#[tokio::test]
async fn an_ambiguous_disk_is_refused_and_the_reason_kept() {
    let lab = lab().await;
    let attempt = lab.armed("node07").await;
    let report = lab.token(&attempt, Purpose::Report);
    lab.put(&attempt, &kind("installing, gate closed")).await;
    let twins = format!("{ONE_DISK}{}", ONE_DISK.replace("vda", "vdb").replace("S1", "S2"));
    let client = Client::builder().local_address(IpAddr::V4(NODE)).no_proxy().build().unwrap();
    let answer = client.post(format!("{}/report/gate", lab.base)).bearer_auth(&report).body(twins).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let reason = answer.text().await.unwrap();
    assert!(reason.contains("vda") && reason.contains("vdb"), "{reason}");
    let State::Failed(failure) = lab.state(&attempt).await.state else { panic!("not failed") };
    assert!(!failure.wrote && failure.reason.contains("vdb"), "{failure:?}");
    assert_eq!(lab.send(Request::LateScript, "", &report, NODE).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_fourth_loader_fetch_goes_to_the_local_disk_for_good() {
    let lab = lab().await;
    let attempt = lab.armed("node07").await;
    let answers = [Answer::Installer, Answer::Installer, Answer::Installer, Answer::LocalDisk, Answer::LocalDisk];
    for expected in answers {
        assert_eq!(told(lab.send(Request::Script, "", "", NODE).await).await, expected);
    }
    assert!(lab.state(&attempt).await.state.is_over());
}

#[tokio::test]
async fn paths_cannot_leave_the_published_tree_and_ranges_work() {
    let lab = lab().await;
    let client = Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| client.get(format!("{}{path}", lab.base)).send().await.unwrap();
    assert_eq!(get("/mirror/debian-13/images/linux").await.text().await.unwrap(), "a kernel");
    assert_eq!(get(&format!("/snapshots/debian-13/{SNAPSHOT}/images/linux")).await.text().await.unwrap(), "a kernel");
    for path in [
        "/mirror/debian-13/%2e%2e/snapshot.json",
        "/mirror/debian-13/..%2fsnapshot.json",
        "/mirror/debian-13/images/..%2f..%2fsnapshot.json",
        "/mirror/debian-13//etc/passwd",
        "/mirror/..%2f..%2fkeys/x",
        "/mirror/debian-13/images",
        "/snapshots/debian-13/current/images/linux",
    ] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let part = client.get(format!("{}/mirror/debian-13/images/linux", lab.base)).header("range", "bytes=2-").send().await.unwrap();
    assert_eq!((part.status(), part.text().await.unwrap()), (StatusCode::PARTIAL_CONTENT, "kernel".into()));
    let stale = client
        .get(format!("{}/mirror/debian-13/images/linux", lab.base))
        .header("range", "bytes=2-")
        .header("if-range", "\"another\"")
        .send()
        .await
        .unwrap();
    assert_eq!((stale.status(), stale.text().await.unwrap()), (StatusCode::OK, "a kernel".into()));
}
