//! The states of an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How often the loader's script is handed out within one attempt. A machine that asks more often never got the installer
/// or its root to run, and would go on for ever.
pub const MAX_FETCHES: u8 = 3;

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum State {
    /// Waiting for the node to boot over the network.
    Armed,
    /// The node is on its way to the installer, or to its diskless root.
    Booting {
        /// How far it has come.
        stage: BootStage,
        /// How often the loader's script was handed out.
        fetches: u8,
    },
    /// A diskless root has taken over and has not called home yet.
    Starting,
    /// The installer runs.
    Installing {
        /// What it does, in its own words, bounded: `started`, `gate`, `base-system`.
        step: String,
        /// How much of the installation is done, 0 to 100; never falls.
        percent: u8,
        /// Units of work done so far, such as packages fetched, unpacked or set up; never falls. On a slow machine one percent takes
        /// longer than a stall may last, while packages go on.
        #[serde(default)]
        units: u32,
        /// Whether it may write.
        gate: Gate,
        /// True once the report token has been used: the boot token's last door (the take-over) is shut then.
        heard: bool,
    },
    /// The installer is done; the node boots its own disk and has not called home yet.
    Finishing {
        /// True once the node was seen to boot after the installation.
        first_boot: bool,
    },
    /// The installed or diskless system called home.
    Verified,
    /// Ended without success.
    Failed(Failure),
    /// Failed for good; the node runs its fallback profile from its next network boot on.
    Fallback(Ending),
    /// Failed for good; the node boots its local disk and waits for a person.
    Held(Ending),
}

/// How far a booting node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootStage {
    /// It asked for an address and a loader.
    Dhcp,
    /// A loader asked for its script and was given it.
    Loader,
    /// It fetched the kernel.
    Kernel,
    /// It mounts or fetches its diskless root.
    Root,
}

/// Whether the installer may write to a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// It has not asked, or has not been answered.
    Closed,
    /// It was told to write to this device.
    Open {
        /// The device, such as `/dev/vda`.
        disk: String,
    },
}

/// What became of a failure that is not tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Why it is not tried again, for people.
    pub reason: String,
    /// The failure.
    pub failure: Failure,
}

/// How and where an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where it stood.
    pub stage: Stage,
    /// What kind of failure it is.
    pub class: Class,
    /// What happened, for people.
    pub reason: String,
    /// True if the write gate had said yes: the disk may have been written to.
    pub wrote: bool,
    /// What was seen of it: where the attempt stood, and the last lines of its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// A coarse position within an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// See [`State::Armed`].
    Armed,
    /// See [`State::Booting`].
    Booting,
    /// See [`State::Starting`].
    Starting,
    /// See [`State::Installing`].
    Installing,
    /// See [`State::Finishing`].
    Finishing,
}

/// What kind of failure it is: whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A time-out or a lost connection: another try may succeed.
    Transient,
    /// The same will happen again: a template error, no disk that matches, a missing package.
    Deterministic,
    /// A person stopped it.
    Aborted,
}

