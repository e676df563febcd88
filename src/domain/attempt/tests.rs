//! The life cycle row by row, and what must hold whatever happens in whatever order.

use proptest::prelude::*;

use super::state::{Gate, MAX_FETCHES, State};
use super::step::{Event, step};

fn installing(gate: Gate) -> State {
    State::Installing { step: "disks".into(), percent: 20, units: 0, gate, heard: true }
}

fn open() -> Gate {
    Gate::Open { disk: "/dev/vda".into() }
}

fn events() -> Vec<Event> {
    vec![
        Event::DhcpAsked,
        Event::LoaderAsked,
        Event::Unservable { reason: "r".into() },
        Event::KernelServed,
        Event::RootAsked,
        Event::Started,
        Event::Replaced { reason: "r".into() },
        Event::TookOver,
        Event::Reported { step: "base-system".into(), percent: 40, units: 7 },
        Event::GateOpened { disk: "/dev/vda".into() },
        Event::GateRefused { reason: "r".into() },
        Event::Done,
        Event::GaveUp { reason: "r".into() },
        Event::CalledHome,
        Event::Overdue { reason: "r".into() },
        Event::Aborted,
        Event::FellBack { reason: "r".into() },
        Event::Held { reason: "r".into() },
    ]
}

/// `-` is rejected, `=` is unchanged; any other cell names the next state.
fn cell(state: &State, event: &Event) -> String {
    match step(state, event) {
        Err(_) => "-".into(),
        Ok((next, _)) if next == *state => "=".into(),
        Ok((State::Failed(failure), _)) => failure.class.to_string().chars().take(1).collect(),
        Ok((next, _)) => next.name(),
    }
}

#[test]
fn every_state_times_every_event() {
    // dhcp, loader, unservable, kernel, root, started, replaced, took over, report, gate yes, gate no, done, gave up, home, overdue, abort,
    // fell back, held. `t`, `d`, `a`: failed, transient, deterministic or aborted.
    let expected = [
        "armed|booting/dhcp|booting/loader|d|-|-|-|t|-|-|-|-|-|-|-|t|a|-|-",
        "booting/dhcp|=|booting/loader|d|-|-|-|t|-|-|-|-|-|-|-|t|a|-|-",
        "booting/loader|=|booting/loader|d|booting/kernel|booting/root|starting|t|installing/started|-|-|-|-|-|-|t|a|-|-",
        "booting/kernel, third fetch|=|t|d|=|booting/root|starting|t|installing/started|-|-|-|-|-|-|t|a|-|-",
        "booting/root|=|booting/root|d|=|=|starting|t|installing/started|-|-|-|-|-|-|t|a|-|-",
        "starting|=|=|-|-|=|-|t|-|=|-|-|-|d|verified|t|a|-|-",
        "installing, report token unused|=|d|d|-|-|-|-|=|installing/base-system|installing/gate|d|-|d|-|t|a|-|-",
        "installing, gate closed|=|d|d|-|-|-|-|-|installing/base-system|installing/gate|d|-|d|-|t|a|-|-",
        "installing, gate open|=|finishing/first-boot|d|-|-|-|-|-|installing/base-system|=|d|finishing|d|verified|t|a|-|-",
        "finishing|=|finishing/first-boot|-|-|-|-|-|-|=|-|-|=|d|verified|t|a|-|-",
        "finishing/first-boot|=|=|-|-|-|-|-|-|=|-|-|=|d|verified|t|a|-|-",
        "verified|=|=|-|-|=|-|-|-|=|-|-|=|-|=|-|-|-|-",
        "failed (transient) before the gate|=|=|-|-|=|-|-|-|=|-|-|-|-|-|-|-|fallback|held",
        "failed (transient) after the gate|=|=|-|-|=|-|-|-|=|-|-|finishing|-|verified|-|-|fallback|held",
        "failed (deterministic) after the gate|=|=|-|-|=|-|-|-|=|-|-|-|-|-|-|-|fallback|held",
        "failed (aborted) after the gate|=|=|-|-|=|-|-|-|=|-|-|-|-|-|-|-|-|-",
        "failed (transient) while starting|=|=|-|-|=|-|-|-|=|-|-|-|-|verified|-|-|fallback|held",
        "fallback before the gate|=|=|-|-|=|-|-|-|=|-|-|-|-|-|-|-|-|-",
        "fallback (transient) after the gate|=|=|-|-|=|-|-|-|=|-|-|finishing|-|verified|-|-|-|-",
        "held before the gate|=|=|-|-|=|-|-|-|=|-|-|-|-|-|-|-|-|-",
        "held (transient) after the gate|=|=|-|-|=|-|-|-|=|-|-|finishing|-|verified|-|-|-|-",
        "held, no call home|=|=|-|-|=|-|-|-|=|-|-|=|-|verified|-|-|-|-",
    ];
    let states = State::every_kind();
    assert_eq!(states.len(), expected.len());
    for ((name, state), row) in states.iter().zip(expected) {
        let cells: Vec<String> = events().iter().map(|event| cell(state, event)).collect();
        assert_eq!(format!("{name}|{}", cells.join("|")), row);
    }
}

