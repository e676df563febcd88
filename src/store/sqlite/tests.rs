use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use time::Duration as Span;
use time::macros::datetime;

use super::*;
use crate::domain::attempt::{Event, State};
use crate::domain::checksum::Sha256;
use crate::domain::node::{Arch, Firmware};
use crate::domain::profile::ProfileKind;
use crate::domain::variables::Merged;
use crate::store::{Error, MAX_DISCOVERED, MAX_LOG_LINES};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

async fn fresh() -> (TempDir, SqliteStore) {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
    (folder, store)
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn mac(last: u16) -> MacAddr {
    let [high, low] = last.to_be_bytes();
    MacAddr::new([2, 0, 0, 0, high, low])
}

fn node(text: &str, last: u16) -> Node {
    Node {
        name: name(text),
        macs: vec![mac(last)],
        address: Some(Ipv4Addr::from(0x0a00_0000 + u32::from(last))),
        arch: Arch::Amd64,
        firmware: None,
        uuid: None,
        serial: None,
        groups: BTreeSet::new(),
        variables: Variables::default(),
    }
}

fn order() -> Order {
    Order {
        profile: "debian-13".parse().unwrap(),
        kind: ProfileKind::Preseed,
        profile_digest: Sha256::of(b""),
        mirror: "debian-13".parse().unwrap(),
        snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
        image: None,
        fallback_of: None,
        variables: Merged::default(),
    }
}

fn line(text: &str) -> LogLine {
    LogLine { seq: 0, at: NOW, source: "test".into(), text: text.into() }
}

fn discovered(last: u16, minutes: i64) -> Discovered {
    Discovered {
        mac: mac(last),
        uuid: None,
        arch: Arch::Amd64,
        firmware: Firmware::Bios,
        address: None,
        facts: Facts::default(),
        first_seen: NOW + Span::minutes(minutes),
        last_seen: NOW + Span::minutes(minutes),
    }
}

#[tokio::test]
async fn a_node_reads_back_as_it_was_written() {
    let (_folder, store) = fresh().await;
    let mut full = node("node07", 7);
    full.macs.push(mac(1007));
    full.firmware = Some(Firmware::Uefi);
    full.uuid = Some("00112233-4455-6677-8899-aabbccddeeff".parse().unwrap());
    full.serial = Some("S-7".into());
    full.groups = ["rack1".parse().unwrap()].into();
    full.variables.0.insert("disk".into(), serde_json::json!({"pick": "smallest"}));
    store.add_nodes(&[node("node10", 10), full.clone(), node("node9", 9)]).await.unwrap();
    assert_eq!(store.node(&full.name).await.unwrap(), Some(full.clone()));
    assert_eq!(store.node_by_mac(mac(1007)).await.unwrap(), Some(full));
    assert_eq!(store.node_by_mac(mac(8)).await.unwrap(), None);
    let names: Vec<String> = store.nodes().await.unwrap().into_iter().map(|node| node.name.to_string()).collect();
    assert_eq!(names, ["node07", "node9", "node10"]);
}

#[tokio::test]
async fn a_duplicate_names_both_owners_and_nothing_of_the_batch_stays() {
    let (_folder, store) = fresh().await;
    let uuid = Some("00112233-4455-6677-8899-aabbccddeeff".parse().unwrap());
    store.add_nodes(&[Node { uuid: uuid.clone(), ..node("node01", 1) }]).await.unwrap();
    let same_mac = Node { macs: vec![mac(2), mac(1)], ..node("node02", 2) };
    let same_address = Node { address: Some(Ipv4Addr::new(10, 0, 0, 1)), ..node("node02", 2) };
    let same_uuid = Node { uuid, ..node("node02", 2) };
    for (claimant, expected) in [
        (node("node01", 2), "there is already a node `node01`"),
        (same_mac, "MAC address `02:00:00:00:00:01` of node02 already belongs to node01"),
        (same_address, "address `10.0.0.1` of node02 already belongs to node01"),
        (same_uuid, "UUID `00112233-4455-6677-8899-aabbccddeeff` of node02 already belongs to node01"),
    ] {
        let told = store.add_nodes(&[node("node03", 3), claimant]).await.unwrap_err().to_string();
        assert!(told.starts_with(expected), "{told}");
        assert_eq!(store.nodes().await.unwrap().len(), 1);
    }
    // Within one batch too.
    let told = store.add_nodes(&[node("node04", 4), node("node05", 4)]).await.unwrap_err();
    assert!(matches!(told, Error::Taken { what: "address", .. }), "{told}");
}

#[tokio::test]
async fn two_nodes_can_swap_their_addresses_in_one_change() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1), node("b", 2)]).await.unwrap();
    store.update_nodes(&[node("a", 2), node("b", 1)]).await.unwrap();
    assert_eq!(store.node_by_mac(mac(1)).await.unwrap(), Some(node("b", 1)));
    let told = store.update_nodes(&[node("c", 3)]).await.unwrap_err();
    assert!(matches!(told, Error::NoNode(_)), "{told}");
}

