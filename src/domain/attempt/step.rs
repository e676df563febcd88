//! The one way from a state to the next.

use super::signature::classify;
use super::state::{BootStage, Class, Ending, Failure, Gate, MAX_FETCHES, Stage, State};

/// Something that happened to an attempt's node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its firmware or loader asked DHCP for a boot file.
    DhcpAsked,
    /// A loader asked for its script. Whether it is given the installer's follows from the state that this leads to.
    LoaderAsked,
    /// The head cannot serve what was ordered: the profile changed, a file of the snapshot is gone.
    Unservable {
        /// Why.
        reason: String,
    },
    /// It fetched the kernel.
    KernelServed,
    /// It mounts its diskless root, or fetches it.
    RootAsked,
    /// The diskless root has taken over and has been given the report token.
    Started,
    /// A diskless node boots anew, and this attempt is not the one for it: it was never heard of, or what was ordered is not
    /// what the node shall be any more.
    Replaced {
        /// Which of the two.
        reason: String,
    },
    /// The installer runs and has been given the report token.
    TookOver,
    /// The installer said what it is doing.
    Reported {
        /// Its own word for the step.
        step: String,
        /// How much is done, 0 to 100.
        percent: u8,
        /// Units of work done so far; 0 if it does not count them.
        units: u32,
    },
    /// The head answered the write gate with a disk.
    GateOpened {
        /// The device.
        disk: String,
    },
    /// The head answered the write gate with no.
    GateRefused {
        /// Why.
        reason: String,
    },
    /// The installer is done.
    Done,
    /// The installer gave up.
    GaveUp {
        /// What it said.
        reason: String,
    },
    /// The installed or diskless system called home.
    CalledHome,
    /// A deadline passed.
    Overdue {
        /// Which one.
        reason: String,
    },
    /// A person stopped the attempt.
    Aborted,
    /// The failure is not tried again, and the node has a fallback profile to run.
    FellBack {
        /// Why.
        reason: String,
    },
    /// The failure is not tried again, and a person is waited for.
    Held {
        /// Why.
        reason: String,
    },
}

/// What is to be done because of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write a line of the head's own into the attempt's log.
    Log(String),
}

/// An event that cannot happen in a state; nothing changes.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("an attempt that is {state} takes no `{event}`")]
pub struct Rejected {
    /// The state's name.
    pub state: String,
    /// The event's name.
    pub event: &'static str,
}

impl Event {
    /// The event's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DhcpAsked => "dhcp asked",
            Self::LoaderAsked => "loader asked",
            Self::Unservable { .. } => "unservable",
            Self::KernelServed => "kernel served",
            Self::RootAsked => "root asked",
            Self::Started => "root took over",
            Self::Replaced { .. } => "replaced",
            Self::TookOver => "installer took over",
            Self::Reported { .. } => "installer reported",
            Self::GateOpened { .. } => "gate opened",
            Self::GateRefused { .. } => "gate refused",
            Self::Done => "installer done",
            Self::GaveUp { .. } => "installer gave up",
            Self::CalledHome => "called home",
            Self::Overdue { .. } => "overdue",
            Self::Aborted => "aborted",
            Self::FellBack { .. } => "fell back",
            Self::Held { .. } => "held",
        }
    }
}

