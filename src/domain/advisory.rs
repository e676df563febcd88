//! Advisories (errata): what was fixed, how grave it was, in which packages.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How grave. Distributions write free text; this is what it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// `critical`; in Debian's changelogs also `emergency`.
    Critical,
    /// `important`, `high`.
    Important,
    /// `moderate`, `medium`.
    Moderate,
    /// `low`, `negligible`, `minor`, `unimportant`.
    Low,
    /// Nobody says, or a word that is none of these.
    None,
}

impl Severity {
    const ALL: [(Self, &'static [&'static str]); 5] = [
        (Self::Critical, &["critical", "emergency"]),
        (Self::Important, &["important", "high"]),
        (Self::Moderate, &["moderate", "medium"]),
        (Self::Low, &["low", "negligible", "minor", "unimportant"]),
        (Self::None, &["none"]),
    ];

    /// What a word of a distribution means.
    pub fn of(word: &str) -> Self {
        let word = word.trim().to_ascii_lowercase();
        Self::ALL.iter().find(|(_, words)| words.contains(&word.as_str())).map_or(Self::None, |(severity, _)| *severity)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Self::ALL.iter().find(|(severity, _)| severity == self).map_or(&["none"][..], |(_, words)| words);
        f.pad(words[0])
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Self::of(text) {
            Self::None if text != "none" => Err(format!("`{text}` is no severity: critical, important, moderate, low or none")),
            severity => Ok(severity),
        }
    }
}

/// An advisory, as it concerns a mirror's snapshot or a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// Such as `RLSA-2024:1234`; in Debian, where security suites name none, source package and version: `openssl 3.0.15-1~deb12u1`.
    pub id: String,
    /// `security`, `bugfix`, `enhancement`, or what the distribution calls it.
    pub kind: String,
    /// How grave.
    pub severity: Severity,
    /// The distribution's own word for it: a severity, or a changelog's urgency. Empty if it says nothing.
    pub rating: String,
    /// One line; empty if there is none.
    pub title: String,
    /// When it was issued.
    #[serde(with = "time::serde::rfc3339::option")]
    pub issued: Option<OffsetDateTime>,
    /// The repository or suite that has it.
    pub source: String,
    /// The vulnerabilities that it is about, in order.
    pub cves: Vec<String>,
    /// The node has to be restarted afterwards.
    pub reboot: bool,
    /// The packages with the fix.
    pub packages: Vec<Fix>,
}

impl Advisory {
    /// True if it is about security.
    pub fn is_security(&self) -> bool {
        self.kind == "security"
    }
}

/// A package with a fix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fix {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// The version that lacks the fix; `None` where nothing is compared.
    pub before: Option<String>,
    /// The version that has it.
    pub after: String,
}

/// How many advisories there are of each severity; those that are not about security under `other`.
pub fn count(advisories: &[Advisory]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for advisory in advisories {
        let key = if advisory.is_security() { advisory.severity.to_string() } else { "other".to_owned() };
        *counts.entry(key).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_distributions_come_to_a_severity() {
        let cases = [("Important", Severity::Important), ("HIGH ", Severity::Important), ("emergency", Severity::Critical)];
        for (word, expected) in cases.into_iter().chain([("medium", Severity::Moderate), ("odd", Severity::None), ("", Severity::None)]) {
            assert_eq!(Severity::of(word), expected, "{word}");
        }
        assert_eq!("critical".parse(), Ok(Severity::Critical));
        assert!("grave".parse::<Severity>().is_err());
        assert_eq!(Severity::Moderate.to_string(), "moderate");
    }
}
