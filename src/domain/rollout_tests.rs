//! What a rollout does, wave by wave.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::attempt::{Class, Clocks, Ending, Failure, Order, Progress, Stage};
use crate::domain::checksum::Sha256;
use crate::domain::profile::ProfileKind;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn name(at: usize) -> NodeName {
    format!("node{at:03}").parse().unwrap()
}

fn rollout(nodes: usize, canary: usize, max_parallel: usize) -> Rollout {
    let nodes = (1..=nodes).map(|at| RolloutNode::new(name(at), 4)).collect();
    Rollout { id: 1, revision: 1, begun_at: NOW, state: RolloutState::Running, why: None, canary, max_parallel, cycle: true, nodes }
}

fn attempt(node: &NodeName, state: State) -> Attempt {
    let order = Order {
        profile: "debian-13".parse().unwrap(),
        kind: ProfileKind::Preseed,
        profile_digest: Sha256::of(b""),
        mirror: "debian-13".parse().unwrap(),
        snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
        image: None,
        fallback_of: None,
        variables: Default::default(),
    };
    Attempt {
        id: 1,
        node: node.clone(),
        number: 5,
        order: Arc::new(order),
        state,
        progress: Progress::default(),
        clocks: Clocks::default(),
        armed_at: NOW,
        revision: 1,
    }
}

fn held(reason: &str) -> State {
    let failure = Failure { stage: Stage::Installing, class: Class::Deterministic, reason: reason.into(), wrote: false, evidence: vec![] };
    State::Held(Ending { reason: "r".into(), failure })
}

/// A rollout with nodes that come to their ends when told to.
struct World {
    rollout: Rollout,
    histories: Histories,
}

impl World {
    fn new(rollout: Rollout) -> Self {
        Self { rollout, histories: Histories::new() }
    }

    /// One turn; whatever it begins is armed.
    fn turn(&mut self) -> (usize, bool) {
        let turn = self.rollout.turn(&self.histories, false);
        for node in &turn.begin {
            self.histories.insert(node.clone(), vec![attempt(node, State::Armed)]);
            self.rollout.put(node, Phase::Begun, None);
        }
        (turn.begin.len(), turn.tripped)
    }

    fn end(&mut self, end: impl Fn(&NodeName) -> State) {
        for history in self.histories.values_mut().filter(|history| history[0].state == State::Armed) {
            history[0].state = end(&history[0].node);
        }
    }
}

#[test]
fn the_first_nodes_go_alone_and_then_waves_of_a_bounded_size() {
    let mut world = World::new(rollout(40, 1, 16));
    assert_eq!(world.turn(), (1, false));
    assert_eq!(world.turn(), (0, false));
    world.end(|_| State::Verified);
    assert_eq!(world.turn(), (16, false));
    assert_eq!(world.turn(), (0, false));
    world.end(|_| State::Verified);
    assert_eq!(world.turn(), (16, false));
    world.end(|_| State::Verified);
    assert_eq!(world.turn(), (7, false));
    world.end(|_| State::Verified);
    world.turn();
    assert_eq!(world.rollout.state, RolloutState::Done);
}

#[test]
fn a_first_node_that_fails_stops_it_until_somebody_resumes_it() {
    let mut world = World::new(rollout(40, 2, 16));
    world.turn();
    world.end(|node| if *node == name(2) { held("no disk") } else { State::Verified });
    assert_eq!(world.turn(), (0, true));
    assert_eq!(world.rollout.why.as_deref(), Some("node002, one of the first 2, has failed"));
    assert_eq!(world.turn(), (0, false));
    world.rollout.resume(&world.histories);
    assert_eq!(world.turn(), (16, false));
}

