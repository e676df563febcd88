//! The `node` commands as a user sees them.

#[path = "support/folder.rs"]
mod folder;

use std::process::Stdio;

use folder::{Head, told};
use insta::assert_snapshot;
use kickctl::domain::node::{Arch, Discovered, Firmware};
use kickctl::store::Store;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

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
