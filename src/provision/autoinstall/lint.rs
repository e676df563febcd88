//! Looks at a rendered autoinstall file as the installer will: YAML, with known keys, each of what it may hold.

use serde_yaml_ng::Value;

use super::schema::AUTOINSTALL;
use super::shape::{Misfit, check};
use super::storage::check_actions;
use crate::provision::preseed::Finding;

/// The first line of cloud-init's user data.
const CLOUD_CONFIG: &str = "#cloud-config";
/// The key that the installer's part stands under there, and may elsewhere.
const KEY: &str = "autoinstall";

/// Finds what is wrong in an autoinstall file: as cloud-init's user data (which begin with `#cloud-config`), or by itself.
pub fn lint(text: &str) -> Vec<Finding> {
    let whole: Value = match serde_yaml_ng::from_str(text) {
        Ok(whole) => whole,
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line()).max(1);
            return vec![Finding {
                line,
                problem: format!("is no YAML: {error}"),
                remedy: "text with special characters needs quotes".into(),
            }];
        }
    };
    let (mut path, mut found) = (vec![], vec![]);
    match (text.lines().next() == Some(CLOUD_CONFIG), whole.get(KEY)) {
        (_, Some(inner)) => {
            path.push(KEY.to_owned());
            look(inner, &mut path, &mut found);
        }
        (true, None) => {
            found.push(Misfit {
                path: vec![],
                problem: format!("`{KEY}` is missing"),
                remedy: format!("write `{KEY}:` and its keys below it"),
            });
        }
        (false, None) => look(&whole, &mut path, &mut found),
    }
    found.into_iter().map(|misfit| told(text, misfit)).collect()
}

fn look(autoinstall: &Value, path: &mut Vec<String>, found: &mut Vec<Misfit>) {
    check(autoinstall, AUTOINSTALL, path, found);
    if let Some(actions) = autoinstall.get("storage").and_then(|storage| storage.get("config")).and_then(Value::as_sequence) {
        path.extend(["storage".to_owned(), "config".to_owned()]);
        check_actions(actions, path, found);
    }
    // Someone has to be able to log in: a person, or whoever cloud-init makes.
    if autoinstall.is_mapping() && ["identity", "user-data"].iter().all(|key| autoinstall.get(*key).is_none()) {
        let path = path.first().filter(|first| *first == KEY).cloned().into_iter().collect();
        let problem = "neither `identity` nor `user-data` is there".to_owned();
        found.push(Misfit { path, problem, remedy: "the installer asks for one of them".to_owned() });
    }
}

fn told(text: &str, misfit: Misfit) -> Finding {
    let name = misfit.path.join(".");
    let problem = if name.is_empty() { misfit.problem } else { format!("`{name}`: {}", misfit.problem) };
    Finding { line: line_of(text, &misfit.path), problem, remedy: misfit.remedy }
}

/// The line in which the last of these keys stands that can be found, looking for one behind the other. An item of a list is found by counting
/// the dashes that are as far in as the first.
fn line_of(text: &str, path: &[String]) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    for key in path {
        let rest = lines.iter().enumerate().skip(at);
        let next = match key.parse::<usize>() {
            Ok(number) => {
                let mut dashes = rest.filter(|(_, line)| line.trim_start().starts_with("- "));
                let inset = |line: &str| line.len() - line.trim_start().len();
                let first = dashes.next().map(|(_, line)| inset(line));
                let mut alike =
                    lines.iter().enumerate().skip(at).filter(|(_, line)| line.trim_start().starts_with("- ") && Some(inset(line)) == first);
                alike.nth(number)
            }
            Err(_) => {
                let names = |line: &str| [format!("{key}:"), format!("\"{key}\":")].iter().any(|word| line.contains(word.as_str()));
                rest.into_iter().find(|(_, line)| names(line))
            }
        };
        match next {
            Some((line, _)) => at = line,
            None => break,
        }
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "version: 1\nuser-data:\n  users: []\nlocale: C.UTF-8\nrefresh-installer:\n  update: no\nstorage:\n  config:\n  \
                        - {type: disk, id: d, path: /dev/vda, ptable: gpt}\n  - {type: partition, id: p, device: d, size: -1}\n  \
                        - {type: format, id: f, volume: p, fstype: ext4}\n  - {type: mount, id: m, device: f, path: /}\n";

    #[test]
    fn what_the_installer_knows_passes() {
        assert_eq!(lint(GOOD), []);
        let inset: String = GOOD.lines().map(|line| format!("  {line}\n")).collect();
        assert_eq!(lint(&format!("#cloud-config\nautoinstall:\n{inset}")), []);
        assert_eq!(lint(&format!("autoinstall:\n{inset}")), []);
    }

    #[test]
    fn what_it_does_not_know_is_told_with_line_and_remedy() {
        for (from, to, line, told) in [
            ("version: 1", "version: 2", 1, "`version`: is not known write 1"),
            ("version: 1", "verson: 1", 1, "did you mean `version`?"),
            ("locale: C.UTF-8", "locale: 5", 4, "put it into quotes"),
            ("  update: no", "  update: maybe", 6, "neither true nor false"),
            ("  update: no", "  updat: no", 6, "did you mean `update`?"),
            ("device: d,", "device: x,", 10, "nothing before it is called `x`"),
            ("id: p,", "id: d,", 10, "another is called `d` too"),
            ("fstype: ext4", "fs: ext4", 11, "`fstype` is missing"),
            ("path: /}", "path: /home}", 8, "nothing is mounted as /"),
            ("ptable: gpt", "ptable: dos", 9, "one of gpt, msdos"),
            ("user-data:\n  users: []", "updates: never", 2, "one of security, all"),
            ("storage:", "early-commands: [5]\nstorage:", 7, "is no list of commands"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            let findings = lint(&bad);
            let hit = findings.iter().find(|finding| format!("{} {}", finding.problem, finding.remedy).contains(told));
            assert_eq!(hit.map(|finding| finding.line), Some(line), "{to}: {findings:?}");
        }
        assert!(lint("#cloud-config\npackages: []\n")[0].problem.contains("`autoinstall` is missing"));
        assert!(lint("version: 1\nlate-commands: [\n")[0].problem.contains("is no YAML"));
        assert!(lint("version: 1\n")[0].problem.contains("neither `identity` nor `user-data`"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(#cloud-config|autoinstall:|version: 1|storage:|config:|- \\{type: disk\\}|\n|  |- |: |.)*") {
            // A carriage return alone ends a line, too (YAML 1.2.2, section 5.4).
            let lines = 1 + text.chars().filter(|c| matches!(c, '\n' | '\r')).count();
            prop_assert!(lint(&text).iter().all(|finding| (1..=lines + 1).contains(&finding.line)));
        }
    }
}