#[tokio::test]
async fn a_removed_node_takes_everything_with_it_and_its_attempts_id_never_comes_back() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    let assignment = Assignment { node: name("a"), profile: "debian-13".parse().unwrap(), snapshot: None };
    store.assign(std::slice::from_ref(&assignment)).await.unwrap();
    assert_eq!(store.assignments().await.unwrap(), [assignment]);
    let old = store.arm(&name("a"), &order(), NOW).await.unwrap();
    store.append_log(old.id, &[line("x")]).await.unwrap();
    assert!(store.remove_nodes(&[name("a"), name("b")]).await.is_err());
    assert!(store.attempt(old.id).await.unwrap().is_some());
    store.remove_nodes(&[name("a")]).await.unwrap();
    assert_eq!(store.attempt(old.id).await.unwrap(), None);
    assert_eq!(store.log(old.id, 0, 10).await.unwrap(), []);
    assert_eq!(store.assignments().await.unwrap(), []);
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    let new = store.arm(&name("a"), &order(), NOW).await.unwrap();
    assert_eq!((new.number, new.id > old.id), (1, true));
}

#[tokio::test]
async fn an_attempt_is_armed_only_when_the_last_one_is_over() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1), node("b", 2)]).await.unwrap();
    let mut first = store.arm(&name("a"), &order(), NOW).await.unwrap();
    assert_eq!(store.attempt(first.id).await.unwrap(), Some(first.clone()));
    let told = store.arm(&name("a"), &order(), NOW).await.unwrap_err();
    assert_eq!(told.to_string(), "a already has attempt 1, which is armed: `kickctl attempt abort a` ends it");
    first.advance(&Event::Aborted, NOW).unwrap();
    store.save_attempt(&first, &[line("stopped")]).await.unwrap();
    let second = store.arm(&name("a"), &order(), NOW).await.unwrap();
    let other = store.arm(&name("b"), &order(), NOW).await.unwrap();
    assert_eq!((second.number, other.number), (2, 1));
    assert_eq!(store.last_attempt(&name("a")).await.unwrap(), Some(second.clone()));
    assert_eq!(store.last_attempts().await.unwrap(), [second.clone(), other.clone()]);
    assert_eq!(store.attempts(None).await.unwrap().len(), 3);
    let own: Vec<u32> = store.attempts(Some(&name("a"))).await.unwrap().iter().map(|attempt| attempt.number).collect();
    assert_eq!(own, [2, 1]);
    assert!(matches!(store.arm(&name("c"), &order(), NOW).await, Err(Error::NoNode(_))));
}

#[tokio::test]
async fn of_two_writers_who_read_the_same_attempt_one_is_stale() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    let read = store.arm(&name("a"), &order(), NOW).await.unwrap();
    let (mut one, mut two) = (read.clone(), read);
    one.advance(&Event::LoaderAsked, NOW).unwrap();
    two.advance(&Event::Aborted, NOW).unwrap();
    store.save_attempt(&one, &[line("loader")]).await.unwrap();
    assert!(matches!(store.save_attempt(&two, &[line("abort")]).await, Err(Error::Stale(_))));
    let held = store.attempt(one.id).await.unwrap().unwrap();
    assert_eq!((held.state, held.revision), (one.state, 2));
    let log = store.log(one.id, 0, 10).await.unwrap();
    assert_eq!(log, [LogLine { seq: 1, ..line("loader") }]);
    two.id = 99;
    assert!(matches!(store.save_attempt(&two, &[]).await, Err(Error::NoAttempt(99))));
}

