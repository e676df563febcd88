//! Looks at a rendered kickstart file as Anaconda's parser will: every command, option and section one that the release knows.

use std::collections::BTreeMap;

use super::release::Release;
use super::syntax::{self, Arguments, Value};
use crate::provision::preseed::Finding;
use crate::provision::variables::distance;

/// Most bytes of one line.
const MAX_LINE: usize = 16 * 1024;

/// Finds what is wrong in a kickstart file for a release. Scripts are not looked into, and an `%include` is not followed.
pub fn lint(text: &str, release: Release) -> Vec<Finding> {
    let table = syntax::of(release);
    let reader = Reader { release, table: &table };
    let mut findings = Vec::new();
    // The section that is open, and the line in which it began.
    let mut open: Option<(&str, usize)> = None;
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        let word = line.split_whitespace().next().unwrap_or_default();
        let problem = match open {
            Some(_) if word == "%end" => {
                open = None;
                None
            }
            Some(_) => None,
            None if word == "%end" => wrong("`%end` without a section", "take it out, or write the section's beginning"),
            None if word == "%include" || word == "%ksappend" || word.is_empty() || word.starts_with('#') => None,
            None => {
                if word.starts_with('%') {
                    open = Some((word, line_number));
                }
                reader.line(line)
            }
        };
        findings.extend(problem.map(|(problem, remedy)| Finding { line: line_number, problem, remedy }));
    }
    if let Some((section, line)) = open {
        findings.push(Finding { line, problem: format!("`{section}` has no end"), remedy: "close it with a line `%end`".into() });
    }
    findings
}

/// Problem and remedy.
type Wrong = Option<(String, String)>;

fn wrong(problem: impl Into<String>, remedy: impl Into<String>) -> Wrong {
    Some((problem.into(), remedy.into()))
}

struct Reader<'a> {
    release: Release,
    table: &'a BTreeMap<&'static str, Arguments>,
}

impl Reader<'_> {
    /// A command, or the first line of a section.
    fn line(&self, line: &str) -> Wrong {
        if line.len() > MAX_LINE {
            return wrong(format!("{} bytes in one line", line.len()), format!("at most {MAX_LINE} are read"));
        }
        let Some(words) = words(line) else { return wrong("a quote that is not closed", "close it, or write \\ before it") };
        let (name, arguments) = words.split_first()?;
        match self.table.get(name.as_str()) {
            Some(Arguments::Anything | Arguments::Deprecated) => None,
            Some(Arguments::These { word_needed, options }) => self.arguments(name, arguments, *word_needed, options),
            None => {
                let what = if name.starts_with('%') { "section" } else { "command" };
                let remedy = nearest(self.table.keys().copied(), name).map_or_else(
                    || format!("docs/profiles.md says what is looked up; kickctl knows the {what}s of {}", self.release.known()),
                    |near| format!("did you mean `{near}`?"),
                );
                wrong(format!("{} has no {what} `{}`", self.release, shown(name)), remedy)
            }
        }
    }

    fn arguments(&self, name: &str, arguments: &[String], word_needed: bool, options: &BTreeMap<&'static str, Value>) -> Wrong {
        let (mut seen, mut word_seen) = (Vec::new(), false);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if !argument.starts_with("--") {
                word_seen = true;
                continue;
            }
            let (option, inline) = argument.split_once('=').map_or((argument.as_str(), None), |(option, value)| (option, Some(value)));
            let Some(value) = options.get(option) else {
                let remedy = nearest(options.keys().copied(), option).map_or_else(
                    || format!("it has {}", options.keys().copied().collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return wrong(format!("`{name}` of {} has no option `{}`", self.release, shown(option)), remedy);
            };
            let given = if value.taken { inline.or_else(|| rest.next().map(String::as_str)) } else { inline };
            if let Some(problem) = misfit(option, *value, given) {
                return Some(problem);
            }
            seen.push(option);
        }
        let missing = options.iter().find(|(option, value)| value.needed && !seen.contains(option));
        if let Some((option, _)) = missing {
            return wrong(format!("`{name}` has no {option}="), format!("write: {name} {option}=VALUE"));
        }
        if word_needed && !word_seen {
            return wrong(format!("`{name}` says nothing"), format!("write: {name} VALUE"));
        }
        None
    }
}

