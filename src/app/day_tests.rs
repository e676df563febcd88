//! A day of a small cluster in simulated time, with the real state: nodes that are installed over and over by somebody who never sleeps, break in every way,
//! and a head that is started anew again and again. `KICKCTL_SEED=N` plays a day again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use time::{Duration as Span, OffsetDateTime};

use super::Head;
use super::boot_diskless::attempt_for_boot;
use super::change_attempt::{change_attempt, update_attempt};
use super::expire_attempts::expire_attempts;
use super::fixture::{NOW, head, node, order};
use super::settle_failures::settle_failures;
use crate::domain::attempt::{Attempt, Class, Event, Order, State};
use crate::domain::checksum::Sha256;
use crate::domain::node::Node;
use crate::domain::outbox::{Outgoing, PowerStep, Work};
use crate::domain::power::{BootFrom, Power};
use crate::domain::profile::Assignment;

const NODES: u8 = 24;
/// How often the head looks after its attempts; the machines act each minute.
const TICK: Duration = Duration::from_secs(120);
const MOST_EVENTS: u64 = 1_000;
/// Each order may be tried so often within a day.
const MOST_ATTEMPTS: usize = crate::domain::attempt::retry::MAX_ATTEMPTS;

/// What a machine does next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    /// It is off, hangs, or runs what it has: nothing comes of it.
    Nothing,
    /// It boots over the network.
    Boots,
    /// It goes through an installation; so many of its steps are done.
    Installs(usize),
    /// Its system starts, and calls home.
    Starts,
}

/// In which way a machine's installation goes wrong this time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// It hangs for good after so many steps.
    Hangs(usize),
    /// The mirror is out of order.
    Mirror,
    /// Its disk does not match.
    Disk,
    /// It restarts by itself after so many steps.
    Restarts(usize),
    /// The word that it is done is lost.
    DoneLost,
    /// The call home is lost, or comes hours later.
    Silent,
    LateHome,
}

struct Machine {
    node: Node,
    by_hand: bool,
    doing: Doing,
    at: OffsetDateTime,
    fault: Fault,
    /// The attempt that its installer or system has the token of.
    holds: i64,
    ordered_at: OffsetDateTime,
}

struct Day {
    folder: TempDir,
    head: Head,
    dice: StdRng,
    now: OffsetDateTime,
    machines: Vec<Machine>,
    orders: u32,
    restarts: u32,
    /// By order and node: how often an installer was served for the first time in an attempt.
    served: BTreeMap<(Sha256, String), Vec<i64>>,
}

impl Day {
    async fn begin(seed: u64) -> Self {
        // Thousands of transactions: each is synced, so the file is kept in memory where that is possible.
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let head = head(folder.path()).await;
        let mut machines = vec![];
        for at in 1..=NODES {
            let node = node(&format!("n{at:02}"), at);
            head.store.add_nodes(std::slice::from_ref(&node)).await.unwrap();
            head.store.assign(&[Assignment { node: node.name.clone(), profile: order().profile, snapshot: None }]).await.unwrap();
            let by_hand = at % 5 == 0;
            if !by_hand {
                let power = Power::Command { command: vec!["/bin/false".into()] };
                head.store.set_power(&[(node.name.clone(), Some(power))]).await.unwrap();
            }
            let (doing, fault, holds) = (Doing::Nothing, Fault::None, 0);
            machines.push(Machine { node, by_hand, doing, at: NOW, fault, holds, ordered_at: NOW - Span::days(1) });
        }
        let (dice, served) = (StdRng::seed_from_u64(seed), BTreeMap::new());
        Self { folder, head, dice, now: NOW, machines, orders: 0, restarts: 0, served }
    }

    /// The head is killed and started anew: it knows what is in its file.
    async fn restart(&mut self) {
        self.restarts += 1;
        self.head = head(Path::new(self.folder.path())).await;
    }

    fn fault(&mut self) -> Fault {
        match self.dice.random_range(0..20) {
            0 | 1 => Fault::Hangs(self.dice.random_range(0..6)),
            2 | 3 => Fault::Mirror,
            4 => Fault::Disk,
            5 => Fault::Restarts(self.dice.random_range(0..6)),
            6 => Fault::DoneLost,
            7 => Fault::Silent,
            8 => Fault::LateHome,
            _ => Fault::None,
        }
    }

    /// Somebody orders installations of whatever is at its end, each time with a profile that was changed.
    async fn orders(&mut self) {
        for at in 0..self.machines.len() {
            let name = self.machines[at].node.name.clone();
            let last = self.head.store.last_attempt(&name).await.unwrap();
            let is_free = last.is_none_or(|last| last.state.is_settled());
            if !is_free || self.now - self.machines[at].ordered_at < Span::minutes(10) || self.dice.random_range(0..2) > 0 {
                continue;
            }
            self.orders += 1;
            let order = Order { profile_digest: Sha256::of(self.orders.to_string().as_bytes()), ..order() };
            let cycle = !self.machines[at].by_hand;
            let arming = crate::store::Arming { node: &name, order: &order, after: None, cycle, why: "a day".into() };
            self.head.store.arm_and(&arming, self.now).await.unwrap();
            self.machines[at].ordered_at = self.now;
        }
    }

