//! The `attempt`, `status` and `logs` commands as a user sees them.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions only, not in their helpers")]

#[path = "support/folder.rs"]
mod folder;

use std::process::Stdio;

use folder::{Head, told};
use insta::assert_snapshot;
use kickctl::domain::attempt::{Attempt, Event, Order};
use kickctl::domain::checksum::Sha256;
use kickctl::domain::profile::ProfileKind;
use kickctl::store::{LogLine, SqliteStore, Store};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

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
