//! A fleet of simulated nodes on a segment of its own, the real `kickctl serve` and the real command line: a rollout in which one node in twenty has
//! something the matter with it, and another in which all have the same. What each node has to come to follows from what is the matter with it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod diskless_support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diskless_support::{OLD, image_version};
use kickctl::app::{DataDir, SqliteStore, Store, show_node};
use kickctl::domain::attempt::{Attempt, State};
use kickctl::domain::name::NodeName;
use kickctl::domain::occurrence::What;
use kickctl::domain::rollout::{Phase, RolloutState};
use kickctl::storm::bench::PACKAGES;
use kickctl::storm::dhcp::Wire;
use kickctl::storm::fault::Fault;
use kickctl::storm::fleet::{Fleet, switch_program};
use kickctl::storm::ground::{Ground, INTERFACE};
use kickctl::storm::head::{Head, Sizes};
use kickctl::storm::machine::{Machine, Pace, World};
use kickctl::storm::measure::Measures;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

const SICK: u16 = 40;
/// Nobody waits for a real installation here.
const SIZES: Sizes = Sizes { loader: 24 << 10, kernel: 8 << 10, initrd: 16 << 10, package: 4 << 10, packages: 5 };
const PACE: Pace = Pace {
    firmware: Duration::from_millis(200),
    kernel: Duration::from_millis(300),
    step: Duration::from_millis(200),
    late: Duration::from_secs(45),
};
const SETTINGS: &str = "[limits]\npower = \"12s\"\nloader = \"12s\"\nkernel = \"12s\"\ninstaller = \"12s\"\nstall = \"12s\"\ninstall = \"120s\"\nfirst_boot = \"12s\"\n\
                        [retries]\npauses = [\"1s\"]\n[power]\noff = \"2s\"\n";

/// What a node has to come to.
#[derive(Debug, PartialEq)]
struct End {
    state: &'static str,
    /// In how many attempts it may be given an installer.
    installers: u32,
    /// What some attempt's log has to say.
    why: &'static str,
}

/// What follows from a fault, for a node that may fall back to a diskless root and for one that may not.
fn end_of(fault: Option<Fault>, falls_back: bool) -> End {
    let given_up = if falls_back { "fallback" } else { "held" };
    let end = |state, installers, why| End { state, installers, why };
    let Some(fault) = fault else { return end("verified", 1, "verified") };
    match fault {
        Fault::NoPower => end(given_up, 0, "it was switched on and asked for no address"),
        Fault::LinkLostDhcp | Fault::LinkLostTftp => end("verified", 1, "no loader asked for its script"),
        Fault::LoaderLoops => end(given_up, 2, "asked for its loader more than 3 times"),
        Fault::KernelPanics => end("verified", 2, "no installer or root took over after the kernel"),
        Fault::MirrorBusy => end("verified", 2, "503 Service Unavailable"),
        Fault::PackageMissing => end(given_up, 1, "package nosuch is not available"),
        Fault::NoDisk => end(given_up, 1, "removable"),
        // Nothing was written, and it has a system: it boots that.
        Fault::NoDiskButSystem => end("held", 1, "smaller"),
        Fault::GateNeverAsked | Fault::Hangs => end(given_up, 2, "the installation made no progress"),
        Fault::Killed | Fault::Stale => end("verified", 2, "the installation made no progress"),
        Fault::EarlyReboot => end(given_up, 1, "unexpected reboot before the write gate"),
        Fault::LostDone | Fault::HomeTwice | Fault::Twice => end("verified", 1, "verified"),
        Fault::HomeLost => end(given_up, 1, "the installed system did not call home"),
        // Its word comes too late where the head has switched it off to run its fallback.
        Fault::HomeLate if falls_back => end("fallback", 1, "the installed system did not call home"),
        Fault::HomeLate => end("verified", 1, "the installed system did not call home"),
    }
}

fn falls_back(machine: &Machine) -> bool {
    machine.card.mac[5].is_multiple_of(2)
}