#[test]
fn nodes_that_fail_alike_trip_the_breaker_and_nodes_that_fail_for_reasons_of_their_own_do_not() {
    let mut world = World::new(rollout(40, 0, 20));
    world.turn();
    let end = |node: &NodeName| match node.as_str() {
        "node001" | "node002" | "node003" => held("no disk matches"),
        "node004" => held("something else"),
        _ => State::Verified,
    };
    world.end(end);
    assert_eq!(world.turn(), (0, true));
    let why = world.rollout.why.clone().unwrap();
    assert!(why.starts_with("3 of 20 nodes have failed alike (installing/deterministic/") && why.ends_with("): node[001-003]"), "{why}");
    world.rollout.resume(&world.histories);
    assert_eq!(world.turn(), (20, false));
    world.end(|_| State::Verified);
    world.turn();
    assert_eq!(world.rollout.state, RolloutState::Done);
    let mut mixed = World::new(rollout(20, 0, 20));
    mixed.turn();
    mixed.end(|node| held(&format!("reason {}", "x".repeat(node.as_str()[4..].parse().unwrap()))));
    assert_eq!(mixed.turn(), (0, false), "each for a reason of its own");
    assert_eq!(mixed.rollout.state, RolloutState::Done);
}

#[test]
fn three_alike_among_very_many_are_no_reason_to_stop() {
    let mut world = World::new(rollout(100, 0, 50));
    world.turn();
    world.end(|node| if ["node001", "node002", "node003"].contains(&node.as_str()) { held("no disk") } else { State::Verified });
    assert_eq!(world.turn(), (50, false));
}

#[test]
fn nodes_that_cannot_even_be_begun_trip_the_breaker_too() {
    let mut world = World::new(rollout(40, 0, 3));
    let turn = world.rollout.turn(&world.histories, false);
    turn.begin.iter().for_each(|node| world.rollout.put(node, Phase::Failed, Some("its profile does not render".into())));
    assert_eq!(world.turn(), (0, true));
    world.rollout.resume(&world.histories);
    assert_eq!(world.turn(), (3, false), "they are excused, not others");
}

#[test]
fn a_failure_that_mends_itself_counts_while_it_lasts_and_one_from_before_the_rollout_never() {
    let mut world = World::new(rollout(40, 0, 3));
    world.turn();
    for own in &world.rollout.nodes[..3] {
        let history = world.histories.get_mut(&own.node).unwrap();
        (history[0].state, history[0].number) = (held("no disk"), own.before);
        history.insert(0, attempt(&own.node, State::Armed));
    }
    assert_eq!(world.turn(), (0, false), "an old failure");
    world.end(|_| State::Verified);
    for history in world.histories.values_mut() {
        history[1].number = 5;
        history[0].number = 6;
    }
    assert_eq!(world.turn(), (3, false), "they got over it");
}

#[test]
fn a_node_that_failed_and_calls_home_late_is_given_back() {
    let mut rollout = rollout(2, 0, 2);
    rollout.nodes[0].phase = Phase::Begun;
    let mut histories: Histories = [(name(1), vec![attempt(&name(1), held("no call home"))])].into();
    assert!(rollout.turn(&histories, true).undrain.is_empty());
    assert_eq!(rollout.nodes[0].phase, Phase::Failed);
    histories.get_mut(&name(1)).unwrap()[0].state = State::Verified;
    assert_eq!(rollout.turn(&histories, true).undrain, [name(1)]);
    assert!(rollout.turn(&histories, true).undrain.is_empty(), "once");
}

#[test]
fn what_is_aborted_gives_back_the_nodes_that_were_not_begun() {
    let mut rollout = rollout(4, 0, 3);
    rollout.turn(&Histories::new(), true);
    rollout.put(&name(2), Phase::Drained, None);
    rollout.put(&name(3), Phase::Begun, None);
    assert_eq!(rollout.abort("by hand"), [name(1), name(2)]);
    assert!(rollout.is_open(), "node003 is under way");
    rollout.turn(&[(name(3), vec![attempt(&name(3), State::Verified)])].into(), true);
    assert!(!rollout.is_open());
}

#[test]
fn a_node_is_begun_only_after_it_was_drained_and_given_back_only_when_it_is_verified() {
    let mut rollout = rollout(2, 0, 2);
    let none = Histories::new();
    let turn = rollout.turn(&none, true);
    assert_eq!((turn.drain.len(), turn.begin.len()), (2, 0));
    rollout.nodes[0].phase = Phase::Drained;
    assert_eq!(rollout.turn(&none, true).begin, [name(1)]);
    rollout.nodes[0].phase = Phase::Begun;
    rollout.nodes[1].phase = Phase::Begun;
    let ends = [(name(1), vec![attempt(&name(1), State::Verified)]), (name(2), vec![attempt(&name(2), held("x"))])].into();
    assert_eq!(rollout.turn(&ends, true).undrain, [name(1)]);
    assert_eq!(rollout.state, RolloutState::Done);
}

