//! Attempts by stage: nodes that stand at the same place, in the same attempt, for the same reason share a line, so that hundreds can be looked at.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::text::{harmless, span};
use crate::app::AttemptSummary;
use crate::domain::nodeset::fold;

/// The titles of [`rows`].
pub const COLUMNS: [&str; 6] = ["nodes", "attempt", "state", "percent", "for", "why"];

/// The order of the stages, from the beginning to the ends.
const STAGES: [&str; 9] = ["armed", "booting", "starting", "installing", "finishing", "verified", "failed", "fallback", "held"];

/// What those on one line have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike<'a> {
    stage: usize,
    state: &'a str,
    attempt: u32,
    /// The failure's signature: the reasons of nodes that failed alike may differ in a number.
    why: Option<&'a str>,
}

impl<'a> Alike<'a> {
    fn of(attempt: &'a AttemptSummary) -> Self {
        let stage = attempt.state.split('/').next().unwrap_or_default();
        let signature = attempt.signature.as_ref().map(|signature| signature.as_str());
        Self {
            stage: STAGES.iter().position(|known| *known == stage).unwrap_or(STAGES.len()),
            state: &attempt.state,
            attempt: attempt.number,
            why: signature.or(attempt.why.as_deref()),
        }
    }
}

/// A line for all that are alike, by stage. `for` is the longest that one of them stands there.
pub fn rows(attempts: &[AttemptSummary], now: OffsetDateTime) -> Vec<Vec<String>> {
    let mut alike: BTreeMap<Alike<'_>, Vec<&AttemptSummary>> = BTreeMap::new();
    attempts.iter().for_each(|attempt| alike.entry(Alike::of(attempt)).or_default().push(attempt));
    let row = |(what, of): (Alike<'_>, Vec<&AttemptSummary>)| {
        let since = of.iter().map(|attempt| attempt.since).min().unwrap_or(now);
        let nodes = fold(of.iter().map(|attempt| &attempt.node));
        vec![
            if of.len() > 1 { format!("{nodes} ({})", of.len()) } else { nodes },
            what.attempt.to_string(),
            harmless(what.state),
            percent(&of),
            span(now - since),
            of.first().and_then(|attempt| attempt.why.as_deref()).map(harmless).unwrap_or_default(),
        ]
    };
    alike.into_iter().map(row).collect()
}

fn percent(of: &[&AttemptSummary]) -> String {
    let (least, most) = (of.iter().filter_map(|own| own.percent).min(), of.iter().filter_map(|own| own.percent).max());
    match (least, most) {
        (Some(least), Some(most)) if least < most => format!("{least}-{most} %"),
        (Some(one), _) => format!("{one} %"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::attempt::{Class, Failure, Stage};

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn summary(at: u32, state: &str, percent: Option<u8>, why: Option<&str>) -> AttemptSummary {
        let failure = |why: &str| Failure {
            stage: Stage::Installing,
            class: Class::Transient,
            reason: why.to_owned(),
            wrote: false,
            evidence: vec![],
        };
        AttemptSummary {
            id: i64::from(at),
            node: format!("node{at:03}").parse().unwrap(),
            number: 1 + u32::from(why.is_some()),
            state: state.to_owned(),
            over: false,
            percent,
            since: NOW - time::Duration::seconds(i64::from(at)),
            why: why.map(str::to_owned),
            class: None,
            signature: why.map(|why| failure(why).signature()),
            profile: "debian-13".parse().unwrap(),
            mirror: "debian-13".parse().unwrap(),
            snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
            image: None,
            version: None,
            armed_at: NOW,
        }
    }

    #[test]
    fn five_hundred_nodes_are_a_few_lines_by_stage() {
        let of = |at: u32| match at {
            1..=9 => summary(at, "held", None, Some(&format!("no progress for {at} s"))),
            10 => summary(at, "armed", None, None),
            11..=400 => summary(at, "installing/packages", Some(u8::try_from(at % 50).unwrap()), None),
            _ => summary(at, "booting/kernel", None, None),
        };
        let attempts: Vec<AttemptSummary> = (1..=500).map(of).collect();
        let expected = [
            ["node010", "1", "armed", "", "10 s", ""],
            ["node[401-500] (100)", "1", "booting/kernel", "", "8 min 20 s", ""],
            ["node[011-400] (390)", "1", "installing/packages", "0-49 %", "6 min 40 s", ""],
            ["node[001-009] (9)", "2", "held", "", "9 s", "no progress for 1 s"],
        ];
        assert_eq!(rows(&attempts, NOW), expected.map(|row| row.map(str::to_owned).to_vec()));
    }
}
