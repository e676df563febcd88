//! Diskless nodes over DHCP and HTTP, with the real server and the real state: every state times every request, what strangers get, and
//! images that change while nodes run from them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod diskless_support;

use std::net::Ipv4Addr;

use diskless_support::{Lab, NEW, NODE, OLD, OTHER, lab};
use kickctl::app::answer_mount::{answer_mount, mounts_of};
use kickctl::app::assign_profile::{assign_profile, unassign_profile};
use kickctl::app::drift::drift;
use kickctl::app::images_in_use::images_in_use;
use kickctl::app::reinstall::reinstall;
use kickctl::app::show_status;
use kickctl::domain::attempt::{Attempt, State};
use kickctl::provision::decide::{Answer, Asker, Request, decide};
use kickctl::provision::tokens::Purpose;
use reqwest::StatusCode;
use time::OffsetDateTime;

const OVER_HTTP: [Request; 5] = [Request::Script, Request::BootFile, Request::TakeOver, Request::Report, Request::Home];

/// The states that a diskless attempt can be in.
fn states() -> Vec<(&'static str, State)> {
    let mut states = State::every_kind();
    states.retain(|(name, _)| !name.starts_with("installing") && !name.starts_with("finishing"));
    states
}

async fn armed(lab: &Lab, node: &str) -> Attempt {
    reinstall(&lab.head, &[node.parse().unwrap()], true, false, OffsetDateTime::now_utc()).await.unwrap().remove(0)
}

#[tokio::test]
async fn every_state_of_a_diskless_attempt_is_answered_as_the_table_says() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    lab.assign("node07", "debian-13-ram").await;
    let attempt = armed(&lab, "node07").await;
    let (boot, report) = (lab.token(&attempt, Purpose::Boot), lab.token(&attempt, Purpose::Report));
    for (name, state) in states() {
        for request in OVER_HTTP {
            lab.put(&attempt, &state).await;
            let answer = lab.ask(request, &boot, &report, NODE).await;
            assert_eq!(answer, decide(Asker::Attempt(&state), request), "{name}, {request:?}");
            if answer == Answer::Refused {
                assert_eq!(lab.state(&attempt).await, state, "{name}: a refused {request:?} changed the attempt");
            }
        }
    }
}