fn misfit(option: &str, value: Value, given: Option<&str>) -> Wrong {
    match given {
        None if value.taken => wrong(format!("`{option}` has no value"), format!("write: {option}=VALUE")),
        Some(given) if !value.taken => wrong(format!("`{option}` takes no value, and has `{}`", shown(given)), format!("write: {option}")),
        Some(given) if value.number && given.parse::<i64>().is_err() => {
            wrong(format!("`{option}` is no whole number: `{}`", shown(given)), format!("write: {option}=NUMBER"))
        }
        Some(given) if !value.choices.is_empty() && !value.choices.split(',').any(|choice| choice == given) => {
            wrong(format!("`{option}` cannot be `{}`", shown(given)), format!("it is one of {}", value.choices.replace(',', ", ")))
        }
        _ => None,
    }
}

/// The words of a line as a shell takes them apart, comments left out; `None` if a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut characters = line.chars();
    let mut quote = None;
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(closing), c) if c == closing => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().push(characters.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_none() { Some(words) } else { None }
}

fn nearest<'a>(known: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    known.map(|known| (distance(known, word), known)).filter(|(distance, _)| *distance <= 3).min().map(|(_, known)| known)
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Vec<(usize, String, String)> {
        lint(text, Release::Rhel(9)).into_iter().map(|finding| (finding.line, finding.problem, finding.remedy)).collect()
    }

    #[test]
    fn what_the_installer_knows_passes() {
        let good = "# comment\n\ncmdline\nlang en_US.UTF-8 # here\npart / --fstype=ext4 --size 1500 --grow\nrepo --name=x --baseurl=http://h/x\n\
                    %include /tmp/disk.ks\nbootloader --append=\"a b\" --location=mbr\n%packages --retries=5\n@core\n-x\n%end\n\
                    %pre --interpreter=/bin/sh\npart %end bogus --x\n\"\n%end\nnetwork --bootproto=dhcp\n";
        assert_eq!(told(good), []);
    }

    #[test]
    fn what_it_does_not_know_is_told_with_line_and_remedy() {
        for (bad, problem, remedy) in [
            ("bootlader --location=mbr", "rhel9 has no command `bootlader`", "did you mean `bootloader`?"),
            ("part / --fsttype=ext4", "`part` of rhel9 has no option `--fsttype`", "did you mean `--fstype`?"),
            ("part / --size=big", "`--size` is no whole number: `big`", "--size=NUMBER"),
            ("part --size=5", "`part` says nothing", "part VALUE"),
            ("part / --grow=yes", "`--grow` takes no value", "--grow"),
            ("part / --size", "`--size` has no value", "--size=VALUE"),
            ("bootloader --location=nowhere", "cannot be `nowhere`", "mbr, partition"),
            ("repo --baseurl=http://x", "`repo` has no --name=", "repo --name=VALUE"),
            ("lang 'x", "a quote that is not closed", "close it"),
            ("%pakages\n%end", "rhel9 has no section `%pakages`", "did you mean `%packages`?"),
            ("%pre --nochroot\n%end", "`%pre` of rhel9 has no option `--nochroot`", "it has --erroronfail"),
            ("%end", "`%end` without a section", "take it out"),
            ("%post\nx", "`%post` has no end", "%end"),
        ] {
            let found = told(&format!("cmdline\n{bad}\n"));
            let [(2, told, done)] = found.as_slice() else { panic!("{bad}: {found:?}") };
            assert!(told.contains(problem) && done.contains(remedy), "{bad}: {told}: {done}");
        }
    }

    #[test]
    fn releases_differ() {
        let findings = |text: &str, release| lint(text, release).len();
        assert_eq!(findings("timesource --ntp-disable", Release::Rhel(8)), 1);
        assert_eq!(findings("timesource --ntp-disable", Release::Fedora(99)), 0);
        assert_eq!(findings("timezone --nontp Etc/UTC", Release::Rhel(10)), 1);
        assert_eq!(findings("%packages --exclude-weakdeps\n%end", Release::Rhel(8)), 1);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(part |--size|=|%pre|%end|%|\n|'|\"|\\\\|#|.)*") {
            let lines = text.lines().count();
            prop_assert!(lint(&text, Release::Rhel(9)).iter().all(|finding| (1..=lines).contains(&finding.line)));
        }
    }
}
