//! Looks at a rendered preseed as the installer will: every line a known question with its type, before any node reboots for it.

use std::collections::BTreeMap;

/// A line that is wrong, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// From 1, in the rendered file.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

const TYPES: [&str; 9] = ["string", "boolean", "select", "multiselect", "password", "note", "text", "error", "seen"];

/// Longest value of one answer: cdebconf reads lines of any length, but nothing sane is longer.
const MAX_LINE: usize = 16 * 1024;

/// The questions of the Debian installer and their types.
fn questions() -> BTreeMap<&'static str, &'static str> {
    include_str!("questions.txt").lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
}

/// Finds what is wrong in a preseed: lines as `debconf-set-selections` takes them apart (`owner question type value`, comments, `\` at
/// the end goes on). Questions of the installer (`d-i`) must be known and of their type; those of packages only well-formed.
pub fn lint(text: &str) -> Vec<Finding> {
    let questions = questions();
    logical_lines(text)
        .into_iter()
        .filter_map(|(line, text)| check(&questions, &text).map(|(problem, remedy)| Finding { line, problem, remedy }))
        .collect()
}

/// Lines with their continuations joined, numbered by where they begin.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        if !open && (bare.is_empty() || bare.starts_with('#')) {
            continue;
        }
        let (part, goes_on) = bare.strip_suffix('\\').map_or((bare, false), |part| (part.trim_end(), true));
        match lines.last_mut().filter(|_| open) {
            Some((_, joined)) => {
                joined.push(' ');
                joined.push_str(part);
            }
            None => lines.push((at + 1, part.to_owned())),
        }
        open = goes_on;
    }
    lines
}

fn check(questions: &BTreeMap<&str, &str>, line: &str) -> Option<(String, String)> {
    let wrong = |problem: String, remedy: String| Some((problem, remedy));
    if line.len() > MAX_LINE {
        return wrong(format!("{} bytes in one line", line.len()), format!("at most {MAX_LINE} are read"));
    }
    let mut words = line.splitn(4, char::is_whitespace).filter(|word| !word.is_empty());
    let (Some(owner), Some(question), Some(kind)) = (words.next(), words.next(), words.next()) else {
        return wrong(format!("`{}` is no answer", shown(line)), "write: owner question type value".into());
    };
    let value = words.next().unwrap_or_default().trim();
    if !TYPES.contains(&kind) {
        return wrong(format!("`{kind}` is no type"), format!("types are {}", TYPES.join(", ")));
    }
    if kind == "boolean" && !matches!(value, "true" | "false") {
        return wrong(format!("`{}` is not the value of a boolean", shown(value)), "write true or false".into());
    }
    if owner != "d-i" || kind == "seen" {
        return None;
    }
    let Some(declared) = declared(questions, question) else {
        let near = nearest(questions, question);
        return wrong(
            format!("the installer has no question `{question}`"),
            near.map_or_else(
                || "a package's own question begins with the package's name, not with d-i".into(),
                |near| format!("did you mean `{near}`?"),
            ),
        );
    };
    // A plain string is what people write for a select, and what the installer takes for it.
    let fits = kind == declared || (kind == "string" && matches!(declared, "select" | "multiselect" | "password"));
    if fits {
        None
    } else {
        wrong(format!("`{question}` is a {declared}, not a {kind}"), format!("write: d-i {question} {declared} VALUE"))
    }
}

fn declared<'a>(questions: &BTreeMap<&str, &'a str>, question: &str) -> Option<&'a str> {
    questions.get(question).copied().or_else(|| local_repository(question))
}

/// `apt-setup/local0/repository` and its like: numbered, so no template declares them.
fn local_repository(question: &str) -> Option<&'static str> {
    let (number, field) = question.strip_prefix("apt-setup/local")?.split_once('/')?;
    number.parse::<u8>().ok()?;
    match field {
        "repository" | "comment" | "key" | "options" => Some("string"),
        "source" => Some("boolean"),
        _ => None,
    }
}

fn nearest<'a>(questions: &BTreeMap<&'a str, &str>, question: &str) -> Option<&'a str> {
    questions
        .keys()
        .map(|known| (super::variables::distance(known, question), *known))
        .filter(|(distance, _)| *distance <= 4)
        .min()
        .map(|(_, known)| known)
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_installer_knows_passes() {
        let good = "# comment\n\nd-i debian-installer/locale string C.UTF-8\nd-i passwd/make-user boolean false\n\
                    d-i partman-auto/expert_recipe string a : \\\n  1 1 1 free \\\n .\nd-i apt-setup/local0/repository string http://x y main\n\
                    d-i mirror/http/proxy string\ntasksel tasksel/first multiselect\nd-i finish-install/reboot_in_progress note\npostfix postfix/x select y\n";
        assert_eq!(lint(good), []);
    }

    #[test]
    fn what_it_does_not_know_is_told_with_line_and_remedy() {
        let findings = lint(
            "d-i passwd/make-user boolean false\nd-i passwd/mak-user boolean false\nd-i passwd/make-user string false\nd-i a\nd-i passwd/make-user boolean maybe\nd-i passwd/make-user bool true\n",
        );
        let told: Vec<(usize, &str)> = findings.iter().map(|finding| (finding.line, finding.remedy.as_str())).collect();
        assert_eq!(told[0], (2, "did you mean `passwd/make-user`?"));
        assert_eq!(told[1].0, 3);
        assert!(findings[1].problem.contains("is a boolean, not a string"), "{:?}", findings[1]);
        assert_eq!((told[2].0, told[3].0, told[4].0), (4, 5, 6));
    }

    #[test]
    fn a_continued_line_is_told_by_where_it_begins() {
        let findings = lint("\nd-i partman-auto/expert_recip string a \\\n b \\\n c\nd-i passwd/make-user boolean true\n");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 2);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(d-i |passwd/make-user |boolean |\\\\\n|\n|#|.)*") {
            let lines = text.lines().count();
            prop_assert!(lint(&text).iter().all(|finding| (1..=lines).contains(&finding.line)));
        }
    }
}
