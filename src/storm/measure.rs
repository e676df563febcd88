//! What is measured of a storm: for each kind of request how long the head took to begin its answer, and how much came.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

macro_rules! kinds {
    ($($variant:ident = $name:literal, $what:literal;)+) => {
        /// A kind of request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = $what] $variant,)+
        }

        impl Kind {
            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

kinds! {
    Discover = "dhcp discover", "DISCOVER to OFFER.";
    Request = "dhcp request", "REQUEST to ACK.";
    Loader = "tftp loader", "The read request of the loader to its first packet.";
    First = "first script", "The script that DHCP names.";
    Script = "script", "The script of the machine.";
    Kernel = "kernel", "The kernel, to its first byte.";
    Initrd = "initrd", "The initial RAM disk, to its first byte.";
    Answers = "preseed", "The installer's answers: preseed or kickstart.";
    TakeOver = "take-over", "The take-over.";
    Key = "key", "The head's signing key.";
    Package = "package", "A file of the mirror, to its first byte.";
    Report = "report", "Steps, heartbeats, logs, failures, the end.";
    Gate = "write gate", "The write gate.";
    Late = "late script", "The end of the installation, with its secrets.";
    Home = "call home", "The call home of the installed system.";
    Packages = "package list", "The installed system's list of packages.";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The figures of one kind of request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The kind.
    pub request: &'static str,
    /// Requests that were answered.
    pub count: usize,
    /// The median time until the answer began, in milliseconds.
    pub p50_ms: f64,
    /// The time that 99 of 100 did not exceed.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// What came, in bytes.
    pub bytes: u64,
    /// How often it was asked again, because no answer came in the client's own time.
    pub repeated: u64,
    /// How often the client gave up.
    pub starved: u64,
    /// Answers with a status of 500 or more.
    pub errors: u64,
}

#[derive(Debug, Default)]
struct Samples {
    /// Microseconds.
    took: Vec<u32>,
    bytes: u64,
    repeated: u64,
    starved: u64,
    errors: u64,
}

/// All that was measured. Shared by all machines.
#[derive(Debug, Default)]
pub struct Measures(Mutex<BTreeMap<Kind, Samples>>);

impl Measures {
    fn with(&self, kind: Kind, change: impl FnOnce(&mut Samples)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default());
    }

    /// An answer began after this time.
    pub fn took(&self, kind: Kind, time: Duration) {
        self.with(kind, |own| own.took.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX)));
    }

    /// So many bytes came.
    pub fn bytes(&self, kind: Kind, count: usize) {
        self.with(kind, |own| own.bytes += count as u64);
    }

    /// It was asked, once more if `again`.
    pub fn again(&self, kind: Kind, again: bool) {
        if again {
            self.with(kind, |own| own.repeated += 1);
        }
    }

    /// The client gave up.
    pub fn starved(&self, kind: Kind) {
        self.with(kind, |own| own.starved += 1);
    }

    /// An answer had this status.
    pub fn status(&self, kind: Kind, status: u16) {
        if status >= 500 {
            self.with(kind, |own| own.errors += 1);
        }
    }

    /// Takes what was measured out.
    pub fn taken(&self) -> Self {
        Self(Mutex::new(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))))
    }

    /// The figures of every kind that was asked.
    pub fn figures(&self) -> Vec<Figures> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(kind, samples)| figures(*kind, samples)).collect()
    }
}

fn figures(kind: Kind, samples: &Samples) -> Figures {
    let mut took = samples.took.clone();
    took.sort_unstable();
    Figures {
        request: kind.name(),
        count: took.len(),
        p50_ms: percentile(&took, 50),
        p99_ms: percentile(&took, 99),
        max_ms: percentile(&took, 100),
        bytes: samples.bytes,
        repeated: samples.repeated,
        starved: samples.starved,
        errors: samples.errors,
    }
}

/// The smallest value that so many of a hundred do not exceed (nearest rank), in milliseconds.
fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0.0, |microseconds| f64::from(*microseconds) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let took: Vec<u32> = (1..=200).map(|n| n * 1000).collect();
        assert_eq!([50, 99, 100].map(|percent| percentile(&took, percent)), [100.0, 198.0, 200.0]);
        assert_eq!([50, 99].map(|percent| percentile(&[7000], percent)), [7.0, 7.0]);
        assert_eq!(percentile(&[], 99), 0.0);
    }
}
