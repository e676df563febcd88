//! What follows a failure, rule by rule; and what must hold whatever happens to a node, in whatever order.

use std::sync::Arc;

use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration as Span, OffsetDateTime};

use super::retry::{MAX_ATTEMPTS, Next, PAUSES, next};
use super::state::MAX_FETCHES;
use super::{Attempt, Class, Clocks, Event, Order, Passed, Progress, Stage, State};
use crate::domain::attempt::Failure;
use crate::domain::checksum::Sha256;
use crate::domain::disk::Disk;
use crate::domain::profile::ProfileKind;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn order(digest: &str) -> Order {
    Order {
        profile: "debian-13".parse().unwrap(),
        kind: ProfileKind::Preseed,
        profile_digest: Sha256::of(digest.as_bytes()),
        mirror: "debian-13".parse().unwrap(),
        snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
        image: None,
        fallback_of: None,
        variables: Default::default(),
    }
}

fn attempt(number: u32, state: State, at: OffsetDateTime) -> Attempt {
    Attempt {
        id: i64::from(number),
        node: "node07".parse().unwrap(),
        number,
        order: Arc::new(order("now")),
        state,
        progress: Progress { passed: vec![Passed { stage: "failed".into(), at }], ..Progress::default() },
        clocks: Clocks::default(),
        armed_at: at,
        revision: 1,
    }
}

fn failed(number: u32, stage: Stage, class: Class, reason: &str, wrote: bool) -> Attempt {
    attempt(number, State::Failed(Failure { stage, class, reason: reason.into(), wrote, evidence: vec![] }), NOW)
}

fn transient(number: u32, reason: &str) -> Attempt {
    failed(number, Stage::Installing, Class::Transient, reason, true)
}

fn what(history: &[Attempt], fallback: bool) -> Next {
    next(history, fallback, &PAUSES, NOW).unwrap().next
}

fn disk(contents: &[&str]) -> Disk {
    Disk { name: "vda".into(), contents: contents.iter().map(|&kind| kind.to_owned()).collect(), ..Disk::default() }
}

#[test]
fn a_transient_failure_is_tried_again_after_longer_and_longer_pauses_and_three_attempts_are_the_most() {
    let after = |history: &[Attempt], pause: std::time::Duration| {
        let Next::Retry { after } = what(history, true) else { panic!("{history:?}") };
        assert!((0.9..1.1).contains(&after.div_duration_f64(pause)), "{after:?}");
    };
    after(&[transient(1, "a")], PAUSES[0]);
    after(&[transient(2, "b"), transient(1, "a")], PAUSES[1]);
    assert_eq!(what(&[transient(3, "c"), transient(2, "b"), transient(1, "a")], true), Next::Fallback);
    let mut yesterday = transient(1, "a");
    yesterday.armed_at = NOW - Span::hours(25);
    after(&[transient(3, "c"), transient(2, "b"), yesterday], PAUSES[2]);
}

#[test]
fn the_pause_is_the_same_whenever_it_is_asked_and_differs_between_nodes() {
    let history = [transient(1, "a")];
    let Next::Retry { after } = what(&history, true) else { panic!("a retry") };
    let later = next(&history, true, &PAUSES, NOW + Span::seconds(10)).unwrap().next;
    assert_eq!(later, Next::Retry { after: after - std::time::Duration::from_secs(10) });
    assert_eq!(next(&history, true, &PAUSES, NOW + Span::minutes(5)).unwrap().next, Next::Retry { after: std::time::Duration::ZERO });
    assert_ne!(what(&[transient(2, "a")], true), what(&history, true));
}

#[test]
fn what_would_happen_again_is_not_tried_again() {
    let deterministic = || failed(1, Stage::Installing, Class::Deterministic, "no disk matches", false);
    assert_eq!(what(&[deterministic()], true), Next::Fallback);
    assert_eq!(what(&[deterministic()], false), Next::Held);
    assert_eq!(what(&[transient(2, "no progress for 600 s"), transient(1, "no progress for 900 s")], false), Next::Held);
    assert_eq!(what(&[failed(1, Stage::Finishing, Class::Transient, "no call home", true)], true), Next::Fallback);
    let mut old = transient(1, "a");
    (old.armed_at, old.progress.passed[0].at) = (NOW - Span::days(3), NOW - Span::days(2));
    assert_eq!(what(&[old], true), Next::Fallback);
}