#[tokio::test]
async fn a_flooded_log_is_capped_says_so_and_still_takes_the_heads_own_lines() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    let mut attempt = store.arm(&name("a"), &order(), NOW).await.unwrap();
    let flood: Vec<LogLine> = (0..MAX_LOG_LINES + 5).map(|n| line(&n.to_string())).collect();
    store.append_log(attempt.id, &flood).await.unwrap();
    store.append_log(attempt.id, &flood).await.unwrap();
    attempt.advance(&Event::Aborted, NOW).unwrap();
    store.save_attempt(&attempt, &[line("stopped")]).await.unwrap();
    let tail = store.log(attempt.id, MAX_LOG_LINES - 2, 100).await.unwrap();
    let texts: Vec<&str> = tail.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["19998", "further lines of this log were dropped: an attempt keeps 20000", "stopped"]);
    assert!(matches!(store.append_log(99, &[line("x")]).await, Err(Error::NoAttempt(99))));
}

#[tokio::test]
async fn discovered_machines_are_capped_refreshed_and_end_as_nodes() {
    let (_folder, store) = fresh().await;
    for n in 0..u16::try_from(MAX_DISCOVERED).unwrap() + 2 {
        store.discover(&discovered(n, n.into())).await.unwrap();
    }
    let all = store.discovered().await.unwrap();
    assert_eq!((all.len() as u64, all[0].mac, all.last().unwrap().mac), (MAX_DISCOVERED, mac(1001), mac(2)));
    let mut again = discovered(2, 5000);
    again.facts.set("serial", "S");
    store.discover(&again).await.unwrap();
    store.discover(&discovered(2, 5001)).await.unwrap();
    let newest = store.discovered().await.unwrap().remove(0);
    assert_eq!((newest.first_seen, newest.facts.get("serial")), (NOW + Span::minutes(2), Some("S")));
    store.add_nodes(&[node("a", 2)]).await.unwrap();
    store.discover(&discovered(2, 5002)).await.unwrap();
    store.forget_discovered(mac(3)).await.unwrap();
    assert!(store.discovered().await.unwrap().iter().all(|machine| machine.mac != mac(2) && machine.mac != mac(3)));
}

#[tokio::test]
async fn facts_and_variables_are_kept_apart_from_what_the_administrator_wrote() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    let mut facts = Facts::default();
    facts.set("nic", "virtio");
    store.update_facts(&name("a"), &facts).await.unwrap();
    let mut newer = Facts::default();
    newer.set("serial", "S");
    store.update_facts(&name("a"), &newer).await.unwrap();
    store.update_nodes(&[node("a", 2)]).await.unwrap();
    let held = store.facts(&name("a")).await.unwrap();
    assert_eq!(held.iter().collect::<Vec<_>>(), [("nic", "virtio"), ("serial", "S")]);
    assert!(matches!(store.facts(&name("b")).await, Err(Error::NoNode(_))));
    let group = "rack1".parse().unwrap();
    assert_eq!(store.group_variables(&group).await.unwrap(), Variables::default());
    let variables = Variables([("swap".to_owned(), false.into())].into_iter().collect());
    store.set_group_variables(&group, &variables).await.unwrap();
    assert_eq!(store.group_variables(&group).await.unwrap(), variables);
    assert_eq!(store.groups_with_variables().await.unwrap(), std::slice::from_ref(&group));
    store.set_group_variables(&group, &Variables::default()).await.unwrap();
    assert_eq!(store.groups_with_variables().await.unwrap(), []);
}

