//! When a state has lasted too long. Only time during which the head was serving counts: a head that was down over the
//! week-end finds no node overdue on Monday.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::{BootStage, State};

/// How long an attempt has been where it is, in seconds of the head's serving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// Seconds since the last progress.
    pub stage: u64,
    /// Seconds since the installer took over.
    pub install: u64,
}

impl Clocks {
    /// Progress was made.
    pub fn restart_stage(&mut self) {
        self.stage = 0;
    }

    /// Lets served time pass.
    pub fn pass(&mut self, served: Duration, state: &State) {
        self.stage = self.stage.saturating_add(served.as_secs());
        if matches!(state, State::Installing { .. }) {
            self.install = self.install.saturating_add(served.as_secs());
        }
    }
}

/// Time limits, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// From the moment that the head switched the node on to its first DHCP request.
    pub power: u64,
    /// From the DHCP answer to the loader's script.
    pub loader: u64,
    /// From the loader's script to the kernel.
    pub kernel: u64,
    /// From the kernel to the installer's first word, or to the mount or fetch of a diskless root.
    pub installer: u64,
    /// From there to the diskless root's take-over: an image may be large, and many nodes may fetch it at once.
    pub root: u64,
    /// Without progress while installing.
    pub stall: u64,
    /// For the whole installation.
    pub install: u64,
    /// From the installer's end, or the diskless root's take-over, to the call home.
    pub first_boot: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { power: 600, loader: 300, kernel: 180, installer: 300, root: 1800, stall: 600, install: 3600, first_boot: 900 }
    }
}

/// Tells whether the state has lasted too long, and which limit it passed. `Armed` waits for ever unless the head has switched the node
/// on (`powered`): without power control only a person can.
pub fn overdue(state: &State, powered: bool, clocks: &Clocks, limits: &Limits) -> Option<String> {
    let past = |spent: u64, limit: u64, what: &str| (spent > limit).then(|| format!("{what} for {limit} s"));
    match state {
        State::Armed if powered => past(clocks.stage, limits.power, "it was switched on and asked for no address"),
        State::Booting { stage: BootStage::Dhcp, .. } => past(clocks.stage, limits.loader, "no loader asked for its script"),
        State::Booting { stage: BootStage::Loader, .. } => past(clocks.stage, limits.kernel, "the kernel was not fetched"),
        State::Booting { stage: BootStage::Kernel, .. } => {
            past(clocks.stage, limits.installer, "no installer or root took over after the kernel")
        }
        State::Booting { stage: BootStage::Root, .. } => past(clocks.stage, limits.root, "the diskless root did not take over"),
        State::Starting => past(clocks.stage, limits.first_boot, "the diskless system did not call home"),
        State::Installing { .. } => past(clocks.install, limits.install, "the installation ran")
            .or_else(|| past(clocks.stage, limits.stall, "the installation made no progress")),
        State::Finishing { .. } => past(clocks.stage, limits.first_boot, "the installed system did not call home"),
        State::Armed | State::Verified | State::Failed(_) | State::Fallback(_) | State::Held(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_own_limit_and_an_armed_attempt_has_none() {
        let limits = Limits::default();
        let long = Clocks { stage: 1_000_000, install: 0 };
        assert_eq!(overdue(&State::Armed, false, &long, &limits), None);
        assert!(overdue(&State::Armed, true, &long, &limits).is_some());
        let booting = State::Booting { stage: BootStage::Kernel, fetches: 1 };
        assert_eq!(overdue(&booting, true, &Clocks { stage: 300, install: 0 }, &limits), None);
        assert!(overdue(&booting, true, &Clocks { stage: 301, install: 0 }, &limits).is_some());
        assert!(overdue(&State::Finishing { first_boot: false }, false, &long, &limits).is_some());
        assert_eq!(overdue(&State::Verified, false, &long, &limits), None);
    }
}