/// Takes an attempt one event further. Repeating an event changes nothing further; a late one does no harm.
///
/// # Errors
/// [`Rejected`] if the event cannot happen in this state.
pub fn step(state: &State, event: &Event) -> Result<(State, Vec<Effect>), Rejected> {
    let rejected = || Rejected { state: state.name(), event: event.name() };
    let next = match event {
        Event::DhcpAsked => dhcp_asked(state),
        Event::LoaderAsked => loader_asked(state),
        Event::Unservable { reason } => match state {
            State::Armed | State::Booting { .. } | State::Installing { .. } => {
                failed(state, Class::Deterministic, reason).ok_or_else(rejected)?
            }
            _ => return Err(rejected()),
        },
        Event::KernelServed => kernel_served(state).ok_or_else(rejected)?,
        Event::TookOver => took_over(state).ok_or_else(rejected)?,
        Event::RootAsked => root_asked(state).ok_or_else(rejected)?,
        Event::Started => match state {
            // Once: what is given with it must not be had again by a user of the running system.
            State::Booting { fetches: 1.., .. } => State::Starting,
            _ => return Err(rejected()),
        },
        Event::Replaced { reason } => match state {
            State::Armed | State::Booting { .. } | State::Starting => failed(state, Class::Transient, reason).ok_or_else(rejected)?,
            _ => return Err(rejected()),
        },
        Event::Reported { step, percent, units } => reported(state, step, *percent, *units).ok_or_else(rejected)?,
        Event::GateOpened { disk } => gate_opened(state, disk).ok_or_else(rejected)?,
        Event::GateRefused { reason } => match state {
            State::Installing { .. } => failed(state, Class::Deterministic, reason).ok_or_else(rejected)?,
            _ => return Err(rejected()),
        },
        Event::Done => done(state).ok_or_else(rejected)?,
        Event::GaveUp { reason } => match state {
            State::Starting | State::Installing { .. } | State::Finishing { .. } => {
                failed(state, classify(reason), reason).ok_or_else(rejected)?
            }
            _ => return Err(rejected()),
        },
        Event::CalledHome => called_home(state).ok_or_else(rejected)?,
        Event::Overdue { reason } => failed(state, Class::Transient, reason).ok_or_else(rejected)?,
        Event::Aborted => failed(state, Class::Aborted, "stopped by `kickctl attempt abort`").ok_or_else(rejected)?,
        Event::FellBack { reason } => State::Fallback(ending(state, reason).ok_or_else(rejected)?),
        Event::Held { reason } => State::Held(ending(state, reason).ok_or_else(rejected)?),
    };
    let effects = if next.name() == state.name() { vec![] } else { vec![Effect::Log(describe(&next))] };
    Ok((next, effects))
}

fn describe(state: &State) -> String {
    match state {
        State::Failed(failure) => format!("failed in {} ({}): {}", failure.stage, failure.class, failure.reason),
        State::Fallback(ending) => format!("fallback: {}", ending.reason),
        State::Held(ending) => format!("held: {}", ending.reason),
        State::Installing { gate: Gate::Open { disk }, step, .. } if step == "gate" => format!("write gate: yes, {disk}"),
        other => other.name(),
    }
}

fn dhcp_asked(state: &State) -> State {
    match state {
        State::Armed => State::Booting { stage: BootStage::Dhcp, fetches: 0 },
        other => other.clone(),
    }
}

fn loader_asked(state: &State) -> State {
    match state {
        State::Armed => State::Booting { stage: BootStage::Loader, fetches: 1 },
        State::Booting { fetches, stage } if *fetches < MAX_FETCHES => {
            State::Booting { stage: (*stage).max(BootStage::Loader), fetches: fetches + 1 }
        }
        State::Booting { .. } => fail(
            state,
            Stage::Booting,
            Class::Transient,
            &format!("asked for its loader more than {MAX_FETCHES} times and never started the installer"),
        ),
        // The machine rebooted in mid-installation. After the gate its disk may already be bootable: its call home decides.
        State::Installing { gate: Gate::Open { .. }, .. } | State::Finishing { .. } => State::Finishing { first_boot: true },
        State::Installing { gate: Gate::Closed, .. } => {
            // An installer that restarts its machine unasked would do it again: a silent loop.
            fail(state, Stage::Installing, Class::Deterministic, "unexpected reboot before the write gate; nothing was written")
        }
        State::Starting | State::Verified | State::Failed(_) | State::Fallback(_) | State::Held(_) => state.clone(),
    }
}

fn kernel_served(state: &State) -> Option<State> {
    match state {
        State::Booting { fetches, stage } if *fetches > 0 => {
            Some(State::Booting { stage: (*stage).max(BootStage::Kernel), fetches: *fetches })
        }
        _ => None,
    }
}