#[tokio::test]
async fn a_diskless_boot_from_the_first_packet_to_the_heartbeat_and_the_next_one() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    lab.assign("node07", "debian-13-ram").await;
    assert!(lab.last("node07").await.is_none(), "an assignment alone is no attempt");

    lab.firmware_asks(7).await;
    let first = lab.last("node07").await.unwrap();
    assert_eq!((first.number, first.state.name().as_str()), (1, "booting/dhcp"));
    let (boot, report) = (lab.token(&first, Purpose::Boot), lab.token(&first, Purpose::Report));
    let script = lab.script(NODE, 7).await;
    let base = format!("{}/boot/{boot}", lab.base);
    assert!(
        script.contains(&format!("kernel {base}/vmlinuz initrd=initrd.img initrd=node.cpio boot=kickctl kickctl.kind=ram ")),
        "{script}"
    );
    assert!(script.contains(&format!("initrd --name node.cpio {base}/node.cpio")), "{script}");
    let arguments = script.lines().find(|line| line.starts_with("kernel ")).unwrap().split_once(" boot=kickctl").unwrap().1.to_owned();
    assert!(!arguments.contains(&boot) && !arguments.contains(&report), "a token on the kernel command line: {arguments}");

    assert_eq!(lab.get(&boot, "vmlinuz", NODE).await, (StatusCode::OK, format!("kernel {OLD}").into_bytes()));
    assert_eq!(lab.state(&first).await.name(), "booting/kernel");
    assert_eq!(lab.get(&boot, "initrd.img", NODE).await.1, format!("initrd {OLD}").into_bytes());
    let env = lab.unpacked(&lab.get(&boot, "node.cpio", NODE).await.1, "kickctl/env");
    assert!(env.contains("KICKCTL_NODE='node07'\n") && env.contains(&format!("KICKCTL_TAKEOVER='{base}/takeover'\n")), "{env}");
    assert!(env.contains(&format!("KICKCTL_ROOT_URL='{base}/root.squashfs'\n")) && !env.contains(&report), "{env}");
    assert_eq!(lab.get(&boot, "root.squashfs", NODE).await.1, format!("root {OLD}").into_bytes());
    assert_eq!(lab.state(&first).await.name(), "booting/root");
    assert_eq!(lab.get(&boot, "base.squashfs", NODE).await.0, StatusCode::FORBIDDEN, "a ram node has no business with it");

    let taken = lab.take_over(&boot, NODE).await;
    assert_eq!(taken.0, StatusCode::OK);
    assert_eq!(lab.unpacked(&taken.1, "token"), format!("{report}\n"));
    let key = lab.unpacked(&taken.1, "files/etc/ssh/ssh_host_ed25519_key");
    assert!(key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"), "{key}");
    assert_eq!(lab.state(&first).await.name(), "starting");
    assert_eq!(lab.take_over(&boot, NODE).await.0, StatusCode::FORBIDDEN, "secrets are given once");
    for file in ["vmlinuz", "initrd.img", "node.cpio", "root.squashfs"] {
        assert_eq!(lab.get(&boot, file, NODE).await.0, StatusCode::FORBIDDEN, "the boot token is dead: {file}");
    }

    assert_eq!(lab.ask(Request::Home, &boot, &report, NODE).await, Answer::Granted);
    assert_eq!(lab.state(&first).await, State::Verified);
    assert_eq!(lab.heartbeat(&report, "uptime=4711.25&version=v1").await, StatusCode::OK);
    let seen = lab.head.store.sightings().await.unwrap();
    assert_eq!((seen[0].node.as_str(), seen[0].uptime, seen[0].version.as_str()), ("node07", 4711, "v1"));
    let revision = lab.last("node07").await.unwrap().revision;
    assert_eq!(lab.heartbeat(&report, "uptime=4771").await, StatusCode::OK);
    assert_eq!(lab.last("node07").await.unwrap().revision, revision, "a heartbeat is no event of the attempt");

    // A user of the running node knows its MAC address and the head's, but cannot ask DHCP: it is given nothing.
    assert!(lab.script(NODE, 7).await.contains("\nsanboot "));
    assert_eq!(lab.last("node07").await.unwrap().number, 1);

    lab.firmware_asks(7).await;
    let second = lab.last("node07").await.unwrap();
    assert_eq!((second.number, second.state.name().as_str()), (2, "booting/dhcp"));
    assert_eq!(lab.heartbeat(&report, "uptime=1").await, StatusCode::FORBIDDEN, "the report token of a boot that is past");
    lab.script(NODE, 7).await;
    let taken = lab.take_over(&lab.token(&second, Purpose::Boot), NODE).await.1;
    assert_eq!(lab.unpacked(&taken, "files/etc/ssh/ssh_host_ed25519_key"), key, "host keys stay the same over reboots");
}

#[tokio::test]
async fn a_stranger_gets_nothing_of_a_diskless_node_and_changes_nothing() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    lab.assign("node07", "debian-13-ram").await;
    lab.assign("node08", "debian-13-nfs").await;
    let stale = armed(&lab, "node07").await;
    lab.put(&stale, &State::Verified).await;
    let (attempt, other) = (armed(&lab, "node07").await, armed(&lab, "node08").await);
    let pair = |attempt: &Attempt| (lab.token(attempt, Purpose::Boot), lab.token(attempt, Purpose::Report));
    let (own, of_stale, of_other) = (pair(&attempt), pair(&stale), pair(&other));
    let swapped = (own.1.clone(), own.0.clone());
    let strangers = [
        ("a wrong source address", &own, OTHER),
        ("a stale attempt's token", &of_stale, NODE),
        ("another node's token", &of_other, NODE),
        ("a token for something else", &swapped, NODE),
    ];
    for (name, state) in states() {
        for (who, (boot, report), from) in strangers {
            for request in OVER_HTTP {
                if request == Request::Script && from == NODE {
                    continue;
                }
                lab.put(&attempt, &state).await;
                assert_eq!(lab.ask(request, boot, report, from).await, decide(Asker::Stranger, request), "{name}, {who}, {request:?}");
                assert_eq!(lab.state(&attempt).await, state, "{name}, {who}: {request:?} changed the attempt");
            }
        }
    }
    // An installer's way to take over opens nothing here.
    let (_, loader) = State::every_kind().into_iter().find(|(name, _)| *name == "booting/loader").unwrap();
    lab.put(&attempt, &loader).await;
    assert_eq!(lab.get(&own.0, "takeover.sh", NODE).await.0, StatusCode::FORBIDDEN);
    assert_eq!(lab.get(&own.0, "preseed.cfg", NODE).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nodes_keep_the_version_they_booted_while_another_is_published() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    for (node, address, last) in [("node07", NODE, 7), ("node08", OTHER, 8)] {
        lab.assign(node, "debian-13-nfs").await;
        lab.boots(address, last).await;
    }
    let (seven, eight) = (lab.last("node07").await.unwrap(), lab.last("node08").await.unwrap());
    assert_eq!((&seven.state, &eight.state), (&State::Verified, &State::Verified));
    lab.publish(NEW);
    let version = |attempt: &Attempt| attempt.order.image.as_ref().unwrap().version.to_string();
    assert_eq!((version(&lab.last("node07").await.unwrap()), version(&lab.last("node08").await.unwrap())), (OLD.into(), OLD.into()));

    lab.boots(NODE, 7).await;
    assert_eq!(version(&lab.last("node07").await.unwrap()), NEW);
    assert_eq!(version(&lab.last("node08").await.unwrap()), OLD);
    lab.publish(OLD);
    lab.boots(NODE, 7).await;
    assert_eq!(version(&lab.last("node07").await.unwrap()), OLD, "a rollback takes effect at the next boot");

    // One that was published in the midst of a boot is for the next one: kernel and root stay of one version.
    lab.firmware_asks(7).await;
    lab.publish(NEW);
    let script = lab.script(NODE, 7).await;
    let attempt = lab.last("node07").await.unwrap();
    assert!(script.contains(OLD) && version(&attempt) == OLD, "{script}");
    assert_eq!(lab.get(&lab.token(&attempt, Purpose::Boot), "vmlinuz", NODE).await.1, format!("kernel {OLD}").into_bytes());
}

