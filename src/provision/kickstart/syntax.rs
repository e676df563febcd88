//! The table of kickstart's commands and sections, `syntax.txt`, which `tests/lab/kickstart-syntax.py` makes.

use std::collections::BTreeMap;

use super::release::Release;

/// What the arguments of a command or section may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Whatever: nobody looks at them before they are used.
    Anything,
    /// Whatever, and they do nothing any more.
    Deprecated,
    /// These.
    These {
        /// At least one word that is no option.
        word_needed: bool,
        /// Options by name, with `--`.
        options: BTreeMap<&'static str, Value>,
    },
}

/// What an option takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// A value, as `--name=value` or in the next word.
    pub taken: bool,
    /// Which has to be a whole number.
    pub number: bool,
    /// Which has to be one of these, between commas; empty: anything.
    pub choices: &'static str,
    /// The option must be there.
    pub needed: bool,
}

/// The commands (`part`) and sections (`%pre`) of one release.
pub fn of(release: Release) -> BTreeMap<&'static str, Arguments> {
    let wanted = release.known().to_string();
    let rows = include_str!("syntax.txt").lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|line| {
        let mut columns = line.split('\t');
        let (name, releases, arguments) = (columns.next()?, columns.next()?, columns.next()?);
        releases.split(',').any(|release| release == wanted).then(|| (name, read(arguments)))
    })
    .collect()
}

fn read(arguments: &'static str) -> Arguments {
    match arguments {
        "anything" => Arguments::Anything,
        "deprecated" => Arguments::Deprecated,
        _ => Arguments::These {
            word_needed: arguments.starts_with("words=1") || arguments.starts_with("words=+"),
            options: arguments.split(' ').filter(|word| word.starts_with("--")).map(option).collect(),
        },
    }
}

/// `--size=#`, `--location={mbr,none}`, `--name=!`, `--grow`.
fn option(word: &'static str) -> (&'static str, Value) {
    let (word, needed) = word.strip_suffix('!').map_or((word, false), |word| (word, true));
    let Some((name, kind)) = word.split_once('=') else { return (word, Value { needed, ..Value::default() }) };
    let choices = kind.strip_prefix('{').and_then(|kind| kind.strip_suffix('}')).unwrap_or_default();
    (name, Value { taken: true, number: kind == "#", choices, needed })
}

#[cfg(test)]
mod tests {
    use super::super::release::KNOWN;
    use super::*;

    #[test]
    fn every_release_has_its_commands_and_sections() {
        for release in KNOWN {
            let table = of(release);
            for name in ["part", "bootloader", "url", "%pre", "%post", "%onerror", "%packages"] {
                assert!(matches!(table.get(name), Some(Arguments::These { .. })), "{release} {name}");
            }
        }
        assert!(!of(Release::Rhel(8)).contains_key("timesource") && of(Release::Rhel(9)).contains_key("timesource"));
        let Some(Arguments::These { word_needed, options }) = of(Release::Rhel(9)).get("part").cloned() else { panic!("part") };
        assert!(word_needed);
        assert_eq!(options["--size"], Value { taken: true, number: true, ..Value::default() });
        assert_eq!(options["--grow"], Value::default());
    }
}