#[tokio::test]
async fn an_address_is_lent_once() {
    let (_folder, store) = fresh().await;
    let lease =
        |last, address, minutes| Lease { mac: mac(last), address: Ipv4Addr::new(10, 0, 0, address), expires: NOW + Span::minutes(minutes) };
    store.put_lease(&lease(1, 100, 5)).await.unwrap();
    store.put_lease(&lease(2, 101, 5)).await.unwrap();
    store.put_lease(&lease(2, 100, 9)).await.unwrap();
    assert_eq!(store.leases().await.unwrap(), [lease(2, 100, 9)]);
    store.end_lease(mac(2)).await.unwrap();
    assert_eq!(store.leases().await.unwrap(), []);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (folder, store) = fresh().await;
    store.write(|at| rows::execute(at, "UPDATE schema_version SET version = 99", [])).await.unwrap();
    store.close().await;
    let told = SqliteStore::open(&folder.path().join("state.db")).await.unwrap_err().to_string();
    assert!(told.contains("written by a newer kickctl (its tables are of version 99, this one knows 6)"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_no_data_base_is_refused_with_its_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    std::fs::write(&path, "not a data base, whatever its name says".repeat(100)).unwrap();
    let told = SqliteStore::open(&path).await.unwrap_err().to_string();
    assert!(told.contains("state.db") && told.contains("not a database"), "{told}");
}

#[tokio::test]
async fn files_are_private_and_belong_to_whom_the_folder_belongs_to() {
    let folder = TempDir::new().unwrap();
    // Only root can give files away; for anybody else the folder stays their own and the rest must hold all the same.
    let given = chown(folder.path(), Some(65534), Some(65534)).is_ok();
    let store = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    assert_eq!(store.nodes().await.unwrap().len(), 1);
    let owner = folder.path().metadata().unwrap().uid();
    let mut seen = vec![];
    for entry in folder.path().read_dir().unwrap().map(|entry| entry.unwrap()) {
        let metadata = entry.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (owner, 0o600), "{:?}", entry.path());
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["state.db", "state.db-shm", "state.db-wal"]);
    assert!(!given || owner == 65534);
}

#[tokio::test]
async fn many_can_make_the_same_state_at_the_same_moment() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    let opened = futures::future::join_all((0..8).map(|_| SqliteStore::open(&path))).await;
    for store in opened {
        assert_eq!(store.unwrap().nodes().await.unwrap(), []);
    }
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("state.db")), "{left:?}");
}

/// Runs `a_process_of_its_own` in one: it writes leases for the addresses of `block` and prints each after it is written.
fn writer(path: &Path, block: u8, count: u8) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::sqlite::tests::a_process_of_its_own", "--ignored", "--nocapture"])
        .env("KICKCTL_TEST_STATE", path)
        .env("KICKCTL_TEST_BLOCK", block.to_string())
        .env("KICKCTL_TEST_COUNT", count.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "started by other tests as a second process"]
async fn a_process_of_its_own() {
    let number = |name| std::env::var(name).unwrap().parse::<u8>().unwrap();
    let (block, count) = (number("KICKCTL_TEST_BLOCK"), number("KICKCTL_TEST_COUNT"));
    let store = SqliteStore::open(Path::new(&std::env::var("KICKCTL_TEST_STATE").unwrap())).await.unwrap();
    for n in 0..count {
        let address = Ipv4Addr::new(10, 0, block, n);
        store.put_lease(&Lease { mac: MacAddr::new([2, 0, 0, 0, block, n]), address, expires: NOW }).await.unwrap();
        println!("\nwrote {address}");
    }
}

