//! Which packages belong to module streams, and how old their streams' versions are. modules.yaml itself is carried as it is.

use std::collections::{BTreeMap, HashMap};

use crate::repo::rpm::modules::{ModulesError, parse};

/// Packages of module streams, as `name-epoch:version-release.arch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// How many newer versions their stream has; the least, where several versions hold one.
    newer: HashMap<String, usize>,
}

impl Artifacts {
    /// Of a modules.yaml.
    ///
    /// # Errors
    /// If it does not read.
    pub fn of(text: &[u8]) -> Result<Self, ModulesError> {
        let mut streams: BTreeMap<[String; 3], BTreeMap<u64, Vec<String>>> = BTreeMap::new();
        for module in parse(text)? {
            if let Some(stream) = module.stream() {
                let key = [&stream.name, &stream.stream, &stream.arch].map(Clone::clone);
                streams.entry(key).or_default().entry(stream.version).or_default().extend(stream.artifacts.iter().cloned());
            }
        }
        let mut artifacts = Self::default();
        for versions in streams.into_values() {
            for (newer, rpms) in versions.into_values().rev().enumerate() {
                for rpm in rpms {
                    let held = artifacts.newer.entry(rpm).or_insert(newer);
                    *held = newer.min(*held);
                }
            }
        }
        Ok(artifacts)
    }

    /// True if a package belongs to any stream.
    pub fn contains(&self, nevra: &str) -> bool {
        self.newer.contains_key(nevra)
    }

    /// True if a package belongs to one of the `newest` last versions of its stream.
    pub fn is_latest(&self, nevra: &str, newest: usize) -> bool {
        self.newer.get(nevra).is_some_and(|newer| *newer < newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_version_of_each_stream_is_told_from_older_ones() {
        let stream = |version: u64, rpms: &str| {
            format!(
                "---\ndocument: modulemd\nversion: 2\ndata:\n  name: perl\n  stream: 5.26\n  version: {version}\n  context: a\n  arch: x86_64\n  \
                 artifacts:\n    rpms: [{rpms}]\n...\n"
            )
        };
        let text = format!(
            "{}{}",
            stream(1, "perl-0:5.26.1-1.x86_64, both-0:1-1.noarch"),
            stream(20, "perl-0:5.26.2-1.x86_64, both-0:1-1.noarch")
        );
        let artifacts = Artifacts::of(text.as_bytes()).unwrap();
        assert!(artifacts.contains("perl-0:5.26.1-1.x86_64") && !artifacts.is_latest("perl-0:5.26.1-1.x86_64", 1));
        assert!(artifacts.is_latest("perl-0:5.26.1-1.x86_64", 2) && artifacts.is_latest("perl-0:5.26.2-1.x86_64", 1));
        assert!(artifacts.is_latest("both-0:1-1.noarch", 1) && !artifacts.contains("bash-0:5-1.x86_64"));
    }
}