    /// A person goes past now and then and switches on what waits for a hand.
    fn hands(&mut self) {
        for at in 0..self.machines.len() {
            let idle = self.machines[at].by_hand && self.machines[at].doing == Doing::Nothing;
            if idle && self.dice.random_range(0..15) == 0 {
                (self.machines[at].doing, self.machines[at].at) = (Doing::Boots, self.now);
            }
        }
    }

    /// What the head wants switched is switched; sometimes it is killed before it could say so.
    async fn switches(&mut self) {
        for outgoing in self.head.store.outbox(self.now, 1_000).await.unwrap() {
            let Work::Power { node, attempt, boot, step } = outgoing.work.clone() else {
                self.head.store.end_work(outgoing.id, &[], self.now).await.unwrap();
                continue;
            };
            let machine = self.machines.iter_mut().find(|machine| machine.node.name == node).unwrap();
            let last = self.head.store.last_attempt(&node).await.unwrap().unwrap();
            let wanted = last.id == attempt && matches!(last.state, State::Armed | State::Held(_)) && !last.progress.powered;
            match step {
                PowerStep::Off if !wanted => self.head.store.end_work(outgoing.id, &[], self.now).await.unwrap(),
                PowerStep::Off => {
                    machine.doing = Doing::Nothing;
                    let work = Work::Power { node, attempt, boot, step: PowerStep::On };
                    let due = self.now + Span::seconds(6);
                    self.head.store.keep_work(&Outgoing { work, due, ..outgoing }).await.unwrap();
                }
                PowerStep::On => {
                    if machine.doing == Doing::Nothing {
                        machine.doing = if boot == BootFrom::Network { Doing::Boots } else { Doing::Nothing };
                        machine.at = self.now + Span::seconds(self.dice.random_range(10..200));
                    }
                    if self.dice.random_range(0..10) == 0 {
                        continue;
                    }
                    let noted = update_attempt(&*self.head.store, attempt, self.now, |attempt| {
                        attempt.progress.powered |= attempt.state == State::Armed;
                        Ok(vec![])
                    });
                    noted.await.unwrap();
                    self.head.store.end_work(outgoing.id, &[], self.now).await.unwrap();
                }
            }
        }
    }

    /// False if the head does not take it: tokens open a node's last attempt only.
    async fn tell(&self, id: i64, event: Event) -> bool {
        let node = self.head.store.attempt(id).await.unwrap().unwrap().node;
        if self.head.store.last_attempt(&node).await.unwrap().is_none_or(|last| last.id != id) {
            return false;
        }
        change_attempt(&*self.head.store, id, &event, self.now).await.is_ok()
    }

    async fn boots(&mut self, at: usize) -> Doing {
        let node = self.machines[at].node.clone();
        let Some(attempt) = attempt_for_boot(&self.head, &node, self.now).await.unwrap() else { return Doing::Nothing };
        let serves = attempt.state.serves_installer();
        self.tell(attempt.id, Event::DhcpAsked).await;
        self.tell(attempt.id, Event::LoaderAsked).await;
        let now = self.head.store.attempt(attempt.id).await.unwrap().unwrap();
        if !serves || !matches!(now.state, State::Booting { .. }) {
            // Its own disk: if that was installed, its system starts.
            return if now.state.may_have_written() { Doing::Starts } else { Doing::Nothing };
        }
        let served = self.served.entry((now.order.profile_digest, node.name.to_string())).or_default();
        if served.last() != Some(&now.id) {
            served.push(now.id);
        }
        self.machines[at].fault = self.fault();
        self.machines[at].holds = now.id;
        Doing::Installs(0)
    }

    async fn installs(&mut self, at: usize, step: usize) -> Doing {
        let (id, fault) = (self.machines[at].holds, self.machines[at].fault);
        if fault == Fault::Hangs(step) {
            return Doing::Nothing;
        }
        if fault == Fault::Restarts(step) {
            return Doing::Boots;
        }
        let event = match step {
            0 => Event::KernelServed,
            1 => Event::TookOver,
            2 if fault == Fault::Disk => Event::GateRefused { reason: format!("no disk matches, {} seen", self.dice.random_range(0..9)) },
            2 => Event::GateOpened { disk: "/dev/vda".into() },
            3 if fault == Fault::Mirror => Event::GaveUp { reason: "http://10.0.0.1/x.deb: 503".into() },
            3 | 4 => Event::Reported { step: "packages".into(), percent: 20 * u8::try_from(step).unwrap(), units: 0 },
            _ if fault == Fault::DoneLost => return Doing::Starts,
            _ => Event::Done,
        };
        let ends = matches!(event, Event::GateRefused { .. } | Event::GaveUp { .. });
        // An installer that is refused, or that nobody listens to any more, stops.
        match self.tell(id, event).await {
            true if !ends => {
                if step < 5 {
                    Doing::Installs(step + 1)
                } else {
                    Doing::Starts
                }
            }
            _ => Doing::Nothing,
        }
    }

