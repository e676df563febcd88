//! A package's own changelog (deb-changelog(5)): which versions there were, how urgent each was, which vulnerabilities it names.

/// The most that is read of a changelog, bytes: the newest entries stand first.
pub const MAX_CHANGELOG: u64 = 1 << 20;
/// How many entries are kept.
const MOST_ENTRIES: usize = 200;
/// How many vulnerabilities are kept of one entry; a kernel's name hundreds.
const MOST_CVES: usize = 2000;

/// One version.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// The source package's version.
    pub version: String,
    /// `low`, `medium`, `high`, `emergency`, `critical`; empty if it is not told.
    pub urgency: String,
    /// `CVE-2026-1234`, in order, each once.
    pub cves: Vec<String>,
}

/// Reads a changelog. What is no changelog has no entries.
pub fn parse(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        if let Some(entry) = heading(line) {
            if entries.len() == MOST_ENTRIES {
                break;
            }
            entries.push(entry);
        } else if let Some(entry) = entries.last_mut() {
            for cve in cves(line) {
                if entry.cves.len() < MOST_CVES && !entry.cves.contains(&cve) {
                    entry.cves.push(cve);
                }
            }
        }
    }
    entries.iter_mut().for_each(|entry| entry.cves.sort());
    entries
}

/// `openssl (3.0.15-1~deb12u1) bookworm-security; urgency=medium`
fn heading(line: &str) -> Option<Entry> {
    let (source, rest) = line.split_once(" (")?;
    let good = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    let (version, rest) = rest.split_once(')')?;
    let (_, fields) = rest.split_once(';')?;
    let urgency = fields.split(',').filter_map(|field| field.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case("urgency"));
    // `urgency=high (security fix)`: comments were allowed once.
    let urgency = urgency.and_then(|(_, value)| value.split_whitespace().next()).unwrap_or_default().to_ascii_lowercase();
    (good(source) && good(version)).then(|| Entry { version: version.to_owned(), urgency, cves: Vec::new() })
}

/// The vulnerabilities that a text names.
pub fn cves(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("CVE-") {
        let rest = &text[at + 4..];
        let Some((year, number)) = rest.split_at_checked(4) else { continue };
        let Some(number) = number.strip_prefix('-').filter(|_| year.bytes().all(|byte| byte.is_ascii_digit())) else { continue };
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        if (4..=7).contains(&digits) {
            found.push(format!("CVE-{year}-{}", &number[..digits]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &str = "tool (2:1.2-3+deb12u2) bookworm-security; urgency=HIGH

  * Fix CVE-2026-12345 and CVE-2026-0001 (again CVE-2026-12345).
    Not one: CVE-26-1, CVE-2026-1, XCVE-.

 -- A <a@example.org>  Mon, 23 Nov 2026 10:00:00 +0000

tool (2:1.2-3) unstable; urgency=low (no hurry), binary-only=yes

  * First. CVE-2025-1111

 -- A <a@example.org>  Mon, 02 Nov 2026 10:00:00 +0000
";

    #[test]
    fn entries_are_told_apart_with_what_they_name() {
        let [newest, first] = parse(SAMPLE).try_into().unwrap();
        assert_eq!((newest.version.as_str(), newest.urgency.as_str()), ("2:1.2-3+deb12u2", "high"));
        assert_eq!(newest.cves, ["CVE-2026-0001", "CVE-2026-12345"]);
        assert_eq!((first.urgency.as_str(), first.cves.as_slice()), ("low", &["CVE-2025-1111".to_owned()][..]));
        assert!(parse("no changelog (at all)\nCVE-2026-1234").is_empty());
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "([a-z]{1,4} \\([0-9:~]{0,5}\\)[a-z ]{0,5};? ?urgency=|CVE-[0-9]{0,5}-?[0-9é]{0,8}|\n){0,30}") {
            let _ = parse(&noise);
        }
    }
}
