//! The `node`, `attempt`, `status` and `logs` commands as a user sees them: the real binary in a data folder of its own.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions only, not in their helpers")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;
use kickctl::domain::attempt::{Attempt, Event, Order};
use kickctl::domain::checksum::Sha256;
use kickctl::domain::node::{Arch, Discovered, Firmware};
use kickctl::domain::profile::ProfileKind;
use kickctl::store::{LogLine, SqliteStore, Store};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

/// A data folder and the binary on it.
struct Head(TempDir);

impl Head {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kickctl"));
        command.args(line).env("KICKCTL_DATA", self.path()).env_remove("KICKCTL_CONFIG").stdin(Stdio::null());
        command
    }

    /// Exit code, standard output and standard error as one text.
    fn run(&self, line: &[&str]) -> String {
        told(&self.command(line).output().unwrap())
    }

    /// Standard output of a command that must succeed.
    fn good(&self, line: &[&str]) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.good(&[line, &["-o", "json"]].concat())).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path().join("state.db")).await.unwrap()
    }

    fn three_nodes(&self) {
        let list = self.write("list", "node01 10.0.0.1 52:54:00:00:00:01\nnode02 10.0.0.2 52:54:00:00:00:02\nnode10 - 52:54:00:00:00:10\n");
        self.good(&["node", "import", &list]);
    }
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    [format!("exit {}", output.status.code().unwrap_or(-1)), text(&output.stdout), text(&output.stderr)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
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
        variables: Default::default(),
    }
}

/// Takes an attempt through events, a second apart.
async fn play(store: &SqliteStore, attempt: &Attempt, events: &[Event]) {
    for (second, event) in (1..).zip(events) {
        kickctl::app::change_attempt(store, attempt.id, event, NOW + Duration::seconds(second)).await.unwrap();
    }
}

