//! Rollouts with the real state, the real commands of a site, and the command line: waves, the breaker, draining, and a head that is stopped anywhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod diskless_support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use diskless_support::{Lab, lab};
use insta::assert_snapshot;
use kickctl::app::advance_rollouts::advance_rollouts;
use kickctl::app::begin_rollout::{Waves, begin_rollout};
use kickctl::app::carry_out::{carry_out, due_work};
use kickctl::app::steer_rollout::{Steer, steer_rollout};
use kickctl::domain::attempt::{Class, Ending, Failure, Stage, State};
use kickctl::domain::name::NodeName;
use kickctl::domain::occurrence::What;
use kickctl::domain::rollout::{Phase, Rollout, RolloutState};
use kickctl::store::Along;
use serde_json::json;
use time::OffsetDateTime;

struct Fleet {
    lab: Lab,
    nodes: Vec<NodeName>,
}

fn held(reason: &str) -> State {
    let failure = Failure { stage: Stage::Installing, class: Class::Deterministic, reason: reason.into(), wrote: false, evidence: vec![] };
    State::Held(Ending { reason: "the same would happen again".into(), failure })
}

impl Fleet {
    /// So many nodes with orders that need no snapshot; a rollout asks only how their attempts end. `more` is what the configuration has besides.
    async fn of(count: u8, more: &str) -> Self {
        let lab = lab(more).await;
        let mut nodes: Vec<NodeName> = vec![];
        for at in 1..=count {
            let last = 100 + at;
            let mac = format!("02:00:00:00:01:{at:02x}");
            let node = json!({"name": format!("n{at:02}"), "macs": [mac], "address": format!("127.0.0.{last}")});
            let node: kickctl::domain::node::Node = serde_json::from_value(node).unwrap();
            lab.head.store.add_nodes(std::slice::from_ref(&node)).await.unwrap();
            lab.assign(node.name.as_str(), "debian-13-ram").await;
            nodes.push(node.name);
        }
        Self { lab, nodes }
    }

    async fn begun(&self, canary: usize, max_parallel: usize) -> Rollout {
        let waves = Waves { canary, max_parallel, cycle: true };
        begin_rollout(&self.lab.head, &self.nodes, waves, false, OffsetDateTime::now_utc()).await.unwrap()
    }

    async fn rollout(&self) -> Rollout {
        self.lab.head.store.rollouts().await.unwrap().remove(0)
    }

    /// The head looks after its rollouts once; then what is under way.
    async fn turn(&self) -> Vec<String> {
        advance_rollouts(&self.lab.head, OffsetDateTime::now_utc()).await.unwrap();
        let attempts = self.lab.head.store.last_attempts().await.unwrap();
        attempts.iter().filter(|attempt| !attempt.state.is_over()).map(|attempt| attempt.node.to_string()).collect()
    }

    /// What is under way comes to an end.
    async fn end(&self, end: impl Fn(&str) -> State) {
        for attempt in self.lab.head.store.last_attempts().await.unwrap().iter().filter(|attempt| !attempt.state.is_over()) {
            self.lab.put(attempt, &end(attempt.node.as_str())).await;
        }
    }

    async fn told(&self, what: What) -> Vec<String> {
        let events = self.lab.head.store.events(0, 1000).await.unwrap();
        events.into_iter().filter(|event| event.what == what).map(|event| event.text).collect()
    }