fn root_asked(state: &State) -> Option<State> {
    match state {
        State::Booting { fetches, .. } if *fetches > 0 => Some(State::Booting { stage: BootStage::Root, fetches: *fetches }),
        // A client that mounts again after the head was away, or that mounts a second time.
        State::Starting | State::Verified | State::Failed(_) | State::Fallback(_) | State::Held(_) => Some(state.clone()),
        _ => None,
    }
}

fn took_over(state: &State) -> Option<State> {
    match state {
        State::Booting { fetches, .. } if *fetches > 0 => {
            Some(State::Installing { step: "started".into(), percent: 0, units: 0, gate: Gate::Closed, heard: false })
        }
        // The answer was lost and the installer asks again: nobody has used the report token yet.
        State::Installing { heard: false, .. } => Some(state.clone()),
        _ => None,
    }
}

fn reported(state: &State, word: &str, done: u8, worked: u32) -> Option<State> {
    match state {
        State::Installing { step, percent, units, gate, .. } => {
            let further = done.min(100) > *percent;
            Some(State::Installing {
                step: if further { word.chars().take(40).collect() } else { step.clone() },
                percent: done.min(100).max(*percent),
                units: worked.max(*units),
                gate: gate.clone(),
                heard: true,
            })
        }
        State::Starting | State::Finishing { .. } | State::Verified | State::Failed(_) | State::Fallback(_) | State::Held(_) => {
            Some(state.clone())
        }
        _ => None,
    }
}

fn gate_opened(state: &State, disk: &str) -> Option<State> {
    match state {
        State::Installing { gate: Gate::Open { disk: told }, .. } if told == disk => Some(state.clone()),
        State::Installing { gate: Gate::Closed, percent, units, .. } => {
            let gate = Gate::Open { disk: disk.to_owned() };
            Some(State::Installing { step: "gate".into(), percent: *percent, units: *units, gate, heard: true })
        }
        _ => None,
    }
}

fn done(state: &State) -> Option<State> {
    match state {
        State::Installing { gate: Gate::Open { .. }, .. } => Some(State::Finishing { first_boot: false }),
        State::Finishing { .. } | State::Verified => Some(state.clone()),
        // A deadline passed while the installer was still at work: its word, though late, is better. Only once: an attempt that
        // failed in `finishing` has had that word.
        other => match other.failure()? {
            Failure { class: Class::Transient, wrote: true, stage: Stage::Installing, .. } => Some(State::Finishing { first_boot: false }),
            Failure { class: Class::Transient, wrote: true, .. } => Some(state.clone()),
            _ => None,
        },
    }
}

fn called_home(state: &State) -> Option<State> {
    match state {
        State::Installing { gate: Gate::Open { .. }, .. } | State::Finishing { .. } | State::Verified => Some(State::Verified),
        State::Starting => Some(State::Verified),
        other => match other.failure()? {
            Failure { class: Class::Transient, wrote: true, .. } => Some(State::Verified),
            Failure { class: Class::Transient, stage: Stage::Starting, .. } => Some(State::Verified),
            _ => None,
        },
    }
}

/// What a failure ends as; a person's word is an end already.
fn ending(state: &State, reason: &str) -> Option<Ending> {
    match state {
        State::Failed(failure) if failure.class != Class::Aborted => {
            Some(Ending { reason: reason.chars().take(500).collect(), failure: failure.clone() })
        }
        _ => None,
    }
}

/// A late deadline or abort changes nothing that is over.
fn failed(state: &State, class: Class, reason: &str) -> Option<State> {
    Some(fail(state, state.stage()?, class, reason))
}

fn fail(state: &State, stage: Stage, class: Class, reason: &str) -> State {
    let stood = match state {
        State::Installing { percent, .. } => format!("it stood at {}, {percent} %", state.name()),
        _ => format!("it stood at {}", state.name()),
    };
    State::Failed(Failure {
        stage,
        class,
        reason: reason.chars().take(500).collect(),
        wrote: state.may_have_written(),
        evidence: vec![stood],
    })
}
