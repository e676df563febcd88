//! What follows a failure: one pure function of what has happened to the node so far.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Attempt, Class, Event, Failure, Gate, Stage, State};
use crate::domain::disk::Disk;

/// Most attempts of one order within [`WINDOW`], those that a person asked for counted too.
pub const MAX_ATTEMPTS: usize = 3;
/// The time that [`MAX_ATTEMPTS`] is about. A failure that is older is not tried again: too much may have changed since.
pub const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// How long to wait after the first, the second and any later failure of a series.
pub type Pauses = [Duration; 3];
/// The usual ones.
pub const PAUSES: Pauses = [Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(480)];

/// What follows a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same order once more, after this time.
    Retry {
        /// From now; zero if it is due.
        after: Duration,
    },
    /// The node runs its fallback profile.
    Fallback,
    /// Nothing was written, and the node has a disk that boots: it boots that and waits for a person.
    LocalDisk,
    /// It waits for a person.
    Held,
}

/// What follows a failure, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What follows.
    pub next: Next,
    /// Why, for people.
    pub why: String,
}

impl Verdict {
    /// What this makes of the failed attempt; `None` while it is to be tried again.
    pub fn event(&self) -> Option<Event> {
        let reason = self.why.clone();
        match self.next {
            Next::Retry { .. } => None,
            Next::Fallback => Some(Event::FellBack { reason }),
            Next::LocalDisk | Next::Held => Some(Event::Held { reason }),
        }
    }
}

/// Decides what follows the failure of `history[0]`, the newest of a node's attempts. `fallback`: the node's fallback profile could be
/// booted now. `pauses` is how long to wait before another try. `None` if that attempt has not failed, or what follows is decided already.
///
/// A changed profile, snapshot or machine begins a new series; nothing else does, neither a restart of the head nor a person's word.
pub fn next(history: &[Attempt], fallback: bool, pauses: &Pauses, now: OffsetDateTime) -> Option<Verdict> {
    let last = history.first()?;
    let State::Failed(failure) = &last.state else { return None };
    if failure.class == Class::Aborted {
        return None;
    }
    let failed_at = last.ended_at();
    let series: Vec<&Attempt> = history.iter().take_while(|earlier| same_series(last, earlier)).collect();
    let Some(why) = no_retry(failure, &series, failed_at, now) else {
        let failures = series.iter().filter(|attempt| attempt.state.failure().is_some()).count();
        let due = failed_at + jittered(pauses[failures.saturating_sub(1).min(pauses.len() - 1)], last.id);
        let after = Duration::try_from(due - now).unwrap_or(Duration::ZERO);
        let why = format!("attempt {} of at most {MAX_ATTEMPTS} in 24 h failed, and another try may succeed", recent(&series, now));
        return Some(Verdict { next: Next::Retry { after }, why });
    };
    let disk_boots = !failure.wrote && last_known_disk_boots(history);
    Some(match (disk_boots, fallback) {
        (true, _) => Verdict { next: Next::LocalDisk, why: format!("{why}; nothing was written, so it boots its local disk") },
        (false, true) => Verdict { next: Next::Fallback, why: format!("{why}; it runs its fallback profile") },
        (false, false) => Verdict { next: Next::Held, why: format!("{why}; there is no fallback profile that could be booted") },
    })
}

/// Why the order is not tried once more, if it is not.
fn no_retry(failure: &Failure, series: &[&Attempt], failed_at: OffsetDateTime, now: OffsetDateTime) -> Option<String> {
    let signature = failure.signature();
    let before = series.iter().skip(1).filter_map(|attempt| attempt.state.failure());
    if failure.stage == Stage::Finishing {
        Some("it was installed and did not call home: it is never installed again unasked".into())
    } else if failure.class == Class::Deterministic {
        Some("the same would happen again".into())
    } else if before.into_iter().any(|earlier| earlier.signature() == signature) {
        Some("it failed in the same way before".into())
    } else if recent(series, now) >= MAX_ATTEMPTS {
        Some(format!("there were {MAX_ATTEMPTS} attempts in 24 h"))
    } else if now - failed_at > WINDOW {
        Some("it failed more than 24 h ago".into())
    } else {
        None
    }
}

fn recent(series: &[&Attempt], now: OffsetDateTime) -> usize {
    series.iter().filter(|attempt| now - attempt.armed_at < WINDOW).count()
}

/// Two attempts of one series: the same order on the same machine, as far as that is known.
fn same_series(last: &Attempt, earlier: &Attempt) -> bool {
    let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    let (disks, disks_before) = (identities(&last.progress.disks), identities(&earlier.progress.disks));
    let other_disks = !disks.is_empty() && !disks_before.is_empty() && disks != disks_before;
    last.order == earlier.order && !differ(&last.progress.machine, &earlier.progress.machine) && !other_disks
}

fn identities(disks: &[Disk]) -> Vec<(&str, &str, u64)> {
    let mut identities: Vec<_> = disks.iter().map(|disk| (disk.serial.as_str(), disk.wwn.as_str(), disk.size)).collect();
    identities.sort_unstable();
    identities
}

/// Tells by the newest attempt that says anything about it whether the node's disks hold a system that boots.
fn last_known_disk_boots(history: &[Attempt]) -> bool {
    let known = |attempt: &Attempt| match &attempt.state {
        // A diskless node's says nothing about disks.
        _ if attempt.order.kind.is_diskless() => None,
        State::Verified => Some(true),
        State::Installing { gate: Gate::Open { .. }, .. } | State::Finishing { .. } => Some(false),
        state if state.may_have_written() => Some(false),
        _ if attempt.progress.disks.is_empty() => None,
        _ => Some(attempt.progress.disks.iter().any(Disk::may_boot)),
    };
    history.iter().find_map(known).unwrap_or(false)
}

/// Within a tenth of `pause`, earlier or later, so that a rack that failed together does not come back together. The same for one attempt
/// whenever it is asked: a restart of the head changes nothing.
fn jittered(pause: Duration, id: i64) -> Duration {
    // Knuth's multiplicative hash spreads neighbouring numbers.
    let spread = u32::try_from(id.unsigned_abs() & 0xffff_ffff).unwrap_or(0).wrapping_mul(2_654_435_761) >> 16;
    pause.mul_f64(0.9 + 0.2 * f64::from(spread) / 65_536.0)
}