    async fn acts(&mut self) {
        for at in 0..self.machines.len() {
            if self.machines[at].at > self.now {
                continue;
            }
            let mut pause = self.dice.random_range(5..90);
            let next = match self.machines[at].doing {
                Doing::Nothing => continue,
                Doing::Boots => self.boots(at).await,
                Doing::Installs(step) => self.installs(at, step).await,
                Doing::Starts => {
                    let (id, fault) = (self.machines[at].holds, self.machines[at].fault);
                    if fault == Fault::LateHome && self.dice.random_range(0..3) > 0 {
                        pause = self.dice.random_range(600..9_000);
                        Doing::Starts
                    } else {
                        let calls = if fault == Fault::Silent || id == 0 { 0 } else { self.dice.random_range(1..3) };
                        for _ in 0..calls {
                            self.tell(id, Event::CalledHome).await;
                        }
                        Doing::Nothing
                    }
                }
            };
            (self.machines[at].doing, self.machines[at].at) = (next, self.now + Span::seconds(pause));
        }
    }

    /// What must hold at every moment.
    async fn check(&self) {
        for machine in &self.machines {
            let history = self.head.store.attempts(Some(&machine.node.name)).await.unwrap();
            assert!(history.iter().skip(1).all(|attempt| attempt.state.is_over()), "{}: two attempts under way", machine.node.name);
            let mut of: BTreeMap<String, Vec<&Attempt>> = BTreeMap::new();
            history.iter().rev().for_each(|attempt| of.entry(attempt.order.profile_digest.to_string()).or_default().push(attempt));
            for attempts in of.values() {
                assert!(attempts.len() <= MOST_ATTEMPTS, "{}: {} attempts of one order", machine.node.name, attempts.len());
                for earlier in &attempts[..attempts.len() - 1] {
                    let again = earlier.state.failure().is_some_and(|failure| failure.class == Class::Transient);
                    assert!(again, "{}: tried again after {}", machine.node.name, earlier.state.name());
                }
            }
        }
        let installs = self.served.values().map(Vec::len).max().unwrap_or(0);
        assert!(installs <= MOST_ATTEMPTS, "{installs} installers for one order");
    }

    async fn tick(&mut self, ordering: bool) {
        for _ in 0..TICK.as_secs() / 60 {
            self.now += Span::minutes(1);
            self.hands();
            self.acts().await;
        }
        if ordering {
            self.orders().await;
        }
        expire_attempts(&self.head, TICK, self.now).await.unwrap();
        settle_failures(&self.head, self.now).await.unwrap();
        self.switches().await;
        if self.dice.random_range(0..25) == 0 {
            self.restart().await;
        }
    }
}

#[tokio::test]
async fn a_day_of_faults_and_restarts_leaves_no_attempt_stuck_and_no_loop() {
    let seed = std::env::var("KICKCTL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u32>);
    println!("KICKCTL_SEED={seed}");
    let mut day = Day::begin(seed.into()).await;
    for tick in 0..24 * 30 {
        day.tick(true).await;
        if tick % 60 == 0 {
            day.check().await;
            day.head.store.prune_events(day.now - Span::days(90), MOST_EVENTS).await.unwrap();
        }
    }
    // Nobody orders anything any more. By hand a node may wait a day for its next try.
    for _ in 0..25 * 30 {
        day.tick(false).await;
        if day.head.store.last_attempts().await.unwrap().iter().all(|attempt| attempt.state.is_settled()) {
            break;
        }
    }
    day.check().await;
    let last = day.head.store.last_attempts().await.unwrap();
    let stuck: Vec<String> =
        last.iter().filter(|own| !own.state.is_settled()).map(|own| format!("{} {}", own.node, own.state.name())).collect();
    assert!(stuck.is_empty(), "after {} h: {stuck:?}", (day.now - NOW).whole_hours());
    day.head.store.prune_events(day.now - Span::days(90), MOST_EVENTS).await.unwrap();
    let events = day.head.store.events(0, 100_000).await.unwrap();
    assert!(events.len() <= usize::try_from(MOST_EVENTS).unwrap());
    assert!(day.head.store.outbox(day.now + Span::days(9), 10).await.unwrap().is_empty(), "something is left to be done");
    let attempts = day.head.store.attempts(None).await.unwrap();
    let ends = attempts.iter().fold(BTreeMap::<String, usize>::new(), |mut ends, attempt| {
        *ends.entry(attempt.state.name()).or_default() += 1;
        ends
    });
    println!("{} orders, {} attempts, {} restarts: {ends:?}", day.orders, attempts.len(), day.restarts);
    assert!(attempts.len() > 1_000 && day.restarts > 20, "too little has happened");
}