#[test]
fn what_is_paused_or_aborted_begins_nothing_and_still_learns_what_became_of_its_nodes() {
    let mut world = World::new(rollout(4, 0, 2));
    world.turn();
    world.rollout.state = RolloutState::Aborted;
    world.end(|_| State::Verified);
    assert_eq!(world.turn(), (0, false));
    assert_eq!(world.rollout.count(&[Phase::Verified]), 2);
}

#[derive(Clone, Debug)]
enum Happening {
    Turn,
    /// A node that is under way comes to an end: verified, or in one of a few ways.
    End(usize, u8),
    Drained(usize),
    Pause,
    Resume,
    /// The head is killed after it said what is begun and before it armed it.
    Killed,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => Just(Happening::Turn),
        8 => (0..30usize, 0..8u8).prop_map(|(at, how)| Happening::End(at, how)),
        8 => (0..30usize).prop_map(Happening::Drained),
        1 => Just(Happening::Pause),
        2 => Just(Happening::Resume),
        2 => Just(Happening::Killed),
    ]
}

/// A site that drains, and a head that may be killed.
struct Site {
    rollout: Rollout,
    histories: Histories,
    begun: BTreeMap<NodeName, usize>,
}

impl Site {
    fn turn(&mut self, killed: bool) {
        let was = self.rollout.state;
        let turn = self.rollout.turn(&self.histories, true);
        assert!(was == RolloutState::Running || turn.drain.is_empty(), "a node's turn came while it was {was}");
        for node in turn.begin.iter().filter(|_| !killed) {
            self.histories.entry(node.clone()).or_insert_with(|| {
                *self.begun.entry(node.clone()).or_default() += 1;
                vec![attempt(node, State::Armed)]
            });
        }
        let out = self.rollout.count(&[Phase::Draining, Phase::Drained, Phase::Begun]);
        assert!(out <= self.rollout.max_parallel, "{out} nodes are out of work");
        let (first, others) = self.rollout.nodes.split_at(self.rollout.canary.min(self.rollout.nodes.len()));
        let is_first_well = first.iter().all(|own| matches!(own.phase, Phase::Verified | Phase::Failed));
        assert!(is_first_well || others.iter().all(|own| own.phase == Phase::Waiting), "the others did not wait for the first");
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Turn => self.turn(false),
            Happening::Killed => self.turn(true),
            Happening::End(at, how) => {
                let Some(history) = self.histories.get_mut(&name(*at)).filter(|history| history[0].state == State::Armed) else { return };
                history[0].state = if *how < 5 { State::Verified } else { held(["no disk", "no kernel", "no root"][usize::from(how % 3)]) };
            }
            Happening::Drained(at) => {
                let node = name(*at);
                if self.rollout.nodes.iter().any(|own| own.node == node && own.phase == Phase::Draining) {
                    self.rollout.put(&node, Phase::Drained, None);
                }
            }
            Happening::Pause if self.rollout.state == RolloutState::Running => self.rollout.state = RolloutState::Paused,
            Happening::Resume if self.rollout.state == RolloutState::Paused => self.rollout.resume(&self.histories),
            Happening::Pause | Happening::Resume => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_no_more_are_out_than_may_be_none_is_begun_twice_and_it_ends(
        happenings in prop::collection::vec(any_happening(), 0..200), nodes in 1..25usize, canary in 0..4usize, max_parallel in 1..9usize
    ) {
        let mut site = Site { rollout: rollout(nodes, canary, max_parallel), histories: Histories::new(), begun: BTreeMap::new() };
        happenings.iter().for_each(|happening| site.happen(happening));
        // Somebody resumes it as often as it takes.
        for _ in 0..8 * nodes {
            site.happen(&Happening::Resume);
            site.happen(&Happening::Turn);
            (1..=nodes).for_each(|at| site.happen(&Happening::Drained(at)));
            (1..=nodes).for_each(|at| site.happen(&Happening::End(at, 6)));
        }
        prop_assert_eq!(site.rollout.state, RolloutState::Done);
        prop_assert_eq!(site.begun.len(), nodes);
        prop_assert!(site.begun.values().all(|times| *times == 1), "{:?}", site.begun);
    }
}