#[tokio::test]
async fn only_one_node_may_write_to_an_image() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    let both = ["node07".parse().unwrap(), "node08".parse().unwrap()];
    let told = assign_profile(&lab.head, &both[..1], &"debian-13-nfs-rw".parse().unwrap(), None, false).await.unwrap_err().to_string();
    assert!(told.contains("kickctl image checkout worker node07"), "{told}");
    lab.check_out("node07", OLD);
    lab.check_out("node08", OLD);
    let told = assign_profile(&lab.head, &both, &"debian-13-nfs-rw".parse().unwrap(), None, false).await.unwrap_err().to_string();
    assert!(told.contains("one node at a time") && told.contains("node[07-08]"), "{told}");
    lab.assign("node07", "debian-13-nfs-rw").await;
    lab.boots(NODE, 7).await;
    let told = assign_profile(&lab.head, &both[1..], &"debian-13-nfs-rw".parse().unwrap(), None, false).await.unwrap_err().to_string();
    assert!(told.contains("one node at a time") && told.contains("node[07-08]"), "{told}");
    // Taken away, but it runs still.
    unassign_profile(&lab.head, &both[..1]).await.unwrap();
    let refused = assign_profile(&lab.head, &["node08".parse().unwrap()], &"debian-13-nfs-rw".parse().unwrap(), None, false).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("node07 runs from it read-write") && told.contains("one node at a time"), "{told}");
}

#[tokio::test]
async fn boots_that_fail_are_tried_again_but_not_for_ever() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    lab.assign("node07", "debian-13-ram").await;
    for number in 1..=3 {
        lab.firmware_asks(7).await;
        let attempt = lab.last("node07").await.unwrap();
        assert_eq!(attempt.number, number);
        for expected in [true, true, true, false] {
            assert_eq!(lab.script(NODE, 7).await.contains("\nkernel "), expected);
        }
        assert!(lab.state(&attempt).await.is_over());
    }
    lab.firmware_asks(7).await;
    assert_eq!(lab.last("node07").await.unwrap().number, 3);
    let told = lab.script(NODE, 7).await;
    assert!(told.contains("3 boots in a row have failed") && told.contains("\nsanboot "), "{told}");
    // What is published anew may be the mend.
    lab.publish(NEW);
    lab.firmware_asks(7).await;
    assert_eq!(lab.last("node07").await.unwrap().number, 4);
}

