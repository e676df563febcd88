//! Failed attempts and what follows them, with the real state; what is done outside is done by a program that may be killed at any moment.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use time::{Duration as Span, OffsetDateTime};

use super::Head;
use super::carry_out::{carry_out, due_work};
use super::change_attempt::change_attempt;
use super::fixture::{NOW, head, node, order};
use super::list_nodes::show_node;
use super::retry_attempts::retry_attempts;
use super::settle_failures::{retry_at_boot, settle_failures};
use crate::domain::attempt::{Attempt, Event, Order, State};
use crate::domain::name::NodeName;
use crate::domain::occurrence::What;
use crate::domain::outbox::{PowerStep, Work};
use crate::domain::power::{BootFrom, Power};
use crate::domain::profile::Assignment;
use crate::store::{Arming, Kept};

fn name() -> NodeName {
    "node07".parse().unwrap()
}

/// A head with one node that was ordered to be installed.
async fn ordered(data: &Path) -> Head {
    let head = head(data).await;
    head.store.add_nodes(&[node("node07", 7)]).await.unwrap();
    let profile = order().profile;
    head.store.assign(&[Assignment { node: name(), profile, snapshot: None }]).await.unwrap();
    head
}

/// Without a fallback profile: there is no image here.
async fn armed(head: &Head, now: OffsetDateTime) -> Attempt {
    head.store.arm(&name(), &order(), now).await.unwrap()
}

async fn happens(head: &Head, events: &[Event], now: OffsetDateTime) {
    let last = last(head).await;
    for event in events {
        change_attempt(&*head.store, last.id, event, now).await.unwrap();
    }
}

async fn last(head: &Head) -> Attempt {
    head.store.last_attempt(&name()).await.unwrap().unwrap()
}

fn installs() -> Vec<Event> {
    vec![Event::LoaderAsked, Event::KernelServed, Event::TookOver, Event::GateOpened { disk: "/dev/vda".into() }]
}

async fn events(head: &Head, what: What) -> usize {
    head.store.events(0, 1000).await.unwrap().iter().filter(|event| event.what == what).count()
}

#[tokio::test]
async fn a_mirror_that_was_away_is_tried_again_when_the_node_boots_or_by_power_after_a_pause() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    armed(&head, NOW).await;
    happens(&head, &installs(), NOW).await;
    happens(&head, &[Event::GaveUp { reason: "http://10.0.0.1:8080/mirror/x.deb: 503".into() }], NOW).await;
    // Without power control it waits for a hand, however long.
    assert_eq!(settle_failures(&head, NOW + Span::hours(1)).await.unwrap(), 0);
    retry_at_boot(&head, &name(), NOW + Span::hours(1)).await.unwrap();
    let second = last(&head).await;
    assert_eq!((second.number, &second.state), (2, &State::Armed));
    assert_eq!(*second.order, order());
    // With power control the head does it by itself.
    head.store.set_power(&[(name(), Some(Power::Command { command: vec!["/bin/false".into()] }))]).await.unwrap();
    let now = NOW + Span::hours(2);
    happens(&head, &[Event::Overdue { reason: "it was switched on and asked for no address".into() }], now).await;
    assert_eq!(settle_failures(&head, now + Span::seconds(60)).await.unwrap(), 0, "the second pause is two minutes");
    assert_eq!(settle_failures(&head, now + Span::seconds(140)).await.unwrap(), 1);
    let third = last(&head).await;
    let works: Vec<Work> = head.store.outbox(now + Span::hours(1), 99).await.unwrap().into_iter().map(|own| own.work).collect();
    assert!(works.contains(&Work::Power { node: name(), attempt: third.id, boot: BootFrom::Network, step: PowerStep::Off }), "{works:?}");
    assert_eq!(settle_failures(&head, now + Span::seconds(140)).await.unwrap(), 0, "once");
    happens(&head, &[Event::Overdue { reason: "something else".into() }], now).await;
    assert_eq!(settle_failures(&head, now + Span::hours(1)).await.unwrap(), 1);
    assert_eq!(last(&head).await.state.name(), "held");
    assert_eq!((events(&head, What::Failed).await, events(&head, What::Held).await, events(&head, What::Armed).await), (3, 1, 2));
}

