//! Files that tell of vulnerabilities by source package: the JSON of Debian's security tracker, and Ubuntu's data base of security notices
//! (USN). Both are large, so that only what is asked for is kept.
//!
//! ```text
//! tracker  {"openssl": {"CVE-2026-1": {"releases": {"bookworm": {"fixed_version": "3.0.15-1~deb12u1", "urgency": "high"}}}}}
//! USN      {"6854-1": {"id": "6854-1", "title": ..., "cves": ["CVE-2026-1"], "timestamp": 1719396000.5,
//!                      "releases": {"noble": {"sources": {"openssl": {"version": "3.0.13-0ubuntu3.1"}}}}}}
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

/// The most that is read of such a file, bytes; Debian's has 70 MB.
pub const MAX_TRACKER: u64 = 1 << 30;

/// What a file says of one version of a source package.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notice {
    /// The notice's name, such as `USN-6854-1`; empty in a tracker, which has none.
    pub id: String,
    /// One line.
    pub title: String,
    /// Seconds since 1970.
    pub issued: Option<i64>,
    /// The source package.
    pub source: String,
    /// The version that has the fix.
    pub fixed: String,
    /// The vulnerabilities.
    pub cves: Vec<String>,
    /// Free text; empty if it is not told.
    pub urgency: String,
}

/// Reads what a file says of these source packages in a release, named by its code name.
///
/// # Errors
/// In words, if it is no JSON of either kind.
pub fn read(reader: impl Read, sources: &HashSet<&str>, codename: &str) -> Result<Vec<Notice>, String> {
    let mut json = serde_json::Deserializer::from_reader(reader.take(MAX_TRACKER));
    let mut notices = Vec::new();
    let wanted = Wanted { sources, codename, notices: &mut notices };
    wanted.deserialize(&mut json).map_err(|error| error.to_string())?;
    Ok(notices)
}

struct Wanted<'a> {
    sources: &'a HashSet<&'a str>,
    codename: &'a str,
    notices: &'a mut Vec<Notice>,
}

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("source packages with their vulnerabilities, or security notices")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if is_notice(&key) {
                let notice: Usn = map.next_value()?;
                self.notices.extend(notice.of(&key, self.sources, self.codename));
            } else if self.sources.contains(key.as_str()) {
                let entries: BTreeMap<String, Tracked> = map.next_value()?;
                self.notices.extend(entries.into_iter().filter_map(|(cve, tracked)| tracked.of(&key, cve, self.codename)));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// `6854-1`, `USN-6854-1`: no source package is called so.
fn is_notice(key: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    key.trim_start_matches("USN-").split_once('-').is_some_and(|(number, part)| digits(number) && digits(part))
}

#[derive(Deserialize)]
struct Tracked {
    #[serde(default)]
    releases: BTreeMap<String, TrackedRelease>,
}

#[derive(Deserialize)]
struct TrackedRelease {
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
}

impl Tracked {
    fn of(self, source: &str, cve: String, codename: &str) -> Option<Notice> {
        let release = self.releases.into_iter().find(|(name, _)| name == codename)?.1;
        // `0`: the release never had it.
        let fixed = release.fixed_version.filter(|version| version != "0")?;
        // `not yet assigned` is no urgency.
        let urgency = release.urgency.filter(|word| !word.contains(' ')).unwrap_or_default().trim_end_matches('*').to_owned();
        Some(Notice { source: source.to_owned(), fixed, cves: vec![cve], urgency, ..Notice::default() })
    }
}

#[derive(Deserialize)]
struct Usn {
    #[serde(default)]
    title: String,
    #[serde(default)]
    timestamp: f64,
    #[serde(default)]
    cves: Vec<String>,
    #[serde(default)]
    releases: BTreeMap<String, UsnRelease>,
}

#[derive(Default, Deserialize)]
struct UsnRelease {
    #[serde(default)]
    sources: BTreeMap<String, UsnSource>,
}

#[derive(Deserialize)]
struct UsnSource {
    version: String,
}

impl Usn {
    fn of(self, key: &str, sources: &HashSet<&str>, codename: &str) -> Vec<Notice> {
        let id = format!("USN-{}", key.trim_start_matches("USN-"));
        let issued = (self.timestamp > 0.0).then_some(self.timestamp as i64);
        let release = self.releases.into_iter().find(|(name, _)| name == codename).map(|(_, release)| release).unwrap_or_default();
        let wanted = release.sources.into_iter().filter(|(source, _)| sources.contains(source.as_str()));
        // Beside vulnerabilities there are addresses of bug reports.
        let cves: Vec<String> = self.cves.into_iter().filter(|cve| cve.starts_with("CVE-")).collect();
        let notice = |(source, found): (String, UsnSource)| Notice {
            id: id.clone(),
            title: self.title.clone(),
            issued,
            source,
            fixed: found.version,
            cves: cves.clone(),
            urgency: String::new(),
        };
        wanted.map(notice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_tells_fixed_versions_and_a_notice_its_name() {
        let text = r#"{"other": {"CVE-2026-9": {"releases": {"bookworm": {"fixed_version": "1"}}}},
          "tool": {"CVE-2026-1": {"scope": "local", "releases": {"bookworm": {"status": "resolved", "fixed_version": "1.2-3", "urgency": "high**"}}},
                   "CVE-2026-2": {"releases": {"bookworm": {"status": "open", "urgency": "not yet assigned"}}},
                   "CVE-2026-3": {"releases": {"bookworm": {"fixed_version": "0"}, "trixie": {"fixed_version": "2"}}}},
          "6854-1": {"id": "6854-1", "title": "tool vulnerability", "timestamp": 1719396000.5, "cves": ["CVE-2026-4", "https://bugs.example/1"],
                     "releases": {"bookworm": {"sources": {"tool": {"version": "1.2-4", "description": "a tool"}, "other": {"version": "9"}}}}}}"#;
        let notices = read(text.as_bytes(), &HashSet::from(["tool"]), "bookworm").unwrap();
        let tracked = Notice {
            source: "tool".into(),
            fixed: "1.2-3".into(),
            cves: vec!["CVE-2026-1".into()],
            urgency: "high".into(),
            ..Notice::default()
        };
        assert_eq!(notices[0], tracked);
        assert_eq!((notices[1].id.as_str(), notices[1].fixed.as_str(), notices[1].issued), ("USN-6854-1", "1.2-4", Some(1_719_396_000)));
        assert_eq!((notices[1].cves.as_slice(), notices.len()), (&["CVE-2026-4".to_owned()][..], 2));
        assert!(read(&b"[1]"[..], &HashSet::new(), "bookworm").unwrap_err().contains("source packages"));
        assert!(read(&b"{\"tool\": 1}"[..], &HashSet::from(["tool"]), "bookworm").is_err());
    }
}