    /// Everything that is due now or later is carried out, twice where `twice`: the head was killed before it could say so.
    async fn works(&self, twice: bool) {
        let far = OffsetDateTime::now_utc() + time::Duration::hours(1);
        for outgoing in due_work(&self.lab.head, far).await.unwrap() {
            if twice {
                carry_out(&self.lab.head, outgoing.clone()).await.unwrap();
            }
            carry_out(&self.lab.head, outgoing).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_first_node_goes_alone_and_the_others_in_waves() {
    let fleet = Fleet::of(8, "").await;
    fleet.begun(1, 3).await;
    assert_eq!(fleet.turn().await, ["n01"]);
    assert_eq!(fleet.turn().await, ["n01"]);
    fleet.end(|_| State::Verified).await;
    assert_eq!(fleet.turn().await, ["n02", "n03", "n04"]);
    fleet.end(|node| if node == "n03" { held("a disk of its own kind of broken") } else { State::Verified }).await;
    assert_eq!(fleet.turn().await, ["n05", "n06", "n07"]);
    fleet.end(|_| State::Verified).await;
    assert_eq!(fleet.turn().await, ["n08"]);
    fleet.end(|_| State::Verified).await;
    assert!(fleet.turn().await.is_empty());
    assert_eq!(fleet.rollout().await.state, RolloutState::Done);
    assert_eq!(fleet.told(What::Rollout).await.last().unwrap(), "rollout 1 has ended: 7 verified, 1 failed");
    assert_eq!(fleet.told(What::Armed).await.len(), 8, "each was armed once");
}

#[tokio::test]
async fn nodes_that_fail_alike_stop_it_and_tell_until_somebody_resumes_it() {
    let fleet = Fleet::of(12, "").await;
    fleet.begun(0, 4).await;
    assert_eq!(fleet.turn().await.len(), 4);
    fleet.end(|node| if node == "n02" { State::Verified } else { held(&format!("no disk matches on {node}")) }).await;
    assert!(fleet.turn().await.is_empty());
    let told = fleet.told(What::Breaker).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("rollout 1 is paused: 3 of 4 nodes have failed alike (installing/deterministic/"), "{told:?}");
    assert!(told[0].contains("): n[01,03-04]; `kickctl rollout resume 1`"), "{told:?}");
    let works = due_work(&fleet.lab.head, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(works.iter().filter(|own| own.work.kind() == "notify").count(), 1, "the hooks are told of the breaker");
    assert!(fleet.turn().await.is_empty());
    steer_rollout(&fleet.lab.head, None, Steer::Resume, false, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(fleet.turn().await.len(), 4);
    fleet.end(|_| State::Verified).await;
    assert_eq!(fleet.turn().await.len(), 4);
}

#[tokio::test]
async fn a_head_that_is_stopped_between_saying_and_arming_arms_each_node_once() {
    let fleet = Fleet::of(3, "").await;
    let mut rollout = fleet.begun(0, 2).await;
    // It was said that these two are begun; then the head was killed. One of them had been armed.
    rollout.put(&fleet.nodes[0], Phase::Begun, None);
    rollout.put(&fleet.nodes[1], Phase::Begun, None);
    fleet.lab.head.store.save_rollout(&rollout, &Along::default(), OffsetDateTime::now_utc()).await.unwrap();
    let one = std::slice::from_ref(&fleet.nodes[0]);
    kickctl::app::reinstall::reinstall(&fleet.lab.head, one, true, false, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(fleet.turn().await, ["n01", "n02"]);
    assert_eq!(fleet.turn().await, ["n01", "n02"]);
    assert_eq!(fleet.told(What::Armed).await.len(), 2);
    // Whoever read an older revision is refused, and does no harm.
    assert!(fleet.lab.head.store.save_rollout(&rollout, &Along::default(), OffsetDateTime::now_utc()).await.is_err());
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A site whose nodes are in work until the second time they are asked, and which cannot take out n03 at all.
async fn with_a_scheduler(count: u8) -> (Fleet, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    let place = folder.path().display().to_string();
    let script = format!(
        "#!/bin/sh\ncd {place}\n[ \"$2\" = \"$KICKCTL_NODE\" ] && [ \"$KICKCTL_ROLLOUT\" = 1 ] || exit 9\n\
         [ $2 != n03 ] || {{ echo 'no such node' >&2; exit 1; }}\n\
         [ $1 = undrain ] || [ -e $2.asked ] || {{ touch $2.asked; exit 75; }}\necho $1 $2 >>calls\n"
    );
    program(&folder.path().join("scheduler"), &script);
    let more = format!("[rollouts]\ndrain = [\"{place}/scheduler\", \"drain\"]\nundrain = [\"{place}/scheduler\", \"undrain\"]\n");
    (Fleet::of(count, &more).await, folder)
}

fn calls(folder: &tempfile::TempDir) -> Vec<String> {
    let text = std::fs::read_to_string(folder.path().join("calls")).unwrap_or_default();
    let mut calls: Vec<String> = text.lines().map(str::to_owned).collect();
    calls.sort();
    calls.dedup();
    calls
}

#[tokio::test]
async fn a_node_is_installed_only_when_it_is_out_of_work_and_given_back_when_it_is_verified() {
    let (fleet, folder) = with_a_scheduler(4).await;
    fleet.begun(0, 4).await;
    assert!(fleet.turn().await.is_empty());
    fleet.works(false).await;
    assert!(fleet.turn().await.is_empty(), "they are still in work");
    fleet.works(true).await;
    assert_eq!(fleet.turn().await, ["n01", "n02", "n04"]);
    for _ in 0..8 {
        fleet.works(false).await;
    }
    fleet.end(|node| if node == "n02" { held("no disk") } else { State::Verified }).await;
    fleet.turn().await;
    fleet.works(true).await;
    assert_eq!(calls(&folder), ["drain n01", "drain n02", "drain n04", "undrain n01", "undrain n04"]);
    let rollout = fleet.rollout().await;
    assert_eq!((rollout.state, rollout.count(&[Phase::Verified]), rollout.count(&[Phase::Failed])), (RolloutState::Done, 2, 2));
    let why = rollout.nodes[2].why.clone().unwrap();
    assert!(why.contains("`drain` failed for good") && why.contains("no such node"), "{why}");
    assert!(fleet.lab.last("n03").await.is_none(), "what could not be drained is not installed");
}

#[tokio::test]
async fn what_is_drained_when_a_rollout_is_aborted_is_given_back() {
    let (fleet, folder) = with_a_scheduler(2).await;
    fleet.begun(0, 2).await;
    fleet.turn().await;
    fleet.works(false).await;
    let under_way = due_work(&fleet.lab.head, OffsetDateTime::now_utc() + time::Duration::hours(1)).await.unwrap();
    fleet.works(false).await;
    steer_rollout(&fleet.lab.head, Some(1), Steer::Abort, false, OffsetDateTime::now_utc()).await.unwrap();
    assert!(fleet.turn().await.is_empty());
    fleet.works(true).await;
    assert_eq!(calls(&folder), ["drain n01", "drain n02", "undrain n01", "undrain n02"]);
    // What a killed head had begun is done again, and nothing comes of it.
    for outgoing in under_way {
        carry_out(&fleet.lab.head, outgoing).await.unwrap();
    }
    assert!(fleet.turn().await.is_empty());
    assert!(fleet.lab.head.store.last_attempts().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_node_that_is_in_a_rollout_or_under_way_is_in_no_other_and_a_removed_one_ends_it() {
    let fleet = Fleet::of(2, "").await;
    fleet.begun(0, 1).await;
    assert_eq!(fleet.turn().await, ["n01"]);
    let waves = Waves { canary: 0, max_parallel: 1, cycle: true };
    let told = begin_rollout(&fleet.lab.head, &fleet.nodes[1..], waves, false, OffsetDateTime::now_utc()).await.unwrap_err().to_string();
    assert!(told.contains("n02 belong to rollout 1, which is not over"), "{told}");
    fleet.lab.head.store.remove_nodes(&fleet.nodes[..1]).await.unwrap();
    assert_eq!(fleet.turn().await, ["n02"]);
    fleet.end(|_| State::Verified).await;
    fleet.turn().await;
    assert_eq!((fleet.rollout().await.state, fleet.rollout().await.nodes[0].phase), (RolloutState::Done, Phase::Failed));
}

#[tokio::test]
async fn the_command_line_asks_for_the_number_and_steers() {
    let fleet = Fleet::of(4, "").await;
    let data = fleet.lab.folder.path();
    std::fs::write(data.join("kickctl.toml"), "interface = \"lo\"\naddress = \"127.0.0.1\"\nsubnet = \"127.0.0.0/24\"\n").unwrap();
    let kickctl = |line: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kickctl"));
        command.args(line).env("KICKCTL_DATA", data).env_remove("KICKCTL_CONFIG").stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        format!("exit {}\n{}{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let nodes = "n[01-04]";
    let wanted = ["reinstall", nodes, "--canary", "1", "--max-parallel", "2"];
    assert_snapshot!(kickctl(&wanted), @r"
    exit 4
    kickctl: this would install n[01-04] anew and lose what is on the chosen disks: confirm with --yes=4; nothing was changed
    ");
    assert!(kickctl(&[&wanted[..], &["--dry-run"]].concat()).starts_with("exit 0\n"));
    assert!(fleet.lab.head.store.rollouts().await.unwrap().is_empty());
    assert!(kickctl(&[&wanted[..], &["--yes=4"]].concat()).starts_with("exit 0\n"));
    assert_eq!(fleet.turn().await, ["n01"]);
    fleet.end(|_| held("no disk matches")).await;
    fleet.turn().await;
    let status = kickctl(&["rollout", "status", "-o", "json"]);
    let mut status: serde_json::Value = serde_json::from_str(status.strip_prefix("exit 0\n").unwrap()).unwrap();
    status["begun_at"] = "2026-11-21T12:00:00Z".into();
    assert_snapshot!(serde_json::to_string_pretty(&status).unwrap(), @r#"
    {
      "id": 1,
      "state": "paused",
      "why": "n01, one of the first 1, has failed",
      "begun_at": "2026-11-21T12:00:00Z",
      "canary": 1,
      "max_parallel": 2,
      "count": 4,
      "nodes": "n[01-04]",
      "phases": [
        {
          "phase": "waiting",
          "count": 3,
          "nodes": "n[02-04]"
        },
        {
          "phase": "failed",
          "count": 1,
          "nodes": "n01"
        }
      ],
      "refused": {}
    }
    "#);
    let cluster = kickctl(&["status"]);
    assert!(cluster.contains("rollout 1 is paused: 3 waiting, 1 failed; n01, one of the first 1, has failed"), "{cluster}");
    assert!(kickctl(&["rollout", "resume"]).starts_with("exit 0\n"));
    assert_eq!(fleet.turn().await, ["n02", "n03"]);
    assert!(kickctl(&["rollout", "pause"]).contains("by `kickctl rollout pause`"));
    assert_snapshot!(kickctl(&["rollout", "pause"]), @r"
    exit 4
    kickctl: rollout 1 is paused, and cannot be paused
    ");
    assert!(kickctl(&["rollout", "abort", "1"]).contains("aborted"));
    assert_snapshot!(kickctl(&["rollout", "list", "-o", "name"]), @r"
    exit 0
    1
    ");
    assert!(kickctl(&["rollout", "status", "7"]).starts_with("exit 1\n"));
}