#[tokio::test]
async fn an_installer_that_restarts_its_machine_early_is_held_and_never_installed_again_silently() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    armed(&head, NOW).await;
    happens(&head, &[Event::LoaderAsked, Event::TookOver, Event::LoaderAsked], NOW).await;
    assert!(last(&head).await.state.failure().unwrap().reason.starts_with("unexpected reboot"));
    retry_at_boot(&head, &name(), NOW).await.unwrap();
    settle_failures(&head, NOW).await.unwrap();
    for minutes in 1..100 {
        retry_at_boot(&head, &name(), NOW + Span::minutes(minutes)).await.unwrap();
        settle_failures(&head, NOW + Span::minutes(minutes)).await.unwrap();
    }
    assert_eq!((last(&head).await.number, last(&head).await.state.name()), (1, "held".to_owned()));
}

#[tokio::test]
async fn a_call_home_that_was_lost_and_comes_late_and_twice_verifies_once() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    armed(&head, NOW).await;
    happens(&head, &installs(), NOW).await;
    happens(&head, &[Event::Done, Event::Overdue { reason: "the installed system did not call home for 900 s".into() }], NOW).await;
    assert_eq!(settle_failures(&head, NOW).await.unwrap(), 1);
    assert_eq!(last(&head).await.state.name(), "held");
    assert_eq!(show_node(&*head.store, &name()).await.unwrap().state, "held");
    happens(&head, &[Event::CalledHome, Event::CalledHome], NOW + Span::days(2)).await;
    assert_eq!((last(&head).await.number, last(&head).await.state), (1, State::Verified));
    assert_eq!(events(&head, What::Verified).await, 1);
    assert_eq!(settle_failures(&head, NOW + Span::days(3)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_node_that_is_to_be_something_else_by_now_is_not_installed_as_what_it_was() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    armed(&head, NOW).await;
    happens(&head, &[Event::LoaderAsked, Event::Overdue { reason: "the kernel was not fetched for 180 s".into() }], NOW).await;
    head.store.assign(&[Assignment { node: name(), profile: "rocky-9".parse().unwrap(), snapshot: None }]).await.unwrap();
    retry_at_boot(&head, &name(), NOW).await.unwrap();
    let State::Held(ending) = last(&head).await.state else { panic!("held") };
    assert!(ending.reason.starts_with("its profile was changed"), "{}", ending.reason);
}

#[tokio::test]
async fn a_persons_word_tries_a_failed_order_again_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    let nodes = head.store.nodes().await.unwrap();
    assert!(retry_attempts(&head, &nodes, false, NOW).await.unwrap_err().to_string().contains("no attempt"));
    armed(&head, NOW).await;
    assert!(retry_attempts(&head, &nodes, false, NOW).await.unwrap_err().to_string().contains("is armed"));
    happens(&head, &[Event::LoaderAsked, Event::Unservable { reason: "the profile has changed".into() }], NOW).await;
    settle_failures(&head, NOW).await.unwrap();
    assert_eq!(retry_attempts(&head, &nodes, true, NOW).await.unwrap()[0].number, 1);
    assert_eq!(retry_attempts(&head, &nodes, false, NOW).await.unwrap()[0].number, 2);
    happens(&head, &[Event::Aborted], NOW).await;
    assert!(retry_attempts(&head, &nodes, false, NOW).await.is_err(), "a person stopped it");
}

#[tokio::test]
async fn a_retry_is_refused_when_the_failed_attempt_has_called_home_in_between() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    armed(&head, NOW).await;
    happens(&head, &installs(), NOW).await;
    happens(&head, &[Event::Overdue { reason: "no progress".into() }], NOW).await;
    let read = last(&head).await;
    happens(&head, &[Event::CalledHome], NOW).await;
    let arming = Arming { node: &read.node, order: &read.order, after: Some(&read), cycle: true, why: "x".into() };
    assert!(matches!(head.store.arm_and(&arming, NOW).await, Err(crate::store::Error::Stale(_))));
    assert_eq!(head.store.outbox(NOW, 99).await.unwrap().iter().filter(|own| own.work.kind() == "power").count(), 0);
}