#[test]
fn before_the_gate_a_disk_that_boots_is_booted() {
    let refused = |contents: &[&str]| {
        let mut attempt = failed(2, Stage::Installing, Class::Deterministic, "no disk matches", false);
        attempt.progress.disks = vec![disk(contents)];
        attempt
    };
    assert_eq!(what(&[refused(&["gpt", "vfat", "ext4"])], true), Next::LocalDisk);
    assert_eq!(what(&[refused(&[])], true), Next::Fallback);
    assert_eq!(what(&[refused(&["ext4"])], true), Next::Fallback);
    let unheard = || failed(3, Stage::Booting, Class::Deterministic, "unservable", false);
    assert_eq!(what(&[unheard()], true), Next::Fallback);
    assert_eq!(what(&[unheard(), refused(&["dos", "xfs"])], true), Next::LocalDisk);
    assert_eq!(what(&[unheard(), attempt(1, State::Verified, NOW)], true), Next::LocalDisk);
    // It was written to since, and did not come to its end.
    assert_eq!(what(&[unheard(), transient(2, "a"), refused(&["dos", "xfs"])], true), Next::Fallback);
}

#[test]
fn only_another_profile_snapshot_or_machine_begins_a_new_series() {
    let is_retried = |earlier: &dyn Fn(&mut Attempt), last: &dyn Fn(&mut Attempt)| {
        let (mut first, mut second) = (transient(1, "same"), transient(2, "same"));
        (first.progress.disks, second.progress.disks) = (vec![disk(&[])], vec![disk(&["gpt"])]);
        earlier(&mut first);
        last(&mut second);
        matches!(what(&[second, first], true), Next::Retry { .. })
    };
    assert!(!is_retried(&|_| {}, &|_| {}));
    assert!(!is_retried(
        &|first| first.state = State::Held(super::Ending { reason: "r".into(), failure: first.state.failure().unwrap().clone() }),
        &|_| {}
    ));
    assert!(!is_retried(&|_| {}, &|last| last.progress.machine = Some("a".into())));
    assert!(is_retried(&|_| {}, &|last| last.order = Arc::new(order("changed"))));
    assert!(is_retried(&|_| {}, &|last| Arc::make_mut(&mut last.order).snapshot = "20261122T045300Z-3f9a2c41".parse().unwrap()));
    assert!(is_retried(&|_| {}, &|last| last.progress.disks[0].serial = "new".into()));
    assert!(is_retried(&|first| first.progress.machine = Some("a".into()), &|last| last.progress.machine = Some("b".into())));
}

#[test]
fn what_is_settled_and_what_a_person_stopped_is_left_alone() {
    for (_, state) in State::every_kind().into_iter().filter(|(name, _)| !name.starts_with("failed")) {
        assert_eq!(next(&[attempt(1, state, NOW)], true, &PAUSES, NOW), None);
    }
    assert_eq!(next(&[failed(1, Stage::Installing, Class::Aborted, "stopped", true)], true, &PAUSES, NOW), None);
}

/// A node and its head, as far as attempts go.
#[derive(Debug)]
struct Story {
    history: Vec<Attempt>,
    now: OffsetDateTime,
    fallback: bool,
    orders: usize,
}

#[derive(Clone, Debug)]
enum Happening {
    /// Something about the last attempt; what belongs to an older one is refused by its token.
    Event(Event),
    Pass(i64),
    Reconcile,
    /// The head is killed and starts anew: what it knows is what it wrote.
    Restart,
    /// A person's word.
    Order,
}

impl Story {
    fn new(fallback: bool) -> Self {
        let mut story = Self { history: vec![], now: NOW, fallback, orders: 0 };
        story.order();
        story
    }

    fn arm(&mut self) {
        let number = u32::try_from(self.history.len()).unwrap() + 1;
        self.history.insert(0, Attempt { progress: Progress::default(), ..attempt(number, State::Armed, self.now) });
    }

