//! `kickctl bench storm`: so many nodes boot and are installed at once, and what the head made of it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::dhcp::Wire;
use super::fleet::Fleet;
use super::ground::{Ground, INTERFACE};
use super::head::{Head, Serving, Sizes};
use super::machine::{Machine, Memory, Pace, World};
use super::measure::{Figures, Measures};

/// Small files of a size that a loopback carries for thousands; a real installer is a hundred times as large, which the network limits, not the head.
pub const SIZES: Sizes = Sizes { loader: 72 << 10, kernel: 128 << 10, initrd: 512 << 10, package: 32 << 10, packages: 10 };
/// The packages that the shipped profile asks for.
pub const PACKAGES: &[&str] = &[
    "base-files",
    "busybox",
    "e2fsprogs",
    "grub-common",
    "grub-efi-amd64",
    "grub-pc",
    "initramfs-tools",
    "linux-image-amd64",
    "openssh-server",
    "os-prober",
    "zstd",
];
/// Nodes that have not come to their end by then never will.
const LIMIT: Duration = Duration::from_secs(900);

/// What a storm is to be like.
#[derive(Clone, Debug)]
pub struct Storm {
    /// kickctl.
    pub program: PathBuf,
    /// How many nodes.
    pub nodes: usize,
    /// What is drawn by lot follows from it.
    pub seed: u64,
    /// Within which time all of them are switched on.
    pub spread: Duration,
    /// How long things take in a node.
    pub pace: Pace,
}

/// What came of a storm. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// How many nodes there were.
    pub nodes: usize,
    /// How many called home and are `verified` by the head.
    pub verified: usize,
    /// The seed.
    pub seed: u64,
    /// How long `kickctl reinstall` took to arm them all, in seconds.
    pub arming_s: f64,
    /// From the first node's power to the last one's call home, in seconds.
    pub total_s: f64,
    /// From its own power to its call home: the median of the nodes.
    pub node_p50_s: f64,
    /// And the slowest.
    pub node_max_s: f64,
    /// What the head sent, in bytes.
    pub bytes: u64,
    /// The largest resident set of `kickctl serve`, in bytes.
    pub memory_bytes: u64,
    /// The processor time of `kickctl serve`, in seconds.
    pub head_cpu_s: f64,
    /// The processor time of the simulated nodes, in seconds.
    pub nodes_cpu_s: f64,
    /// Each kind of request.
    pub requests: Vec<Figures>,
    /// What should not have happened, each with how often.
    pub wrong: BTreeMap<String, usize>,
}

impl Outcome {
    /// The slowest p99 of all requests, in milliseconds.
    pub fn worst_p99_ms(&self) -> f64 {
        self.requests.iter().map(|figures| figures.p99_ms).fold(0.0, f64::max)
    }
}

/// Lets one loose, in namespaces and a folder of its own that are gone afterwards.
///
/// # Errors
/// Without root's rights, or if the head does not start.
pub fn run(storm: &Storm) -> io::Result<Outcome> {
    // A node has a socket or two.
    crate::sys::condition::raise_open_files()?;
    let folder = tempfile::Builder::new().prefix("kickctl-storm-").tempdir()?;
    let ground = Ground::new()?;
    let head = Head::make(&storm.program, &folder.path().join("data"), "", SIZES)?;
    head.publish(PACKAGES)?;
    let name = |number: u16| Arc::new(Machine::new(format!("node{number:04}"), number, None));
    let machines: Vec<Arc<Machine>> = (1..=u16::try_from(storm.nodes).unwrap_or(u16::MAX)).map(name).collect();
    head.add(&machines, |_| String::new())?;
    let mut serving = head.serve(&ground)?;
    let begun = Instant::now();
    head.ok(&["reinstall", "all", "--no-power", "-q", &format!("--yes={}", machines.len())])?;
    let arming_s = begun.elapsed().as_secs_f64();
    let (before, own_before) = (cpu_seconds(&format!("{}", serving.id())), cpu_seconds("self"));
    let begun = Instant::now();
    let measures = rage(&ground, storm, &head, machines.clone())?;
    let total_s = begun.elapsed().as_secs_f64();
    let (after, own_after) = (cpu_seconds(&format!("{}", serving.id())), cpu_seconds("self"));
    let memory_bytes = largest_resident(&serving);
    let verified = verified(&head)?;
    serving.kill()?;
    let requests = measures.figures();
    let (node_p50_s, node_max_s) = times(&machines);
    Ok(Outcome {
        nodes: machines.len(),
        verified: verified.len(),
        seed: storm.seed,
        arming_s,
        total_s,
        node_p50_s,
        node_max_s,
        bytes: requests.iter().map(|figures| figures.bytes).sum(),
        memory_bytes,
        head_cpu_s: after - before,
        nodes_cpu_s: own_after - own_before,
        wrong: wrong(&machines, &verified, &requests),
        requests,
    })
}

