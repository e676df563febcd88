//! A machine: what it is, what it remembers over a loss of power, and what it does from power on until it stands still.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::UdpSocket;

use super::dhcp::{Card, Lease, Program, Wire};
use super::fault::Fault;
use super::http::{Answer, Ask, send};
use super::measure::{Kind, Measures};
use super::{install, tftp};

/// A blank disk of 64 GiB.
pub const BLANK: &str = "machine\tmemory=4294967296\ndisk\tname=vda\tsize=68719476736\tmodel=\tserial=S1\twwn=\tbus=virtio\trotational=0\tremovable=0\tids=\tcontents=\n";
/// A memory stick that nothing is on.
const STICK: &str = "machine\tmemory=4294967296\ndisk\tname=sda\tsize=1073741824\tmodel=STICK\tserial=U1\twwn=\tbus=usb\trotational=0\tremovable=1\tids=\tcontents=\n";
/// A small disk with a system.
const SMALL: &str = "machine\tmemory=4294967296\ndisk\tname=sda\tsize=4294967296\tmodel=OLD\tserial=O1\twwn=\tbus=ata\trotational=1\tremovable=0\tids=\tcontents=gpt,vfat,ext4\n";

/// What all machines have around them.
#[derive(Debug)]
pub struct World {
    /// The segment.
    pub wire: Arc<Wire>,
    /// What is measured.
    pub measures: Measures,
    /// What they ought to be given.
    pub files: Files,
    /// How long things take in a machine.
    pub pace: Pace,
    /// Everything that is drawn by lot follows from it.
    pub seed: u64,
}

/// What the head has to serve, byte for byte.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The loader.
    pub loader: Arc<[u8]>,
    /// The installer's kernel.
    pub kernel: Arc<[u8]>,
    /// Its initial RAM disk.
    pub initrd: Arc<[u8]>,
    /// Files of the mirror: path below the snapshot, content.
    pub packages: Vec<(String, Arc<[u8]>)>,
}

/// How long things take in a machine; what is drawn by lot lies between half and one and a half of it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From power, or a restart, until its firmware asks for an address.
    pub firmware: Duration,
    /// From the kernel until the installer asks for its answers, and from the disk until the installed system calls home.
    pub kernel: Duration,
    /// Each step of the installation.
    pub step: Duration,
    /// How long after the first one a late call home comes.
    pub late: Duration,
}

/// A simulated machine.
#[derive(Debug)]
pub struct Machine {
    /// The node's name, which the head knows it by.
    pub name: String,
    /// Its network card.
    pub card: Card,
    /// What goes wrong with it.
    pub fault: Option<Fault>,
    memory: Mutex<Memory>,
}

/// What outlasts a loss of power, and what was noticed.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Attempts in which it was given an installer's script.
    pub installers: u32,
    /// How often it was switched on or restarted.
    pub boots: u64,
    /// The report token on its disk, once a system is installed.
    pub disk: Option<String>,
    /// What its management controller was told to boot from, once.
    pub once: Option<From>,
    /// The boot tokens and the report tokens that it was given.
    pub tokens: Vec<String>,
    /// Calls home that were answered well, from an installed system.
    pub homes: u32,
    /// True if it runs from a diskless root.
    pub diskless: bool,
    /// Old reports that were refused.
    pub refused: u32,
    /// From power on to the first call home that was taken.
    pub took: Option<Duration>,
    /// What should not have happened.
    pub complaints: Vec<String>,
}

/// What to boot from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The network.
    Network,
    /// The disk.
    Disk,
}

/// What comes after a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The machine restarts.
    Restarts,
    /// Nothing happens any more until it is switched off.
    Stands,
}

/// One boot of a machine: what it needs to speak.
pub(super) struct Boot<'a> {
    pub machine: &'a Machine,
    pub world: &'a World,
    pub address: Ipv4Addr,
    rng: StdRng,
    begun: Instant,
}

/// What a loader was told to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub kernel: String,
    pub arguments: Vec<String>,
    pub initrds: Vec<String>,
}

impl Script {
    /// The value of a kernel argument.
    pub fn argument(&self, key: &str) -> Option<&str> {
        self.arguments.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn read(text: &str) -> Option<Self> {
        let mut script = Self::default();
        for line in text.lines() {
            let line = line.trim_end_matches("|| exit 1");
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("kernel") => (script.kernel, script.arguments) = (words.next()?, words.collect()),
                Some("initrd") => script.initrds.extend(words.next_back()),
                _ => {}
            }
        }
        (!script.kernel.is_empty()).then_some(script)
    }
}