fn written(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().filter_map(|line| line.strip_prefix("wrote ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_and_tasks_write_at_once_and_none_finds_it_locked() {
    let (folder, store) = fresh().await;
    let path = folder.path().join("state.db");
    let children = [writer(&path, 1, 100), writer(&path, 2, 100)];
    let own = (0..100).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let address = Ipv4Addr::new(10, 0, 0, n);
            store.put_lease(&Lease { mac: mac(n.into()), address, expires: NOW }).await?;
            store.leases().await.map(|_| ())
        })
    });
    for task in futures::future::join_all(own).await {
        task.unwrap().unwrap();
    }
    for child in children {
        let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(store.leases().await.unwrap().len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_had_written_is_there() {
    use std::io::{BufRead, BufReader, Read};
    let (folder, store) = fresh().await;
    store.close().await;
    let path = folder.path().join("state.db");
    let mut child = writer(&path, 1, 255);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut told = vec![];
    while written(&told).len() < 10 {
        assert!(output.read_until(b'\n', &mut told).unwrap() > 0, "it ended before it was killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_end(&mut told).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let held: BTreeSet<String> = store.leases().await.unwrap().iter().map(|lease| lease.address.to_string()).collect();
    assert!(written(&told).iter().all(|address| held.contains(address)), "{told:?} {held:?}");
    assert!(matches!(store.attempt(1).await, Ok(None)));
}

#[test]
fn every_state_reads_back() {
    for (_, state) in State::every_kind() {
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
    }
}

#[tokio::test]
async fn of_writes_that_share_a_commit_each_is_whole_or_not_there() {
    let (_folder, store) = fresh().await;
    let add = |number: u16| {
        let store = store.clone();
        async move {
            // Every third one is a node whose address somebody has already, and is refused after a part of it was written.
            let mut node = node(&format!("n{number}"), number);
            if number.is_multiple_of(3) {
                node.macs = vec![mac(900 + number), mac(1)];
            }
            store.add_nodes(&[node]).await.is_ok()
        }
    };
    assert!(add(1).await);
    let added = futures::future::join_all((2..=40).map(add)).await;
    assert_eq!(added.iter().filter(|done| !**done).count(), 13);
    assert_eq!(store.nodes().await.unwrap().len(), 1 + 26);
    assert_eq!(store.node_by_mac(mac(903)).await.unwrap(), None);
}

#[tokio::test]
async fn a_writer_whose_caller_goes_away_takes_nobody_with_it() {
    let (_folder, store) = fresh().await;
    for polls in 0..40 {
        let (gone, stays) = (node(&format!("gone{polls}"), 2 * polls + 1), node(&format!("stays{polls}"), 2 * polls + 2));
        let (gone, stays) = ([gone], [stays]);
        let cut = async {
            let mut adding = std::pin::pin!(store.add_nodes(&gone));
            for _ in 0..polls {
                if futures::poll!(adding.as_mut()).is_ready() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_micros(100)).await;
            }
        };
        let ((), added) = tokio::join!(cut, store.add_nodes(&stays));
        added.unwrap();
    }
    let names: Vec<String> = store.nodes().await.unwrap().iter().map(|node| node.name.to_string()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("stays")).count(), 40, "{names:?}");
    for polls in 0..40 {
        let by_mac = store.node_by_mac(mac(2 * polls + 1)).await.unwrap().map(|node| node.name.to_string());
        let there = names.contains(&format!("gone{polls}")).then(|| format!("gone{polls}"));
        assert_eq!(by_mac, there, "wholly there, or wholly not");
    }
}

/// Keeps the thread that writes busy until it is told to go on, so that what is asked meanwhile shares a commit.
fn hold(store: &SqliteStore) -> (impl Future<Output = Result<()>> + use<>, std::sync::mpsc::Sender<()>) {
    let (go, wait) = std::sync::mpsc::channel();
    let store = store.clone();
    (async move { store.write(move |_| wait.recv().map_err(|_| closed())).await }, go)
}

#[tokio::test]
async fn of_many_writers_who_fails_panics_or_goes_away_takes_nobody_with_it() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("first", 1)]).await.unwrap();
    let (held, go) = hold(&store);
    let mut held = std::pin::pin!(held);
    assert!(futures::poll!(held.as_mut()).is_pending());
    let many: Vec<Node> = (10..60).map(|number| node(&format!("n{number}"), number)).collect();
    let mut adding: Vec<_> = many.iter().map(|node| Box::pin(store.add_nodes(std::slice::from_ref(node)))).collect();
    for asked in &mut adding {
        assert!(futures::poll!(asked.as_mut()).is_pending());
    }
    drop(adding.remove(7));
    let taken = [Node { macs: vec![mac(900), mac(1)], ..node("fails", 2) }];
    let fails = store.add_nodes(&taken);
    let panics = store.write(|at| -> std::result::Result<(), Fault> {
        nodes::change(at, &[node("panics", 3)], &[])?;
        panic!("this is a test")
    });
    let release = async { go.send(()).unwrap() };
    let (held, added, failed, panicked, ()) = tokio::join!(held, futures::future::join_all(adding), fails, panics, release);
    held.unwrap();
    assert!(added.iter().all(|done| done.is_ok()), "{added:?}");
    assert!(matches!(failed, Err(Error::Taken { .. })), "{failed:?}");
    assert!(panicked.unwrap_err().to_string().contains("a fault in kickctl"));
    let expected: Vec<NodeName> = [name("first")].into_iter().chain(many.into_iter().map(|node| node.name)).collect();
    let there: Vec<NodeName> = store.nodes().await.unwrap().into_iter().map(|node| node.name).collect();
    assert_eq!(there, expected.into_iter().filter(|node| *node != name("n17")).collect::<Vec<_>>());
}