#[tokio::test]
async fn without_a_published_version_the_node_goes_to_its_disk_and_is_told_why() {
    let lab = lab("[dhcp]\nmode = \"off\"\n").await;
    lab.assign("node07", "debian-13-ram").await;
    lab.unpublish();
    let told = lab.script(NODE, 7).await;
    assert!(told.contains("no published version") && told.contains("\nsanboot "), "{told}");
    assert!(lab.last("node07").await.is_none());
    // Where another DHCP server gives the addresses, the script is the first that the head hears of a boot.
    lab.publish(OLD);
    assert!(lab.script(NODE, 7).await.contains("\nkernel "));
    assert_eq!(lab.last("node07").await.unwrap().number, 1);
}

#[tokio::test]
async fn a_node_may_mount_what_it_booted_and_nobody_else_anything() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    lab.assign("node07", "debian-13-nfs").await;
    lab.assign("node08", "debian-13-ram").await;
    let (old, new) = (format!("/images/worker/{OLD}"), format!("/images/worker/{NEW}"));
    let mount = async |from, path: &str| answer_mount(&lab.head, from, path, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(mount(NODE, &old).await, None, "nothing was booted yet");
    lab.firmware_asks(7).await;
    assert_eq!(mount(NODE, &old).await, None, "nor when its firmware only asked for an address");
    lab.script(NODE, 7).await;
    let granted = mount(NODE, &old).await.unwrap();
    assert!(granted.root.join("usr/bin/version").is_file() && !granted.writable, "{granted:?}");
    assert_eq!(lab.last("node07").await.unwrap().state.name(), "booting/root");
    for (from, path) in
        [(OTHER, old.as_str()), (Ipv4Addr::new(127, 0, 0, 9), &old), (NODE, &new), (NODE, "/images/worker"), (NODE, "/"), (NODE, "")]
    {
        assert_eq!(mount(from, path).await, None, "{from} {path}");
    }
    lab.boots(OTHER, 8).await;
    assert_eq!(mount(OTHER, &old).await, None, "a ram node mounts nothing");

    // It runs, and a new version is published: what it mounted stays, with the same number.
    lab.take_over(&lab.token(&lab.last("node07").await.unwrap(), Purpose::Boot), NODE).await;
    let attempt = lab.last("node07").await.unwrap();
    lab.put(&attempt, &State::Verified).await;
    lab.publish(NEW);
    assert_eq!(mounts_of(&lab.head, NODE).await.unwrap(), std::slice::from_ref(&granted));
    // Somebody sends a DHCP request in its name, and even boots half-way: the running node keeps its root.
    lab.firmware_asks(7).await;
    lab.script(NODE, 7).await;
    assert!(mounts_of(&lab.head, NODE).await.unwrap().contains(&granted));
    assert_eq!(images_in_use(&*lab.head.store).await.unwrap().len(), 2);
    lab.boots(NODE, 7).await;
    assert_eq!(mount(NODE, &old).await, None, "the next boot has called home");
    assert!(mount(NODE, &new).await.is_some());
}

#[tokio::test]
async fn drift_tells_who_would_change_and_how() {
    let lab = lab("[dhcp]\nmode = \"server\"\n").await;
    for (node, address, last) in [("node07", NODE, 7), ("node08", OTHER, 8)] {
        lab.assign(node, "debian-13-nfs").await;
        lab.boots(address, last).await;
    }
    let told = async || drift(&lab.head, &lab.head.store.nodes().await.unwrap()).await.unwrap();
    assert_eq!(told().await, []);
    lab.publish(NEW);
    let lines = told().await;
    assert_eq!((lines.len(), lines[0].nodes.as_str(), lines[0].count), (1, "node[07-08]", 2));
    let versions = (lines[0].what.running.as_deref().unwrap(), lines[0].what.next.as_deref().unwrap());
    assert_eq!((versions, lines[0].what.changes.len()), ((OLD, NEW), 0));
    lab.assign("node08", "debian-13-ram").await;
    lab.boots(NODE, 7).await;
    let lines = told().await;
    assert_eq!((lines.len(), lines[0].nodes.as_str()), (1, "node08"));
    assert_eq!(lines[0].what.changes, ["profile debian-13-nfs -> debian-13-ram"]);

    let status = show_status(&*lab.head.store, &lab.head.data).await.unwrap();
    let running: Vec<(&str, &str)> = status.running.iter().map(|own| (own.node.as_str(), own.version.as_str())).collect();
    assert_eq!(running, [("node07", NEW), ("node08", OLD)]);
    assert!(status.running.iter().all(|own| own.up_since.is_some() && !own.is_silent(OffsetDateTime::now_utc())));
    assert!(status.running[0].is_silent(OffsetDateTime::now_utc() + time::Duration::seconds(181)));
}