#[test]
fn a_node_is_added_shown_changed_and_removed() {
    let head = Head::new();
    let add = "node add node07 --mac 52-54-00-00-00-07,52:54:00:00:01:07 --address 10.0.0.7 --firmware uefi --group gpu";
    let add: Vec<&str> = add.split(' ').chain(["--set", "disk.pick=smallest", "--set", "swap=none"]).collect();
    assert_snapshot!(head.run(&[&add[..], &["--dry-run"]].concat()), @r"
    exit 0
    + node07 mac 52:54:00:00:00:07 52:54:00:00:01:07, address 10.0.0.7, arch amd64, firmware uefi, groups gpu, disk.pick smallest, swap none
    dry run: nothing was changed
    ");
    assert_snapshot!(head.run(&add), @r"
    exit 0
    added node07
    ");
    assert_snapshot!(head.run(&["node", "show", "node07"]), @r#"
    exit 0
    Name:         node07
    MAC:          52:54:00:00:00:07
                  52:54:00:00:01:07
    Address:      10.0.0.7
    Architecture: amd64
    Firmware:     uefi
    Groups:       gpu
    Variables:    disk = {"pick":"smallest"}
                  swap = "none"
    State:        unassigned
    "#);
    assert_snapshot!(head.good(&["node", "show", "node07", "-o", "json"]), @r#"
    {
      "name": "node07",
      "macs": [
        "52:54:00:00:00:07",
        "52:54:00:00:01:07"
      ],
      "address": "10.0.0.7",
      "arch": "amd64",
      "firmware": "uefi",
      "uuid": null,
      "serial": null,
      "groups": [
        "gpu"
      ],
      "variables": {
        "disk": {
          "pick": "smallest"
        },
        "swap": "none"
      },
      "profile": null,
      "snapshot": null,
      "state": "unassigned",
      "attempt": null,
      "power": "none",
      "facts": {}
    }
    "#);
    assert_snapshot!(head.run(&["node", "set", "node07", "--address", "none", "--unset", "disk.pick", "--ungroup", "gpu", "--dry-run"]), @r"
    exit 0
    ~ node07 address 10.0.0.7 -> none
    ~ node07 groups gpu -> none
    ~ node07 disk.pick smallest -> none
    dry run: nothing was changed
    ");
    assert_snapshot!(head.run(&["node", "set", "node07", "--address", "10.0.0.8"]), @r"
    exit 0
    changed node07
    ");
    assert_snapshot!(head.run(&["node", "set", "node07", "--address", "10.0.0.9", "-o", "json"]), @r#"
    exit 0
    [
      {
        "change": "changed",
        "node": "node07",
        "fields": [
          {
            "field": "address",
            "before": "10.0.0.8",
            "after": "10.0.0.9"
          }
        ]
      }
    ]
    "#);
    assert_snapshot!(head.run(&["node", "remove", "node07", "--dry-run"]), @r"
    exit 0
    - node07
    dry run: nothing was changed
    ");
    assert_snapshot!(head.run(&["node", "remove", "node07"]), @r"
    exit 0
    removed node07
    ");
    assert_snapshot!(head.run(&["node", "show", "node07"]), @r"
    exit 1
    kickctl: there is no node `node07`: `kickctl node list` shows those there are
    ");
    assert_eq!(head.json(&["node", "list"]), serde_json::json!([]));
}

#[test]
fn duplicates_name_both_owners_and_nonsense_says_what_is_allowed() {
    let head = Head::new();
    head.three_nodes();
    let run = |line: &str| head.run(&line.split(' ').collect::<Vec<_>>());
    assert_snapshot!(run("node add node01 --mac 52:54:00:00:00:99"), @r"
    exit 4
    kickctl: there is already a node `node01`: `kickctl node show node01` shows it, `kickctl node set node01` changes it
    ");
    assert_snapshot!(run("node add node03 --mac 52:54:00:00:00:01"), @r"
    exit 4
    kickctl: MAC address `52:54:00:00:00:01` of node03 already belongs to node01: remove it there first, or give node03 another
    ");
    assert_snapshot!(run("node set node02 --address 10.0.0.1"), @r"
    exit 4
    kickctl: address `10.0.0.1` of node02 already belongs to node01: remove it there first, or give node02 another
    ");
    assert_snapshot!(run("node set node[01-02] --address 10.0.0.9"), @r"
    exit 2
    kickctl: --address can be given to one node only, and `node[01-02]` names 2: `kickctl node import` takes a list
    ");
    assert_snapshot!(run("node add node03"), @r"
    exit 2
    kickctl: node03 has no MAC address: give the one it boots from with --mac
    ");
    assert_snapshot!(run("node add node03 --mac 52:54"), @r"
    exit 2
    error: invalid value '52:54' for '--mac <MAC[,MAC]>': `52:54` is not a MAC address: write six pairs of hexadecimal digits, such as 52:54:00:00:00:07

    For more information, try '--help'.
    ");
    assert_snapshot!(run("node add Node03 --mac 52:54:00:00:00:03"), @r"
    exit 2
    error: invalid value 'Node03' for '<NAME>': `Node03` is not a node name: 1 to 63 of a-z, 0-9 and -, neither first nor last a -

    For more information, try '--help'.
    ");
    assert_snapshot!(run("node list node[01-64"), @r"
    exit 2
    error: invalid value 'node[01-64' for '[NODES]': node set `node[01-64`, character 5: `[` without `]` after it

    For more information, try '--help'.
    ");
    assert_snapshot!(run("node list node[02-04],node10"), @r"
    exit 1
    kickctl: there are no nodes node[03-04]: `kickctl node list` shows those there are
    ");
    assert_snapshot!(run("node list @gpu"), @r"
    exit 1
    kickctl: no node is in group `gpu`: `kickctl node set NODES --group gpu` adds some
    ");
    assert_eq!(head.good(&["node", "list", "-o", "name"]), "node01\nnode02\nnode10\n");
}

#[test]
fn a_list_is_imported_whole_or_not_at_all() {
    let head = Head::new();
    head.three_nodes();
    let csv = "name,mac,address,groups\n\
        node01,52:54:00:00:00:01,10.0.0.2,rack1\n\
        node02,52:54:00:00:00:02;52:54:00:00:01:02,10.0.0.1,rack1 gpu\n\
        node03,52:54:00:00:00:03,,\n\
        node10,52:54:00:00:00:10,,\n";
    let file = head.write("nodes.csv", csv);
    assert_snapshot!(head.run(&["node", "import", &file, "--dry-run"]), @r"
    exit 0
    ~ node01 address 10.0.0.1 -> 10.0.0.2
    ~ node01 groups none -> rack1
    ~ node02 mac 52:54:00:00:00:02 -> 52:54:00:00:00:02 52:54:00:00:01:02
    ~ node02 address 10.0.0.2 -> 10.0.0.1
    ~ node02 groups none -> gpu rack1
    + node03 mac 52:54:00:00:00:03, arch amd64
    = node10
    dry run: nothing was changed
    ");
    assert_eq!(head.json(&["node", "list"]).as_array().unwrap().len(), 3);
    assert_snapshot!(head.run(&["node", "import", &file]), @r"
    exit 0
    added node03
    changed node[01-02]
    unchanged node10
    ");
    let exported = head.good(&["node", "export"]);
    assert_snapshot!(exported, @r"
    name,mac,address,arch,firmware,uuid,serial,groups,variables
    node01,52:54:00:00:00:01,10.0.0.2,amd64,,,,rack1,
    node02,52:54:00:00:00:02 52:54:00:00:01:02,10.0.0.1,amd64,,,,gpu rack1,
    node03,52:54:00:00:00:03,,amd64,,,,,
    node10,52:54:00:00:00:10,,amd64,,,,,
    ");
    let again = head.write("again.csv", &exported);
    assert_snapshot!(head.run(&["node", "import", &again]), @r"
    exit 0
    unchanged node[01-03,10]
    ");
    let bad = head.write("bad", "node04 10.0.0.4 52:54:00:00:00:04\nnode05 10.0.0.1 52:54:00:00:00:05\n");
    let refused = head.run(&["node", "import", &bad]).replace(head.path().to_str().unwrap(), "DIR");
    assert_snapshot!(refused, @r"
    exit 4
    kickctl: DIR/bad, line 2: address `10.0.0.1` of node05 already belongs to node02
    ");
    assert_snapshot!(head.run(&["node", "list"]), @r"
    exit 0
    NAME    MAC                                  ADDRESS   ARCH   FIRMWARE  GROUPS     PROFILE  STATE
    node01  52:54:00:00:00:01                    10.0.0.2  amd64            rack1               unassigned
    node02  52:54:00:00:00:02 52:54:00:00:01:02  10.0.0.1  amd64            gpu rack1           unassigned
    node03  52:54:00:00:00:03                              amd64                                unassigned
    node10  52:54:00:00:00:10                              amd64                                unassigned
    ");
}

#[test]
fn standard_input_is_a_list_too() {
    use std::io::Write;
    let head = Head::new();
    let mut child = head.command(&["node", "import", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a - 02:00:00:00:00:01\n").unwrap();
    assert_eq!(told(&child.wait_with_output().unwrap()), "exit 0\nadded a");
}

#[test]
fn several_nodes_are_removed_only_when_their_number_is_said() {
    let head = Head::new();
    head.three_nodes();
    assert_snapshot!(head.run(&["node", "remove", "node[01-02]"]), @r"
    exit 4
    kickctl: this would remove node[01-02]: confirm with --yes=2; nothing was changed
    ");
    assert_snapshot!(head.run(&["node", "remove", "all", "--yes=2"]), @r"
    exit 4
    kickctl: this would remove node[01-02,10]: that is 3, and --yes says 2; nothing was changed
    ");
    assert_snapshot!(head.run(&["node", "remove", "all,-node10", "--dry-run"]), @r"
    exit 0
    - node01
    - node02
    dry run: nothing was changed
    ");
    assert_snapshot!(head.run(&["node", "remove", "all,-node10", "--yes=2"]), @r"
    exit 0
    removed node[01-02]
    ");
    assert_eq!(head.good(&["node", "list", "-o", "name"]), "node10\n");
}

#[tokio::test]
async fn a_discovered_machine_becomes_a_node() {
    let head = Head::new();
    let store = head.store().await;
    let mut facts = kickctl::domain::facts::Facts::default();
    facts.set("product", "Standard PC");
    facts.set("serial", "S-7");
    let machine = Discovered {
        mac: "52:54:00:00:00:07".parse().unwrap(),
        uuid: Some("00112233-4455-6677-8899-aabbccddeeff".parse().unwrap()),
        arch: Arch::Amd64,
        firmware: Firmware::Uefi,
        address: Some([10, 0, 0, 200].into()),
        facts,
        first_seen: NOW,
        last_seen: NOW + Duration::seconds(5),
    };
    store.discover(&machine).await.unwrap();
    assert_snapshot!(head.run(&["node", "list", "--discovered"]), @r"
    exit 0
    MAC                ADDRESS     ARCH   FIRMWARE  PRODUCT      SERIAL  FIRST SEEN            LAST SEEN
    52:54:00:00:00:07  10.0.0.200  amd64  uefi      Standard PC  S-7     2026-11-21T12:00:00Z  2026-11-21T12:00:05Z
    ");
    assert_snapshot!(head.run(&["node", "approve", "52:54:00:00:00:09", "--name", "node07"]), @r"
    exit 1
    kickctl: no machine with MAC address 52:54:00:00:00:09 was discovered: `kickctl node list --discovered` shows those that were
    ");
    assert_snapshot!(head.run(&["status"]), @r"
    exit 0
    there are no nodes yet: `kickctl node add` and `kickctl node import` make some

    discovered machines that wait for `kickctl node approve`: 1
    ");
    assert_snapshot!(head.run(&["node", "approve", "all", "--name", "node[07-09]", "--address", "10.0.0.7", "--dry-run"]), @r"
    exit 0
    + node07 mac 52:54:00:00:00:07, address 10.0.0.7, arch amd64, firmware uefi, uuid 00112233-4455-6677-8899-aabbccddeeff, serial S-7
    dry run: nothing was changed
    ");
    assert_snapshot!(head.run(&["node", "approve", "52:54:00:00:00:07", "--name", "node07", "--group", "new"]), @r"
    exit 0
    added node07
    ");
    assert_snapshot!(head.run(&["node", "show", "node07"]), @r"
    exit 0
    Name:         node07
    MAC:          52:54:00:00:00:07
    Architecture: amd64
    Firmware:     uefi
    UUID:         00112233-4455-6677-8899-aabbccddeeff
    Serial:       S-7
    Groups:       new
    State:        unassigned
    Facts:        product = Standard PC
                  serial = S-7
    ");
    assert_eq!(head.json(&["node", "list", "--discovered"]), serde_json::json!([]));
}

/// node01 is installing, node02 failed, node10 has no attempt.
async fn two_attempts(head: &Head) -> SqliteStore {
    head.three_nodes();
    let store = head.store().await;
    let node01 = store.arm(&"node01".parse().unwrap(), &order(), NOW).await.unwrap();
    let node02 = store.arm(&"node02".parse().unwrap(), &order(), NOW).await.unwrap();
    let gate = Event::GateOpened { disk: "/dev/vda".into() };
    let base = Event::Reported { step: "base-system".into(), percent: 30, units: 0 };
    play(&store, &node01, &[Event::DhcpAsked, Event::LoaderAsked, Event::KernelServed, Event::TookOver, gate, base]).await;
    play(&store, &node02, &[Event::LoaderAsked, Event::Overdue { reason: "the kernel was not \u{1b}[31mfetched".into() }]).await;
    let hostile = LogLine { seq: 0, at: NOW, source: "main-menu".into(), text: "\u{1b}]0;owned\u{7}".into() };
    store.append_log(node01.id, &[hostile]).await.unwrap();
    store
}

#[tokio::test]
async fn attempts_are_listed_shown_and_logged() {
    let head = Head::new();
    two_attempts(&head).await;
    assert_snapshot!(head.run(&["attempt", "list"]), @r"
    exit 0
    NODE    ATTEMPT  STATE                   PERCENT  SINCE                 PROFILE    SNAPSHOT                   WHY
    node02  1        failed                           2026-11-21T12:00:02Z  debian-13  20261121T045300Z-3f9a2c41  the kernel was not �[31mfetched
    node01  1        installing/base-system  30 %     2026-11-21T12:00:06Z  debian-13  20261121T045300Z-3f9a2c41
    ");
    assert_snapshot!(head.run(&["attempt", "show", "node01"]), @r"
    exit 0
    Node:     node01
    Attempt:  1
    State:    installing/base-system
    Percent:  30 %
    Profile:  debian-13
    Mirror:   debian-13
    Snapshot: 20261121T045300Z-3f9a2c41
    Armed:    2026-11-21T12:00:00Z
    Stages:        0.0 s  armed
                   1.0 s  booting/dhcp
                   2.0 s  booting/loader
                   3.0 s  booting/kernel
                   4.0 s  installing/started
                   5.0 s  installing/gate
                   6.0 s  installing/base-system
    ");
    assert_snapshot!(head.good(&["attempt", "show", "node02", "-o", "json"]), @r#"
    {
      "id": 2,
      "node": "node02",
      "number": 1,
      "state": "failed",
      "over": true,
      "percent": null,
      "since": "2026-11-21T12:00:02Z",
      "why": "the kernel was not \u001b[31mfetched",
      "class": "transient",
      "signature": "booting/transient/cd598e77",
      "profile": "debian-13",
      "mirror": "debian-13",
      "snapshot": "20261121T045300Z-3f9a2c41",
      "image": null,
      "version": null,
      "armed_at": "2026-11-21T12:00:00Z",
      "stages": [
        {
          "stage": "armed",
          "at": "2026-11-21T12:00:00Z",
          "seconds": 0.0
        },
        {
          "stage": "booting/loader",
          "at": "2026-11-21T12:00:01Z",
          "seconds": 1.0
        },
        {
          "stage": "failed",
          "at": "2026-11-21T12:00:02Z",
          "seconds": 2.0
        }
      ],
      "evidence": [
        "it stood at booting/loader",
        "kickctl: booting/loader"
      ],
      "disks": [],
      "home": null
    }
    "#);
    assert_snapshot!(head.run(&["attempt", "show", "node01", "--attempt", "7"]), @r"
    exit 1
    kickctl: node01 has no attempt 7: its last one is 1
    ");
    assert_snapshot!(head.run(&["logs", "node10"]), @r"
    exit 1
    kickctl: node10 has no attempt yet: `kickctl reinstall node10` starts one
    ");
    assert_snapshot!(head.run(&["logs", "node01"]), @r"
    exit 0
    2026-11-21T12:00:01Z kickctl: booting/dhcp
    2026-11-21T12:00:02Z kickctl: booting/loader
    2026-11-21T12:00:03Z kickctl: booting/kernel
    2026-11-21T12:00:04Z kickctl: installing/started
    2026-11-21T12:00:05Z kickctl: write gate: yes, /dev/vda
    2026-11-21T12:00:06Z kickctl: installing/base-system
    2026-11-21T12:00:00Z main-menu: �]0;owned�
    ");
    assert_eq!(head.json(&["logs", "node01"])[0]["text"], "booting/dhcp");
    let shown = head.json(&["node", "show", "node01"]);
    assert_eq!((&shown["state"], &shown["attempt"]["number"]), (&"installing/base-system".into(), &1.into()));
    assert_snapshot!(head.good(&["status", "-o", "json"]), @r#"
    {
      "states": [
        {
          "state": "failed",
          "count": 1,
          "nodes": "node02"
        },
        {
          "state": "installing",
          "count": 1,
          "nodes": "node01"
        },
        {
          "state": "unassigned",
          "count": 1,
          "nodes": "node10"
        }
      ],
      "attempts": [
        {
          "id": 1,
          "node": "node01",
          "number": 1,
          "state": "installing/base-system",
          "over": false,
          "percent": 30,
          "since": "2026-11-21T12:00:06Z",
          "why": null,
          "class": null,
          "signature": null,
          "profile": "debian-13",
          "mirror": "debian-13",
          "snapshot": "20261121T045300Z-3f9a2c41",
          "image": null,
          "version": null,
          "armed_at": "2026-11-21T12:00:00Z"
        },
        {
          "id": 2,
          "node": "node02",
          "number": 1,
          "state": "failed",
          "over": true,
          "percent": null,
          "since": "2026-11-21T12:00:02Z",
          "why": "the kernel was not \u001b[31mfetched (a hand is needed for another try: have it boot over the network)",
          "class": "transient",
          "signature": "booting/transient/cd598e77",
          "profile": "debian-13",
          "mirror": "debian-13",
          "snapshot": "20261121T045300Z-3f9a2c41",
          "image": null,
          "version": null,
          "armed_at": "2026-11-21T12:00:00Z"
        }
      ],
      "running": [],
      "rollouts": [],
      "mirrors": [],
      "discovered": 0
    }
    "#);
    let picture = head.good(&["status"]);
    assert!(picture.contains("failed      1      node02") && picture.contains("30 %"), "{picture}");
    assert!(!picture.contains('\u{1b}'));
}

#[tokio::test]
async fn every_field_that_is_printed_is_documented() {
    let head = Head::new();
    two_attempts(&head).await;
    let contract = include_str!("../docs/json.md");
    for line in ["node show node01", "attempt show node01", "status"] {
        let printed = head.json(&line.split(' ').collect::<Vec<_>>());
        for field in printed.as_object().unwrap().keys() {
            assert!(contract.contains(&format!("`{field}`")), "docs/json.md does not tell what `{field}` of `kickctl {line}` is");
        }
    }
}

#[tokio::test]
async fn an_attempt_under_way_guards_its_node_until_it_is_aborted() {
    let head = Head::new();
    two_attempts(&head).await;
    assert_snapshot!(head.run(&["node", "remove", "node01"]), @r"
    exit 4
    kickctl: node01 cannot be removed during an attempt: `kickctl attempt abort node01` ends it
    ");
    assert_snapshot!(head.run(&["attempt", "abort", "all", "--dry-run"]), @r"
    exit 0
    would end the attempts of node01
    ");
    assert_snapshot!(head.run(&["attempt", "abort", "node01"]), @r"
    exit 0
    ended the attempts of node01
    ");
    assert_snapshot!(head.run(&["attempt", "abort", "node01"]), @r"
    exit 1
    kickctl: none of these nodes has an attempt under way: `kickctl attempt list` shows them
    ");
    assert!(head.good(&["logs", "node01", "-f"]).contains("failed in installing (aborted)"));
    assert_eq!(head.good(&["node", "remove", "node01"]), "removed node01\n");
}

#[tokio::test]
async fn following_a_log_ends_with_the_attempt() {
    let head = Head::new();
    head.three_nodes();
    let store = head.store().await;
    let attempt = store.arm(&"node01".parse().unwrap(), &order(), NOW).await.unwrap();
    let follow = head.command(&["logs", "node01", "-f", "-o", "name"]).stdout(Stdio::piped()).spawn().unwrap();
    let follower = tokio::task::spawn_blocking(move || follow.wait_with_output().unwrap());
    play(&store, &attempt, &[Event::DhcpAsked, Event::LoaderAsked, Event::Aborted]).await;
    let told = told(&follower.await.unwrap());
    assert_snapshot!(told, @r"
    exit 0
    booting/dhcp
    booting/loader
    failed in booting (aborted): stopped by `kickctl attempt abort`
    ");
}

#[tokio::test]
async fn watching_ends_when_nobody_reads_any_more() {
    let head = Head::new();
    head.three_nodes();
    let store = head.store().await;
    let mut watch = head.command(&["status", "-w"]).stdout(Stdio::piped()).spawn().unwrap();
    // As `head -1` does: it reads a line and closes the pipe. The next change to be told ends the watch.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(watch.stdout.take().unwrap()), &mut first).unwrap();
    assert!(first.starts_with("STATE"), "{first}");
    let mut changes = 0;
    while watch.try_wait().unwrap().is_none() {
        let attempt = store.arm(&"node01".parse().unwrap(), &order(), NOW).await.unwrap();
        play(&store, &attempt, &[Event::Aborted]).await;
        changes += 1;
        assert!(changes < 500, "it goes on for ever");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(watch.wait().unwrap().success());
}

#[test]
fn every_command_shows_examples_and_wrong_usage_is_exit_2() {
    let head = Head::new();
    for line in ["node add", "node list", "node show", "node set", "node remove", "node import", "node export", "node approve"] {
        let help = head.good(&line.split(' ').chain(["--help"]).collect::<Vec<_>>());
        assert!(help.contains("Examples:") && help.contains(&format!("kickctl {line}")), "{line}: {help}");
    }
    for line in ["attempt list", "attempt show", "attempt abort", "status", "logs"] {
        let help = head.good(&line.split(' ').chain(["--help"]).collect::<Vec<_>>());
        assert!(help.contains("Examples:"), "{line}: {help}");
    }
    assert!(head.run(&["node"]).starts_with("exit 2"));
    assert!(head.run(&["node", "add", "a", "--mac", "02:00:00:00:00:01", "--set", "nothing"]).starts_with("exit 2"));
    assert!(!head.path().join("state.db").exists());
}

#[test]
fn one_plain_name_is_shown_as_an_object_and_any_other_set_as_a_list() {
    let head = Head::new();
    head.three_nodes();
    assert_eq!(head.json(&["node", "show", "node02"])["name"], "node02");
    let names = |set: &str| -> Vec<String> {
        head.json(&["node", "show", set]).as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("node[01-02]"), ["node01", "node02"]);
    assert_eq!(names("node[02]"), ["node02"]);
    assert_eq!(head.json(&["node", "show", "all"])[2]["facts"], serde_json::json!({}));
    assert_snapshot!(head.run(&["node", "show", "node01,node10"]), @r"
    exit 0
    Name:         node01
    MAC:          52:54:00:00:00:01
    Address:      10.0.0.1
    Architecture: amd64
    State:        unassigned

    Name:         node10
    MAC:          52:54:00:00:00:10
    Architecture: amd64
    State:        unassigned
    ");
    assert!(head.run(&["node", "show", "node[01-04]"]).starts_with("exit 1\nkickctl: there are no nodes node[03-04]"));
}

#[tokio::test]
async fn a_table_without_lines_says_so_on_standard_error() {
    let head = Head::new();
    head.store().await.close().await;
    let blank = head.write("blank", "# nobody yet\n");
    for (line, said) in [
        ("node list", "no nodes yet: kickctl node add"),
        ("node show all", "no nodes yet: kickctl node add"),
        ("node list --discovered", "no discovered machines"),
        ("attempt list", "no attempts yet"),
        ("mirror list", "no mirrors yet: kickctl mirror add"),
        (&format!("node import {blank}"), "nothing was changed"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = head.command(&words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && output.stdout.is_empty(), "{line}: {}", self::told(&output));
        assert!(told.contains(said) && told.lines().count() == 1, "{line}: {told}");
        let quiet = head.command(&[&words[..], &["-o", "json"]].concat()).output().unwrap();
        assert_eq!((&*quiet.stdout, quiet.stderr.len()), (&b"[]\n"[..], 0), "{line}");
    }
}

#[test]
fn looking_into_a_folder_that_is_not_there_makes_none() {
    let head = Head::new();
    let misspelt = head.path().join("misspelt");
    let state = misspelt.join("state.db");
    for line in ["node list", "node list --discovered", "node show a", "node export", "attempt list", "attempt show a", "logs a", "status"]
    {
        let words: Vec<&str> = line.split(' ').chain(["--data", misspelt.to_str().unwrap()]).collect();
        let told = head.run(&words);
        assert!(told.starts_with(&format!("exit 1\nkickctl: there is no state at {}: `kickctl init`", state.display())), "{line}: {told}");
        assert!(told.contains("--data"), "{told}");
        assert!(!misspelt.exists(), "{line}");
    }
}

#[test]
fn runs_at_once_do_not_get_in_each_others_way() {
    let head = Head::new();
    let children: Vec<_> = (1..=8)
        .map(|n| {
            let mut command = head.command(&["node", "add", &format!("node{n}"), "--mac", &format!("02:00:00:00:00:{n:02x}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }
    assert_eq!(head.good(&["node", "list", "-o", "name"]).lines().count(), 8);
}