#[tokio::test]
async fn when_the_disk_is_full_nobody_is_told_that_it_was_written() {
    let (_folder, store) = fresh().await;
    let lease = |last| Lease { mac: mac(last), address: Ipv4Addr::from(0x0a00_0000 + u32::from(last)), expires: NOW };
    store.put_lease(&lease(1)).await.unwrap();
    // SQLite takes the size of now for the smallest that is possible.
    store.write(|at| Ok(at.execute_batch("PRAGMA max_page_count = 1")?)).await.unwrap();
    let (held, go) = hold(&store);
    let (before, after) = (lease(2), lease(3));
    let large = store.write(|at| {
        let sql = "INSERT INTO group_variables (name, variables) VALUES ('large', ?1)";
        rows::execute(at, sql, ["x".repeat(1 << 20)])
    });
    let release = async { go.send(()).unwrap() };
    let (held, before, large, after, ()) = tokio::join!(held, store.put_lease(&before), large, store.put_lease(&after), release);
    assert!(large.unwrap_err().to_string().contains("full"));
    // SQLite rolls back all that shared the transaction, and whoever comes after is in another.
    for told in [held.unwrap_err(), before.unwrap_err()] {
        assert!(told.to_string().contains("roll back all of it"), "{told}");
    }
    after.unwrap();
    assert_eq!(store.leases().await.unwrap(), [lease(1), lease(3)]);
    store.write(|at| Ok(at.execute_batch("PRAGMA max_page_count = 100000")?)).await.unwrap();
    store.put_lease(&lease(4)).await.unwrap();
    assert!(store.leases().await.unwrap().contains(&lease(4)));
}

#[tokio::test]
async fn what_was_asked_before_closing_is_kept_in_one_file_and_later_asking_fails() {
    let (folder, store) = fresh().await;
    let (held, go) = hold(&store);
    let nodes = [node("a", 1)];
    let release = async { go.send(()).unwrap() };
    let (held, added, (), ()) = tokio::join!(held, store.add_nodes(&nodes), store.close(), release);
    held.unwrap();
    added.unwrap();
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["state.db"]);
    for told in
        [store.node(&nodes[0].name).await.unwrap_err(), store.nodes().await.unwrap_err(), store.add_nodes(&nodes).await.unwrap_err()]
    {
        assert!(told.to_string().ends_with("state.db: it is closed already"), "{told}");
    }
    store.close().await;
    let again = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
    assert_eq!(again.nodes().await.unwrap(), nodes);
}

