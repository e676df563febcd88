//! What is written reads back as it was, and rules that the tables keep.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, chown};

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

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

pub(super) async fn fresh() -> (TempDir, SqliteStore) {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
    (folder, store)
}

pub(super) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

pub(super) fn mac(last: u16) -> MacAddr {
    let [high, low] = last.to_be_bytes();
    MacAddr::new([2, 0, 0, 0, high, low])
}

pub(super) fn node(text: &str, last: u16) -> Node {
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

pub(super) fn order() -> Order {
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

#[test]
fn every_state_reads_back() {
    for (_, state) in State::every_kind() {
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
    }
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