macro_rules! display {
    ($type:ident, $($variant:ident = $word:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

display!(BootStage, Dhcp = "dhcp", Loader = "loader", Kernel = "kernel", Root = "root");
display!(Stage, Armed = "armed", Booting = "booting", Starting = "starting", Installing = "installing", Finishing = "finishing");
display!(Class, Transient = "transient", Deterministic = "deterministic", Aborted = "aborted");

impl State {
    /// The name with its detail: `booting/kernel`, `installing/base-system`, `failed`.
    pub fn name(&self) -> String {
        match self {
            Self::Armed => "armed".into(),
            Self::Booting { stage, .. } => format!("booting/{stage}"),
            Self::Starting => "starting".into(),
            Self::Installing { step, .. } => format!("installing/{step}"),
            Self::Finishing { first_boot: false } => "finishing".into(),
            Self::Finishing { first_boot: true } => "finishing/first-boot".into(),
            Self::Verified => "verified".into(),
            Self::Failed(_) => "failed".into(),
            Self::Fallback(_) => "fallback".into(),
            Self::Held(_) => "held".into(),
        }
    }

    /// One state for each row of the life cycle's tables: every kind of state that is answered differently.
    pub fn every_kind() -> Vec<(&'static str, State)> {
        let installing = |gate, heard| Self::Installing { step: "disks".into(), percent: 20, units: 90, gate, heard };
        let open = || Gate::Open { disk: "/dev/vda".into() };
        let failure = |stage, class, wrote| Failure { stage, class, reason: "example".into(), wrote, evidence: vec![] };
        let failed_in = |stage, class, wrote| Self::Failed(failure(stage, class, wrote));
        let failed = |class, wrote| failed_in(Stage::Installing, class, wrote);
        let ended = |stage, class, wrote| Ending { reason: "example".into(), failure: failure(stage, class, wrote) };
        vec![
            ("armed", Self::Armed),
            ("booting/dhcp", Self::Booting { stage: BootStage::Dhcp, fetches: 0 }),
            ("booting/loader", Self::Booting { stage: BootStage::Loader, fetches: 1 }),
            ("booting/kernel, third fetch", Self::Booting { stage: BootStage::Kernel, fetches: MAX_FETCHES }),
            ("booting/root", Self::Booting { stage: BootStage::Root, fetches: 1 }),
            ("starting", Self::Starting),
            ("installing, report token unused", installing(Gate::Closed, false)),
            ("installing, gate closed", installing(Gate::Closed, true)),
            ("installing, gate open", installing(open(), true)),
            ("finishing", Self::Finishing { first_boot: false }),
            ("finishing/first-boot", Self::Finishing { first_boot: true }),
            ("verified", Self::Verified),
            ("failed (transient) before the gate", failed(Class::Transient, false)),
            ("failed (transient) after the gate", failed(Class::Transient, true)),
            ("failed (deterministic) after the gate", failed(Class::Deterministic, true)),
            ("failed (aborted) after the gate", failed(Class::Aborted, true)),
            ("failed (transient) while starting", failed_in(Stage::Starting, Class::Transient, false)),
            ("fallback before the gate", Self::Fallback(ended(Stage::Installing, Class::Deterministic, false))),
            ("fallback (transient) after the gate", Self::Fallback(ended(Stage::Installing, Class::Transient, true))),
            ("held before the gate", Self::Held(ended(Stage::Installing, Class::Deterministic, false))),
            ("held (transient) after the gate", Self::Held(ended(Stage::Installing, Class::Transient, true))),
            ("held, no call home", Self::Held(ended(Stage::Finishing, Class::Transient, true))),
        ]
    }

    /// The coarse position, `None` once the attempt is over.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Armed => Some(Stage::Armed),
            Self::Booting { .. } => Some(Stage::Booting),
            Self::Starting => Some(Stage::Starting),
            Self::Installing { .. } => Some(Stage::Installing),
            Self::Finishing { .. } => Some(Stage::Finishing),
            Self::Verified | Self::Failed(_) | Self::Fallback(_) | Self::Held(_) => None,
        }
    }

    /// True if nothing but a late report can change it.
    pub fn is_over(&self) -> bool {
        self.stage().is_none()
    }

    /// True if a loader that asks now is given what was ordered: the installer, or the diskless root.
    pub fn serves_installer(&self) -> bool {
        match self {
            Self::Armed => true,
            Self::Booting { fetches, .. } => *fetches < MAX_FETCHES,
            _ => false,
        }
    }

    /// True if the write gate has said yes: the disk may have been written to.
    pub fn may_have_written(&self) -> bool {
        match self {
            Self::Installing { gate, .. } => matches!(gate, Gate::Open { .. }),
            Self::Finishing { .. } | Self::Verified => true,
            Self::Failed(failure) | Self::Fallback(Ending { failure, .. }) | Self::Held(Ending { failure, .. }) => failure.wrote,
            Self::Armed | Self::Booting { .. } | Self::Starting => false,
        }
    }

    /// How it failed, whatever was decided about that.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) | Self::Fallback(Ending { failure, .. }) | Self::Held(Ending { failure, .. }) => Some(failure),
            _ => None,
        }
    }

    /// True for an end that only a person, or a late word of the node, changes. A failure is one only if a person wanted it.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Verified | Self::Fallback(_) | Self::Held(_) => true,
            Self::Failed(failure) => failure.class == Class::Aborted,
            _ => false,
        }
    }

    /// True if a system runs, or may run, that was given the report token to call home with.
    pub fn may_call_home(&self) -> bool {
        match self {
            Self::Starting => true,
            other => other.may_have_written() || other.failure().is_some_and(|failure| failure.stage == Stage::Starting),
        }
    }

    /// Position on the way to success, for telling progress from repetition.
    pub fn rank(&self) -> u32 {
        match self {
            Self::Armed => 0,
            Self::Booting { stage: BootStage::Dhcp, .. } => 1,
            Self::Booting { stage: BootStage::Loader, .. } => 2,
            Self::Booting { stage: BootStage::Kernel, .. } => 3,
            Self::Booting { stage: BootStage::Root, .. } => 4,
            Self::Starting => 5,
            Self::Installing { percent, gate, .. } => 10 + u32::from(*percent) + if matches!(gate, Gate::Open { .. }) { 1 } else { 0 },
            Self::Finishing { first_boot } => 200 + u32::from(*first_boot),
            Self::Verified => 300,
            Self::Failed(_) | Self::Fallback(_) | Self::Held(_) => 400,
        }
    }

    /// True if this state is real progress against `before`: a heartbeat, or a stage entered again, is none.
    pub fn progressed_since(&self, before: &State) -> bool {
        let worked = match (before, self) {
            (Self::Installing { units: before, .. }, Self::Installing { units: after, .. }) => after > before,
            _ => false,
        };
        self.rank() > before.rank() || worked && self.rank() == before.rank()
    }
}