#[tokio::test]
async fn events_are_bounded_by_count_and_age() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    for _ in 0..10 {
        armed(&head, NOW).await;
        happens(&head, &[Event::Aborted], NOW).await;
    }
    assert_eq!(head.store.prune_events(NOW - Span::days(1), 4).await.unwrap(), 6);
    let left: Vec<u64> = head.store.events(0, 99).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!((left, head.store.last_event().await.unwrap()), (vec![7, 8, 9, 10], 10));
    assert_eq!(head.store.prune_events(NOW + Span::days(1), 4).await.unwrap(), 4);
}

#[tokio::test]
async fn attempts_are_bounded_by_count_and_age_and_their_logs_go_with_them() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    for _ in 0..10 {
        armed(&head, NOW).await;
        happens(&head, &[Event::Aborted], NOW).await;
    }
    armed(&head, NOW).await;
    let numbers = async || -> Vec<u32> { head.store.attempts(None).await.unwrap().iter().map(|attempt| attempt.number).collect() };
    let first = head.store.attempts(None).await.unwrap().pop().unwrap();
    assert!(!head.store.log(first.id, 0, 10).await.unwrap().is_empty());
    let kept = |least, most| Kept { least, most };
    assert_eq!(head.store.prune_attempts(NOW - Span::days(1), kept(2, 8)).await.unwrap(), 3);
    assert_eq!(numbers().await, [11, 10, 9, 8, 7, 6, 5, 4]);
    assert_eq!(head.store.log(first.id, 0, 10).await.unwrap(), []);
    assert_eq!(head.store.prune_attempts(NOW + Span::days(1), kept(2, 8)).await.unwrap(), 6);
    // The one that is under way stays, whatever is said, and numbers go on.
    assert_eq!(head.store.prune_attempts(NOW + Span::days(1), kept(0, 0)).await.unwrap(), 1);
    happens(&head, &[Event::Aborted], NOW).await;
    armed(&head, NOW).await;
    assert_eq!(numbers().await, [12, 11]);
}

#[tokio::test]
async fn the_attempt_that_a_node_runs_from_is_kept_whatever_failed_since() {
    let folder = TempDir::new().unwrap();
    let head = ordered(folder.path()).await;
    for _ in 0..2 {
        armed(&head, NOW).await;
        happens(&head, &installs(), NOW).await;
        happens(&head, &[Event::CalledHome], NOW).await;
    }
    for _ in 0..4 {
        armed(&head, NOW).await;
        happens(&head, &[Event::Aborted], NOW).await;
    }
    assert_eq!(head.store.prune_attempts(NOW + Span::days(1), Kept { least: 1, most: 2 }).await.unwrap(), 4);
    let left: Vec<u32> = head.store.attempts(None).await.unwrap().iter().map(|attempt| attempt.number).collect();
    assert_eq!(left, [6, 2]);
}

/// A machine: a program that is switched by `on`, `off` and `boot`, keeps what it is in files, and kills whoever called it (SIGKILL) right
/// after its effect when it comes to the call that `kill` names.
fn machine(folder: &Path, kill: usize) -> PathBuf {
    let program = folder.join("machine");
    let place = folder.display();
    let script = format!(
        "#!/bin/sh\ncd {place}\ncase $1 in\nstatus) cat state; exit ;;\non | off) [ \"$(cat state)\" = $1 ] || echo $1 >>changes; echo $1 >state ;;\n\
         boot) echo $2 >boot ;;\nesac\necho $* >>calls\n[ \"$(wc -l <calls)\" != {kill} ] || kill -9 $PPID\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.join("state"), "on\n").unwrap();
    program
}

#[test]
fn whoever_is_killed_between_an_effect_and_its_record_leaves_the_same_outcome() {
    // off, boot, on: after each of them, and after none.
    let story = |kill: usize| {
        let folder = TempDir::new().unwrap();
        let program = machine(folder.path(), kill);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let head = ordered(&folder.path().join("data")).await;
            let command = vec![program.display().to_string()];
            head.store.set_power(&[(name(), Some(Power::Command { command }))]).await.unwrap();
            let arming = Arming { node: &name(), order: &order(), after: None, cycle: true, why: "test".into() };
            head.store.arm_and(&arming, OffsetDateTime::now_utc()).await.unwrap();
        });
        assert_eq!(kills(&folder.path().join("data")), usize::from(kill > 0), "call {kill}");
        let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert_eq!((read("changes"), read("boot")), ("off\non\n".into(), "network\n".into()), "killed after call {kill}");
        runtime.block_on(async {
            let head = head(&folder.path().join("data")).await;
            let last = last(&head).await;
            assert_eq!((last.number, last.progress.powered, &last.state), (1, true, &State::Armed));
            assert_eq!(events(&head, What::Power).await, 1);
        });
    };
    std::thread::scope(|scope| {
        for kill in 0..=3 {
            scope.spawn(move || story(kill));
        }
    });
}

