//! Folding names back into a node set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::name::NodeName;
use crate::domain::natural;

/// Folds names into a node set that expands to the same names: `node01`, `node02`, `node04` -> `node[01-02,04]`.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a NodeName>) -> String {
    let names: BTreeSet<&str> = names.into_iter().map(NodeName::as_str).collect();
    let mut patterns: BTreeSet<Vec<Part>> = names.into_iter().map(parts).collect();
    let dimensions = patterns.iter().map(Vec::len).max().unwrap_or(0);
    // From the right: `rack1n[01-20]` and `rack2n[01-20]` must be whole before they can become `rack[1-2]n[01-20]`.
    for dimension in (0..dimensions).rev() {
        patterns = fold_at(patterns, dimension);
    }
    let mut folded: Vec<String> = patterns.iter().map(|parts| parts.iter().map(Part::to_string).collect()).collect();
    folded.sort_by(|a, b| natural::compare(&a.replace('[', ""), &b.replace('[', "")).then_with(|| a.cmp(b)));
    folded.join(",")
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    /// Number texts, sorted by length and value.
    Numbers(Vec<(usize, u64)>),
}

/// Merges the patterns that differ in nothing but their numbers at `dimension`.
fn fold_at(patterns: BTreeSet<Vec<Part>>, dimension: usize) -> BTreeSet<Vec<Part>> {
    let mut merged: BTreeMap<Vec<Part>, Vec<(usize, u64)>> = BTreeMap::new();
    let mut folded = BTreeSet::new();
    for mut pattern in patterns {
        match pattern.get_mut(dimension) {
            Some(Part::Numbers(numbers)) => {
                let numbers = std::mem::take(numbers);
                merged.entry(pattern).or_default().extend(numbers);
            }
            _ => drop(folded.insert(pattern)),
        }
    }
    folded.extend(merged.into_iter().map(|(mut pattern, mut numbers)| {
        numbers.sort_unstable();
        pattern[dimension] = Part::Numbers(numbers);
        pattern
    }));
    folded
}

/// Splits a name into text and numbers; runs of more than 18 digits are text.
fn parts(name: &str) -> Vec<Part> {
    let mut parts = vec![];
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        parts.push(match run.parse() {
            Ok(value) if digits && run.len() <= 18 => Part::Numbers(vec![(run.len(), value)]),
            _ => Part::Text(run.to_owned()),
        });
        rest = after;
    }
    parts
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = match self {
            Self::Text(text) => return f.write_str(text),
            Self::Numbers(numbers) => numbers,
        };
        if let [(width, value)] = numbers.as_slice() {
            return write!(f, "{value:0width$}");
        }
        let mut ranges: Vec<((usize, u64), (usize, u64))> = vec![];
        for &number in numbers {
            match ranges.last_mut() {
                Some((_, last)) if follows(*last, number) => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        let show = |&((width, first), (_, last)): &((usize, u64), (usize, u64))| match first == last {
            true => format!("{first:0width$}"),
            false => format!("{first:0width$}-{last:0width$}"),
        };
        write!(f, "[{}]", ranges.iter().map(show).collect::<Vec<_>>().join(","))
    }
}

/// True if `next` continues a range: same width, or one digit more where counting up needs it (9 to 10, 099 to 100 not).
fn follows((width, value): (usize, u64), next: (usize, u64)) -> bool {
    next.1 == value + 1 && next.0 == width.max(next.1.to_string().len())
}