/// Switches the machines on, and waits until all stand still.
fn rage(ground: &Ground, storm: &Storm, head: &Head, machines: Vec<Arc<Machine>>) -> io::Result<Measures> {
    let (files, seed, pace, spread) = (head.files.clone(), storm.seed, storm.pace, storm.spread);
    let work = move || -> io::Result<Measures> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let world = Arc::new(World { wire: Wire::open(INTERFACE)?, measures: Measures::default(), files, pace, seed });
            let fleet = Fleet { world: Arc::clone(&world), machines };
            fleet.storm(spread, LIMIT).await;
            Ok(world.measures.taken())
        })
    };
    let done = ground.among_nodes(work)?.join().map_err(|_| io::Error::other("the simulated nodes panicked"))?;
    done?
}

/// The names of the nodes that the head says are verified.
fn verified(head: &Head) -> io::Result<Vec<String>> {
    let listed: Vec<serde_json::Value> = serde_json::from_str(&head.ok(&["node", "list", "-o", "json"])?)?;
    let name = |node: &serde_json::Value| Some(node["name"].as_str()?.to_owned());
    Ok(listed.iter().filter(|node| node["state"] == "verified").filter_map(name).collect())
}

fn times(machines: &[Arc<Machine>]) -> (f64, f64) {
    let mut times: Vec<f64> = machines.iter().filter_map(|machine| machine.memory().took).map(|took| took.as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    (times.get(times.len() / 2).copied().unwrap_or(0.0), times.last().copied().unwrap_or(0.0))
}

/// Everything that is not as it should be: nodes without an end, complaints, tokens that two nodes were given, requests that were not answered.
fn wrong(machines: &[Arc<Machine>], verified: &[String], requests: &[Figures]) -> BTreeMap<String, usize> {
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    let mut note = |what: String, count: usize| {
        if count > 0 {
            *wrong.entry(what).or_default() += count;
        }
    };
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for machine in machines {
        let Memory { complaints, tokens, homes, installers, .. } = machine.memory().clone();
        complaints.into_iter().for_each(|complaint| note(without_digits(&complaint), 1));
        note("it did not come home".into(), usize::from(homes != 1));
        note("it was not given one installer".into(), usize::from(installers != 1));
        note("the head does not say that it is verified".into(), usize::from(!verified.contains(&machine.name)));
        for token in tokens {
            let owner = *owners.entry(token).or_insert(&machine.name);
            note("two nodes were given the same token".into(), usize::from(owner != machine.name));
        }
    }
    for figures in requests {
        note(format!("{}: no answer until the client gave up", figures.request), usize::try_from(figures.starved).unwrap_or(usize::MAX));
        note(format!("{}: answered with a status of 500 or more", figures.request), usize::try_from(figures.errors).unwrap_or(usize::MAX));
    }
    wrong
}

/// So that the same complaint of many nodes is one.
fn without_digits(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The processor time of a process so far, its threads that have ended included (proc(5), `stat`: clock ticks, of which Linux has 100 a second).
fn cpu_seconds(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The largest resident set so far, in bytes.
fn largest_resident(serving: &Serving) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", serving.id())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    line.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}