#[test]
fn a_lost_take_over_may_be_repeated_until_the_report_token_is_used() {
    let started = State::Installing { step: "started".into(), percent: 0, units: 0, gate: Gate::Closed, heard: false };
    assert_eq!(step(&started, &Event::TookOver).unwrap().0, started);
    let (heard, _) = step(&started, &Event::Reported { step: "network".into(), percent: 1, units: 0 }).unwrap();
    assert!(step(&heard, &Event::TookOver).is_err());
}

#[test]
fn the_gate_never_changes_its_mind() {
    assert!(step(&installing(open()), &Event::GateOpened { disk: "/dev/vdb".into() }).is_err());
}

#[test]
fn percent_never_falls_and_a_repeated_step_is_no_progress() {
    let before = State::Installing { step: "base-system".into(), percent: 40, units: 300, gate: open(), heard: true };
    let (after, _) = step(&before, &Event::Reported { step: "disks".into(), percent: 20, units: 300 }).unwrap();
    assert_eq!(after, before);
    assert!(!after.progressed_since(&before));
    let (slow, _) = step(&before, &Event::Reported { step: "base-system".into(), percent: 40, units: 301 }).unwrap();
    assert!(slow.progressed_since(&before) && !before.progressed_since(&slow), "a package is progress, however slow");
}

pub(super) fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop::sample::select(events()),
        (any::<u8>(), "[a-z-]{0,60}", any::<u32>()).prop_map(|(percent, step, units)| Event::Reported { step, percent, units }),
        prop::sample::select(vec!["/dev/vda", "/dev/vdb"]).prop_map(|disk| Event::GateOpened { disk: disk.into() }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_installed_twice(events in prop::collection::vec(any_event(), 0..60)) {
        let mut state = State::Armed;
        let (mut installers, mut disks) = (0, std::collections::BTreeSet::new());
        let mut was_verified = false;
        for event in &events {
            let Ok((next, _)) = step(&state, event) else { continue };
            if *event == Event::LoaderAsked && matches!(next, State::Booting { .. }) {
                prop_assert!(state.serves_installer());
                installers += 1;
            }
            if state.may_have_written() {
                prop_assert!(next.may_have_written(), "{state:?} -> {next:?} forgot that the disk was written");
                prop_assert!(!next.serves_installer());
            }
            if let State::Installing { gate: Gate::Open { disk }, .. } = &next {
                disks.insert(disk.clone());
            }
            prop_assert!(!was_verified || next == State::Verified);
            was_verified |= next == State::Verified;
            state = next;
        }
        prop_assert!(installers <= usize::from(MAX_FETCHES));
        prop_assert!(disks.len() <= 1);
    }

    #[test]
    fn repeating_an_event_at_once_changes_nothing_but_the_count_of_fetches(
        events in prop::collection::vec(any_event(), 0..40), last in any_event()
    ) {
        let mut state = State::Armed;
        for event in events.iter().chain([&last]) {
            if let Ok((next, _)) = step(&state, event) { state = next }
        }
        if last != Event::LoaderAsked && let Ok((again, _)) = step(&state, &last) {
            prop_assert_eq!(again, state);
        }
    }
}