impl Machine {
    /// A machine with a blank disk; number and seed make its card and UUID.
    pub fn new(name: String, number: u16, fault: Option<Fault>) -> Self {
        let [high, low] = number.to_be_bytes();
        let mut uuid = [0x5a; 16];
        uuid[14..].copy_from_slice(&[high, low]);
        Self { name, card: Card { mac: [0x52, 0x54, 0, 0, high, low], uuid }, fault, memory: Mutex::default() }
    }

    /// What it remembers now.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its card's address as text.
    pub fn mac(&self) -> String {
        self.card.mac.map(|byte| format!("{byte:02x}")).join(":")
    }

    /// The disks that its installer finds.
    pub(super) fn disks(&self) -> &'static str {
        match self.fault {
            Some(Fault::NoDisk) => STICK,
            Some(Fault::NoDiskButSystem) => SMALL,
            _ => BLANK,
        }
    }

    /// True if this goes wrong now: always, or only in the first attempt.
    pub(super) fn suffers(&self, fault: Fault) -> bool {
        self.fault == Some(fault) && (fault.lasts() || self.memory().installers <= 1)
    }

    /// From power on until it stands still.
    pub async fn live(&self, world: &World) {
        if self.fault == Some(Fault::NoPower) {
            return;
        }
        let begun = Instant::now();
        loop {
            let boots = {
                let mut memory = self.memory();
                memory.boots += 1;
                memory.boots
            };
            let mut mixed = [0; 32];
            mixed[..8].copy_from_slice(&world.seed.to_le_bytes());
            mixed[8..14].copy_from_slice(&self.card.mac);
            mixed[16..24].copy_from_slice(&boots.to_le_bytes());
            let rng = StdRng::from_seed(mixed);
            let mut boot = Boot { machine: self, world, address: Ipv4Addr::UNSPECIFIED, rng, begun };
            boot.pauses(world.pace.firmware).await;
            if boot.run().await == Then::Stands {
                return;
            }
        }
    }
}

