//! Which of a mirror's sources bring updates: a refresh asks these only, and these name the advisories of a Debian archive.

use super::{DebianMirror, RpmMirror};

impl DebianMirror {
    /// For each suite, in the order of the definition: true if it brings updates. `updates` of a source says so; otherwise names do:
    /// `trixie-security`, `bookworm-updates`, `stretch/updates`.
    pub fn update_suites(&self) -> Vec<bool> {
        let of = |source: &super::DebianSource| {
            let said = source.updates;
            source.suites.iter().map(move |suite| said.unwrap_or_else(|| is_updates(suite))).collect::<Vec<_>>()
        };
        self.sources.iter().flat_map(of).collect()
    }

    /// The suites that a refresh asks for: those with updates, all where none has.
    pub fn refreshed(&self) -> Vec<bool> {
        or_all(self.update_suites())
    }
}

impl RpmMirror {
    /// The repositories that a refresh asks for: those that `updates` or their name says (`updates`, `core-updates`); all where none does, since
    /// most distributions publish updates where the packages were.
    pub fn refreshed(&self) -> Vec<bool> {
        or_all(self.repositories.iter().map(|repository| repository.updates.unwrap_or_else(|| is_updates(&repository.name))).collect())
    }
}

/// True if a suite or repository of this name brings updates about security.
pub fn is_security(name: &str) -> bool {
    // Debian's security archive had `stretch/updates` and before.
    words(name).any(|word| word == "security") || name.ends_with("/updates")
}

/// True if a suite or repository of this name brings updates.
pub fn is_updates(name: &str) -> bool {
    words(name).any(|word| word == "updates" || word == "security")
}

fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(['-', '_', '.', '/']).map(str::to_ascii_lowercase)
}

fn or_all(found: Vec<bool>) -> Vec<bool> {
    if found.contains(&true) { found } else { vec![true; found.len()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_brings_updates() {
        for (name, updates, security) in [
            ("trixie", false, false),
            ("bookworm-updates", true, false),
            ("bookworm-security", true, true),
            ("stretch/updates", true, true),
            ("noble-backports", false, false),
            ("Updates", true, false),
            ("BaseOS", false, false),
        ] {
            assert_eq!((is_updates(name), is_security(name)), (updates, security), "{name}");
        }
        assert_eq!(or_all(vec![false, false]), [true, true]);
        assert_eq!(or_all(vec![false, true]), [false, true]);
    }
}