#[test]
fn a_hook_whose_caller_is_killed_before_it_could_say_so_is_told_the_same_event_again() {
    let folder = TempDir::new().unwrap();
    let (data, place) = (folder.path().join("data"), folder.path().display());
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("more.toml"), format!("[notify]\ncommand = [\"{place}/tell\"]\n")).unwrap();
    let script = format!("#!/bin/sh\ncd {place}\necho $KICKCTL_SEQ $KICKCTL_EVENT >>told\n[ \"$(wc -l <told)\" != 2 ] || kill -9 $PPID\n");
    std::fs::write(folder.path().join("tell"), script).unwrap();
    std::fs::set_permissions(folder.path().join("tell"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let head = ordered(&data).await;
        armed(&head, OffsetDateTime::now_utc()).await;
        happens(&head, &[Event::LoaderAsked, Event::Unservable { reason: "a file is gone".into() }], OffsetDateTime::now_utc()).await;
        settle_failures(&head, OffsetDateTime::now_utc()).await.unwrap();
    });
    assert_eq!(kills(&data), 1);
    assert_eq!(std::fs::read_to_string(folder.path().join("told")).unwrap(), "1 failed\n2 held\n2 held\n");
    runtime.block_on(async {
        let head = head(&data).await;
        assert_eq!((last(&head).await.number, last(&head).await.state.name()), (1, "held".to_owned()));
        assert!(due_work(&head, OffsetDateTime::now_utc() + Span::days(1)).await.unwrap().is_empty());
    });
}

/// Has a process of its own carry out what there is to do in this data folder, again and again until one is not killed; how many were.
fn kills(data: &Path) -> usize {
    let mut kills = 0;
    loop {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "app::mending_tests::a_process_of_its_own", "--ignored"])
            .env("KICKCTL_TEST_DATA", data)
            .output()
            .unwrap();
        match run.status.signal() {
            Some(libc::SIGKILL) => kills += 1,
            _ if run.status.success() => return kills,
            _ => panic!("{run:?}"),
        }
    }
}

/// What the tests above run and kill: carries out what there is to do until nothing is left.
#[tokio::test]
#[ignore = "run by the tests above, in a process of its own"]
async fn a_process_of_its_own() {
    let Some(data) = std::env::var_os("KICKCTL_TEST_DATA") else { return };
    let head = head(Path::new(&data)).await;
    loop {
        let far = OffsetDateTime::now_utc() + Span::hours(1);
        if due_work(&head, far).await.unwrap().is_empty() {
            return;
        }
        for outgoing in due_work(&head, OffsetDateTime::now_utc()).await.unwrap() {
            carry_out(&head, outgoing).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_node_that_has_gone_on_is_not_switched_off() {
    let folder = TempDir::new().unwrap();
    let program = machine(folder.path(), 0);
    let head = ordered(&folder.path().join("data")).await;
    head.store.set_power(&[(name(), Some(Power::Command { command: vec![program.display().to_string()] }))]).await.unwrap();
    let order: Order = order();
    let now = OffsetDateTime::now_utc();
    let arming = Arming { node: &name(), order: &order, after: None, cycle: true, why: "test".into() };
    head.store.arm_and(&arming, now).await.unwrap();
    happens(&head, &[Event::DhcpAsked], now).await;
    for outgoing in due_work(&head, now).await.unwrap() {
        carry_out(&head, outgoing).await.unwrap();
    }
    assert!(!folder.path().join("calls").exists(), "a node on its way to the installer was switched off");
    assert!(due_work(&head, now).await.unwrap().is_empty());
}