    fn order(&mut self) {
        if self.history.first().is_none_or(|last| last.state.is_over()) {
            self.orders += 1;
            self.arm();
        }
    }

    fn reconcile(&mut self) {
        let Some(verdict) = next(&self.history, self.fallback, &PAUSES, self.now) else { return };
        if let Some(event) = verdict.event() {
            self.history[0].advance(&event, self.now).unwrap();
        } else if verdict.next == (Next::Retry { after: std::time::Duration::ZERO }) {
            assert!(!self.history[0].state.is_settled(), "an end was not an end");
            let recent = self.history.iter().filter(|attempt| self.now - attempt.armed_at < Span::hours(24)).count();
            assert!(recent < MAX_ATTEMPTS, "a retry above the limit: {:?}", self.history);
            self.arm();
        }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Event(event) => {
                let before = self.history[0].state.clone();
                if self.history[0].advance(event, self.now).is_ok() && before == State::Verified {
                    assert_eq!(self.history[0].state, State::Verified);
                }
            }
            Happening::Pass(seconds) => self.now += Span::seconds(*seconds),
            Happening::Reconcile => self.reconcile(),
            Happening::Restart => {
                let text = serde_json::to_string(&self.history).unwrap();
                let read: Vec<Attempt> = serde_json::from_str(&text).unwrap();
                assert_eq!(read, self.history);
                self.history = read;
            }
            Happening::Order => self.order(),
        }
        let serving = self.history.iter().filter(|attempt| attempt.state.serves_installer()).count();
        assert!(serving <= 1, "two installers: {:?}", self.history);
        assert!(self.history.iter().skip(1).all(|attempt| attempt.state.is_over()));
    }

    /// Nothing more comes of the node: every deadline passes.
    fn end(&mut self) {
        for _ in 0..20 {
            self.now += Span::minutes(30);
            let _ = self.history[0].advance(&Event::Overdue { reason: "nothing was heard for 600 s".into() }, self.now);
            self.reconcile();
        }
    }
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let reason = prop::sample::select(vec!["a", "b", "http 503", "no disk matches"]);
    prop_oneof![
        8 => super::tests::any_event().prop_map(Happening::Event),
        1 => reason.clone().prop_map(|reason| Happening::Event(Event::GaveUp { reason: reason.into() })),
        1 => reason.prop_map(|reason| Happening::Event(Event::Overdue { reason: reason.into() })),
        3 => (1i64..4000).prop_map(Happening::Pass),
        5 => Just(Happening::Reconcile),
        1 => Just(Happening::Restart),
        1 => Just(Happening::Order),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_no_loop_no_second_installer_and_always_an_end(
        happenings in prop::collection::vec(any_happening(), 0..120), fallback in any::<bool>()
    ) {
        let mut story = Story::new(fallback);
        let mut fetches = 0;
        for happening in &happenings {
            let attempts = story.history.len();
            let served = story.history[0].state.serves_installer();
            story.happen(happening);
            if story.history.len() > attempts {
                fetches = 0;
            } else if matches!(happening, Happening::Event(Event::LoaderAsked)) && served && !story.history[0].state.is_over() {
                fetches += 1;
                prop_assert!(fetches <= MAX_FETCHES);
            }
        }
        story.end();
        prop_assert!(story.history[0].state.is_settled(), "{:?}", story.history[0].state);
    }

    #[test]
    fn after_verified_nothing_is_installed_without_an_order(happenings in prop::collection::vec(any_happening(), 0..60)) {
        let mut story = Story::new(true);
        for event in [Event::LoaderAsked, Event::TookOver, Event::GateOpened { disk: "/dev/vda".into() }, Event::Done, Event::CalledHome] {
            story.happen(&Happening::Event(event));
        }
        prop_assert_eq!(&story.history[0].state, &State::Verified);
        for happening in happenings.iter().filter(|happening| !matches!(happening, Happening::Order)) {
            story.happen(happening);
            prop_assert_eq!(story.history.len(), 1);
            prop_assert_eq!(&story.history[0].state, &State::Verified);
        }
    }
}