/// `node001` and so on, one in twenty with something the matter; every kind of fault comes as often as every other. Then `sick01` and so on, of which
/// all but the first lack the same package.
fn machines(count: u16, seed: u64) -> Vec<Arc<Machine>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut numbers: Vec<u16> = (2..=count).collect();
    numbers.shuffle(&mut rng);
    let mut faults = Fault::ALL.to_vec();
    faults.shuffle(&mut rng);
    let broken: BTreeMap<u16, Fault> = numbers.into_iter().take(usize::from(count / 20)).zip(faults.into_iter().cycle()).collect();
    let well = (1..=count).map(|number| Machine::new(format!("node{number:03}"), number, broken.get(&number).copied()));
    let fault = |at: u16| (at > 1).then_some(Fault::PackageMissing);
    let sick = (1..=SICK).map(|at| Machine::new(format!("sick{at:02}"), count + at, fault(at)));
    well.chain(sick).map(Arc::new).collect()
}

fn seed() -> u64 {
    let seed = std::env::var("KICKCTL_SEED").map_or_else(|_| rand::rng().random(), |text| text.parse().unwrap());
    println!("KICKCTL_SEED={seed} repeats this");
    seed
}

fn data_folder(program: &Path, data: &Path, machines: &[Arc<Machine>], switch: &Path) -> Head {
    let head = Head::make(program, data, SETTINGS, SIZES).unwrap();
    head.publish(PACKAGES).unwrap();
    let folder = DataDir::new(data);
    image_version(&folder, OLD);
    std::os::unix::fs::symlink(format!("versions/{OLD}"), folder.images().join("worker/current")).unwrap();
    let fallback = |machine: &Machine| if falls_back(machine) { "debian-13-ram" } else { "none" };
    let disk = r#"{""min_size"":""16GiB""}"#;
    let variables = |machine: &Machine| format!(r#""{{""fallback"":""{}"",""disk"":{disk}}}""#, fallback(machine));
    head.add(machines, variables).unwrap();
    let switch = switch.to_str().unwrap();
    head.ok(&["node", "set", "all", "--power", "command", "--power-command", switch, "{}"]).unwrap();
    head
}

/// What the head's state says of a rollout's end, once it has come to one.
async fn rollout_ends(store: &SqliteStore, id: u64, limit: Duration) -> RolloutState {
    let begun = Instant::now();
    loop {
        let rollout = store.rollouts().await.unwrap().into_iter().find(|rollout| rollout.id == id).unwrap();
        if rollout.state != RolloutState::Running {
            return rollout.state;
        }
        let phases = [Phase::Waiting, Phase::Begun, Phase::Verified, Phase::Failed].map(|phase| rollout.count(&[phase]));
        assert!(begun.elapsed() < limit, "rollout {id} is not over: {phases:?} are waiting, begun, verified, failed");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn attempts(store: &SqliteStore, name: &NodeName) -> Vec<Attempt> {
    store.attempts(Some(name)).await.unwrap()
}

async fn logs(store: &SqliteStore, attempts: &[Attempt]) -> String {
    let mut all = String::new();
    for attempt in attempts {
        for line in store.log(attempt.id, 0, 10_000).await.unwrap() {
            all += &format!("attempt {}: {}: {}\n", attempt.number, line.source, line.text);
        }
    }
    all
}

/// Holds a node against what it has to come to; what is wrong with it, if anything is.
async fn judge(store: &SqliteStore, machine: &Machine) -> Option<String> {
    let name: NodeName = machine.name.parse().unwrap();
    let wanted = end_of(machine.fault, falls_back(machine));
    let attempts = attempts(store, &name).await;
    let log = logs(store, &attempts).await;
    // A node that runs its fallback is `verified` or on its way there, in an attempt that is none of an installation.
    let installations: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.order.fallback_of.is_none()).collect();
    let state = match &installations.first()?.state {
        State::Fallback(_) => "fallback",
        State::Held(_) => "held",
        State::Verified => "verified",
        _ => "under way",
    };
    let shown = show_node(store, &name).await.unwrap().state;
    let memory = machine.memory().clone();
    let mut wrong = vec![];
    if state != wanted.state {
        wrong.push(format!("it is {state} ({shown})"));
    }
    if memory.installers != wanted.installers {
        wrong.push(format!("it was given {} installers", memory.installers));
    }
    if !log.contains(wanted.why) {
        wrong.push(format!("no log says `{}`", wanted.why));
    }
    if memory.homes != u32::from(wanted.state == "verified") {
        wrong.push(format!("{} calls home were taken", memory.homes));
    }
    if machine.fault == Some(Fault::Stale) && memory.refused != 3 {
        wrong.push(format!("{} of 3 stale reports were refused", memory.refused));
    }
    if wanted.state == "fallback" && machine.fault != Some(Fault::NoPower) && !memory.diskless {
        wrong.push("it does not run its fallback".to_owned());
    }
    wrong.extend(memory.complaints);
    if wrong.is_empty() {
        return None;
    }
    Some(format!("{name}, {:?}, should be {wanted:?}: {}\n{log}", machine.fault.map(Fault::name), wrong.join("; ")))
}

async fn armed(store: &SqliteStore, prefix: &str) -> usize {
    let events = store.events(0, 100_000).await.unwrap();
    events
        .iter()
        .filter(|event| event.what == What::Armed && event.node.as_ref().is_some_and(|node| node.as_str().starts_with(prefix)))
        .count()
}

/// Both rollouts, seen from the head.
async fn roll_out(head: &Head, store: &SqliteStore, machines: &[Arc<Machine>], count: u16) {
    let begun = Instant::now();
    let nodes = format!("node[001-{count:03}]");
    head.ok(&["reinstall", &nodes, "--canary", "1", "--max-parallel", "250", &format!("--yes={count}")]).unwrap();
    let sick = format!("sick[01-{SICK}]");
    head.ok(&["reinstall", &sick, "--canary", "1", "--max-parallel", "10", &format!("--yes={SICK}")]).unwrap();
    assert_eq!(rollout_ends(store, 2, Duration::from_secs(120)).await, RolloutState::Paused);
    println!("the breaker tripped after {:.0?}", begun.elapsed());
    let tripped = armed(store, "sick").await;
    let told = store.events(0, 100_000).await.unwrap().into_iter().find(|event| event.what == What::Breaker).unwrap().text;
    assert!(told.contains("nodes have failed alike (installing/deterministic/"), "{told}");
    assert_eq!(rollout_ends(store, 1, Duration::from_secs(240)).await, RolloutState::Done);
    println!("all nodes came to their end after {:.0?}", begun.elapsed());
    // What was late by intent, and the fallbacks that are still booting.
    let mut left: Vec<&Arc<Machine>> = machines.iter().filter(|machine| machine.name.starts_with("node")).collect();
    let mut wrong = vec![];
    for _ in 0..60 {
        wrong.clear();
        for machine in std::mem::take(&mut left) {
            if let Some(told) = judge(store, machine).await {
                wrong.push(told);
                left.push(machine);
            }
        }
        if wrong.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("judged after {:.0?}", begun.elapsed());
    assert!(wrong.is_empty(), "{} nodes did not come to the end that they should have:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(armed(store, "sick").await, tripped, "no more nodes are armed once the breaker has tripped");
    assert!(tripped <= 11, "the canary and one wave were armed: {tripped}");
}

#[test]
fn every_node_of_a_fleet_comes_to_the_end_that_its_fault_demands_and_a_fault_of_all_stops_the_rollout() {
    let count = std::env::var("KICKCTL_FLEET").map_or(500, |text| text.parse().unwrap());
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let switch = switch_program(&folder.path().join("power")).unwrap();
    let machines = machines(count, seed);
    let data = folder.path().join("data");
    let head = data_folder(Path::new(env!("CARGO_BIN_EXE_kickctl")), &data, &machines, &switch);
    let ground = Ground::new().unwrap();
    let _serving = head.serve(&ground).unwrap();
    let files = head.files.clone();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World { wire: Wire::open(INTERFACE).unwrap(), measures: Measures::default(), files, pace: PACE, seed };
            let fleet = Fleet { world: Arc::new(world), machines: machines.clone() };
            let store = SqliteStore::open(&data.join("state.db")).await.unwrap();
            tokio::select! {
                obeyed = fleet.obey(switch.parent().unwrap()) => panic!("nobody switches any more: {obeyed:?}"),
                () = roll_out(&head, &store, &machines, count) => {}
            }
        });
    };
    ground.among_nodes(work).unwrap().join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)).unwrap();
}