#[tokio::test]
async fn what_a_write_was_refused_for_is_there_for_who_reads_again() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    let attempt = store.arm(&name("a"), &order(), NOW).await.unwrap();
    let (held, go) = hold(&store);
    let (mut held, more) = (std::pin::pin!(held), hold(&store));
    assert!(futures::poll!(held.as_mut()).is_pending());
    let (mut first, mut stale) = (Box::pin(store.save_attempt(&attempt, &[])), Box::pin(store.save_attempt(&attempt, &[])));
    let mut last = std::pin::pin!(more.0);
    for asked in [&mut first, &mut stale] {
        assert!(futures::poll!(asked.as_mut()).is_pending());
    }
    assert!(futures::poll!(last.as_mut()).is_pending());
    go.send(()).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    // Both were done, and the transaction is still open.
    assert!(futures::poll!(stale.as_mut()).is_pending());
    assert_eq!(store.attempt(attempt.id).await.unwrap().unwrap().revision, 1);
    more.1.send(()).unwrap();
    assert!(matches!(stale.await, Err(Error::Stale(_))));
    assert_eq!(store.attempt(attempt.id).await.unwrap().unwrap().revision, 2);
    first.await.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_not_given_back_makes_all_who_wait_fail_together() {
    let (folder, store) = fresh().await;
    store.write(|at| Ok(at.busy_timeout(std::time::Duration::from_millis(300))?)).await.unwrap();
    let other = connect(&folder.path().join("state.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let nodes: Vec<[Node; 1]> = (1..40).map(|number| [node(&format!("n{number}"), number)]).collect();
    let begun = std::time::Instant::now();
    for told in futures::future::join_all(nodes.iter().map(|node| store.add_nodes(node))).await {
        assert!(told.unwrap_err().to_string().contains("locked"));
    }
    // One after the other they would wait for twelve seconds.
    assert!(begun.elapsed() < std::time::Duration::from_secs(6));
    other.execute_batch("ROLLBACK").unwrap();
    store.add_nodes(&nodes[0]).await.unwrap();
}

#[tokio::test]
async fn addresses_are_read_again_when_one_has_changed_whoever_changed_it() {
    let (folder, store) = fresh().await;
    let other = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
    let held = |reserved: Arc<[(NodeName, Ipv4Addr)]>| reserved.iter().map(|(name, at)| format!("{name} {at}")).collect::<Vec<_>>();
    let at = |name: &str, number: u16, last: u8| Node { address: Some(Ipv4Addr::new(10, 0, 0, last)), ..node(name, number) };
    store.add_nodes(&[at("a", 1, 1), at("b", 2, 2)]).await.unwrap();
    let first = store.reserved_addresses().await.unwrap();
    assert_eq!(held(first.clone()), ["a 10.0.0.1", "b 10.0.0.2"]);
    store.update_facts(&name("a"), &Facts::default()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &store.reserved_addresses().await.unwrap()), "nothing has changed");
    // What fails counts for nothing, and the next change is seen although it takes the same number.
    assert!(store.update_nodes(&[at("a", 1, 2)]).await.is_err());
    assert!(Arc::ptr_eq(&first, &store.reserved_addresses().await.unwrap()));
    store.update_nodes(&[at("a", 1, 3)]).await.unwrap();
    assert_eq!(held(store.reserved_addresses().await.unwrap()), ["a 10.0.0.3", "b 10.0.0.2"]);
    other.remove_nodes(&[name("b")]).await.unwrap();
    assert_eq!(held(store.reserved_addresses().await.unwrap()), ["a 10.0.0.3"]);
    other.add_nodes(&[at("c", 2, 2)]).await.unwrap();
    assert_eq!(held(store.reserved_addresses().await.unwrap()), ["a 10.0.0.3", "c 10.0.0.2"]);
}

#[tokio::test]
async fn an_attempt_that_was_never_kept_leaves_nothing_to_the_next_of_its_number() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1), node("b", 2)]).await.unwrap();
    let other = Order { profile: "other".parse().unwrap(), ..order() };
    let lost = other.clone();
    let panics = store.write(move |at| -> std::result::Result<(), Fault> {
        attempts::arm(at, &"a".parse().unwrap(), &lost, NOW)?;
        // Who writes reads what is not kept yet.
        assert!(attempts::arm(at, &"a".parse().unwrap(), &lost, NOW).is_err());
        panic!("this is a test")
    });
    assert!(panics.await.is_err());
    let armed = store.arm(&name("b"), &order(), NOW).await.unwrap();
    assert_eq!(*store.attempt(armed.id).await.unwrap().unwrap().order, order());
    assert_eq!(*store.last_attempt_beside(armed.id).await.unwrap().unwrap().order, order());
}

#[tokio::test]
async fn tables_of_an_older_version_are_brought_up_to_date_with_what_is_in_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version (version) VALUES (5)").unwrap();
    schema::MIGRATIONS[..5].iter().for_each(|migration| raw.execute_batch(migration).unwrap());
    let sql = "INSERT INTO nodes (name, address, arch, member_of, variables, facts) VALUES ('old', '10.0.0.9', 'amd64', '[]', '{}', '{}')";
    raw.execute_batch(sql).unwrap();
    drop(raw);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.reserved_addresses().await.unwrap().len(), 1);
    store.add_nodes(&[Node { address: Some(Ipv4Addr::new(10, 0, 0, 1)), ..node("new", 1) }]).await.unwrap();
    assert_eq!(store.reserved_addresses().await.unwrap().len(), 2);
}