impl Boot<'_> {
    async fn run(&mut self) -> Then {
        let once = self.machine.memory().once.take();
        if once == Some(From::Disk) {
            return install::local_disk(self).await;
        }
        let Some(script) = self.network().await else { return install::local_disk(self).await };
        match script {
            Loaded::Script(script) if script.kernel.ends_with("/linux") => install::installer(self, &script).await,
            Loaded::Script(script) => install::diskless(self, &script).await,
            Loaded::Restarts => Then::Restarts,
            Loaded::Stands => Then::Stands,
        }
    }

    /// From the firmware's first packet to the loader's last; `None` if it is told to boot its own disk, or nobody answers.
    async fn network(&mut self) -> Option<Loaded> {
        let lease = self.lease(Program::Firmware).await?;
        self.address = lease.address;
        // The loader asks for its script in vain once the machine is installed: only then it matters that the first attempt has begun.
        if self.machine.fault == Some(Fault::LinkLostDhcp) && self.machine.memory().boots == 1 {
            return Some(Loaded::Stands);
        }
        let lost = self.machine.fault == Some(Fault::LinkLostTftp) && self.machine.memory().boots == 1;
        let manner = tftp::Manner { blocks: lost.then_some(7), twice: self.twice() };
        match tftp::fetch(self.address, lease.next_server, &lease.file, manner, &self.world.measures).await {
            Ok(Some(loader)) => self.expect("the loader", &loader, &self.world.files.loader),
            Ok(None) => return Some(Loaded::Stands),
            Err(error) => {
                self.complain(error.to_string());
                return None;
            }
        }
        let lease = self.lease(Program::Loader).await?;
        self.address = lease.address;
        if lease.file.is_empty() {
            return None;
        }
        let first = self.get(Kind::First, &lease.file, None).await?;
        let chain = first.text().lines().find_map(|line| Some(line.strip_prefix("chain ")?.split(' ').next()?.to_owned()));
        let url = self.expanded(&chain?);
        let answer = self.get(Kind::Script, &url, None).await?.text();
        let script = Script::read(&answer)?;
        self.note(&script);
        if self.machine.fault == Some(Fault::LoaderLoops) && script.kernel.ends_with("/linux") {
            return Some(Loaded::Restarts);
        }
        self.load(&script).await?;
        Some(if self.machine.suffers(Fault::KernelPanics) { Loaded::Stands } else { Loaded::Script(script) })
    }

    /// iPXE puts in what it knows of the machine.
    fn expanded(&self, url: &str) -> String {
        let uuid = self.machine.card.uuid.map(|byte| format!("{byte:02x}")).concat();
        let uuid = [&uuid[..8], &uuid[8..12], &uuid[12..16], &uuid[16..20], &uuid[20..]].join("-");
        let serial = format!("S%2F{}", self.machine.name);
        let known = [
            ("netX/mac", self.machine.mac()),
            ("uuid", uuid),
            ("serial:uristring", serial),
            ("manufacturer:uristring", "Storm".to_owned()),
            ("product:uristring", "Simulated%20Node".to_owned()),
            ("asset:uristring", String::new()),
            ("memsize", "4096".to_owned()),
            ("netX/chip:uristring", "82540em".to_owned()),
            ("platform", "pcbios".to_owned()),
            ("buildarch", "i386".to_owned()),
        ];
        known.iter().fold(url.to_owned(), |url, (name, value)| url.replace(&format!("${{{name}}}"), value))
    }

    /// Looks at a script as somebody who knows whom it should be for.
    fn note(&self, script: &Script) {
        let name = &self.machine.name;
        let installs = script.kernel.ends_with("/linux");
        if installs && script.argument("hostname").is_some_and(|told| told != name) {
            self.complain(format!("the script is another node's: {:?}", script.arguments));
        }
        let token = script.kernel.rsplit('/').nth(1).unwrap_or_default().to_owned();
        let mut memory = self.machine.memory();
        if installs && !memory.tokens.contains(&token) {
            memory.installers += 1;
        }
        memory.tokens.push(token);
    }

    async fn load(&self, script: &Script) -> Option<()> {
        let installs = script.kernel.ends_with("/linux");
        let kernel = self.get(Kind::Kernel, &script.kernel, None).await?;
        if installs {
            self.expect("the kernel", &kernel.body, &self.world.files.kernel);
        }
        for url in &script.initrds {
            let initrd = self.get(Kind::Initrd, url, None).await?;
            if installs {
                self.expect("the initial RAM disk", &initrd.body, &self.world.files.initrd);
            }
        }
        Some(())
    }

    /// Asks for an address.
    pub async fn lease(&mut self, program: Program) -> Option<Lease> {
        let (twice, card, xid) = (self.twice(), self.machine.card, self.rng.random());
        let lease = self.world.wire.lease(&card, program, xid, twice, &self.world.measures).await;
        match &lease {
            None => self.complain(format!("no address for its {program:?}")),
            Some(lease) if !self.address.is_unspecified() && lease.address != self.address => {
                self.complain(format!("its {program:?} was given {}, after {}", lease.address, self.address));
            }
            Some(_) => {}
        }
        lease
    }

    /// Gets a file or a script; `None` after a complaint if it was not given.
    pub async fn get(&self, kind: Kind, url: &str, token: Option<&str>) -> Option<Answer> {
        let answer = self.ask(Ask { kind, url, token, body: None, deaf: false }).await?;
        if answer.status != 200 {
            self.complain(format!("{kind}: {url} was answered {}: {}", answer.status, answer.text().trim_end()));
            return None;
        }
        Some(answer)
    }

    /// Sends a request; `None` after a complaint if no answer came.
    pub async fn ask(&self, ask: Ask<'_>) -> Option<Answer> {
        match send(self.address, ask, &self.world.measures).await {
            Ok(answer) => answer,
            Err(error) => {
                self.complain(error.to_string());
                None
            }
        }
    }

    /// Writes lines to the head's syslog, as an installer's logger does.
    pub async fn logs(&self, to: SocketAddr, lines: &[String]) {
        let Ok(socket) = UdpSocket::bind((self.address, 0)).await else { return };
        for line in lines {
            // Syslog over UDP may be lost.
            let _ = socket.send_to(format!("<30>Nov 21 12:00:00 {}", line).as_bytes(), to).await;
        }
    }

    /// Waits for about this long.
    pub async fn pauses(&mut self, about: Duration) {
        let part: f64 = self.rng.random_range(0.5..1.5);
        tokio::time::sleep(about.mul_f64(part)).await;
    }

    /// True if all that it sends arrives twice.
    pub fn twice(&self) -> bool {
        self.machine.fault == Some(Fault::Twice)
    }

    /// Holds what came against what should have.
    pub fn expect(&self, what: &str, came: &[u8], expected: &[u8]) {
        if came != expected {
            self.complain(format!("{what} is not what it should be: {} bytes came, {} were expected", came.len(), expected.len()));
        }
    }

    /// The head has taken the call home.
    pub fn is_home(&self) {
        let mut memory = self.machine.memory();
        memory.homes += 1;
        memory.took.get_or_insert(self.begun.elapsed());
    }

    /// Writes down what should not have happened.
    pub fn complain(&self, what: String) {
        self.machine.memory().complaints.push(what);
    }
}

/// What a boot over the network led to.
enum Loaded {
    Script(Script),
    Restarts,
    Stands,
}
