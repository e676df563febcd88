//! Where an image's packages come from: a mirror's snapshot, as apt and mmdebstrap name it.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::room::{MIRROR, MIRROR_INSIDE};
use crate::domain::mirror::PublishedSuite;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::node::Arch;

/// A snapshot to take packages from.
#[derive(Clone, Debug)]
pub struct PackageSource {
    /// The mirror.
    pub mirror: MirrorName,
    /// Its snapshot.
    pub snapshot: SnapshotId,
    /// When the snapshot was made: the time that is written wherever a build would write its own.
    pub made: OffsetDateTime,
    /// The snapshot's archive root.
    pub tree: PathBuf,
    /// The suites to take packages from; the first one tells which packages are essential. Never empty.
    pub suites: Vec<PublishedSuite>,
    /// The keys that the suites are signed with: name and bytes of each keyring file.
    pub keyrings: Vec<(String, Vec<u8>)>,
    /// The processors to take packages for.
    pub arch: Arch,
}

impl PackageSource {
    /// The suite that names the distribution.
    pub fn suite(&self) -> &str {
        self.suites.first().map_or("", |suite| suite.suite.as_str())
    }

    /// One-line entries of a sources.list for apt on the head; the keyrings lie in `keys`.
    pub fn lines(&self, keys: &str) -> Vec<String> {
        let rings: Vec<String> = self.keyrings.iter().map(|(name, _)| format!("{keys}/{name}")).collect();
        let line = |suite: &PublishedSuite| {
            let components = components(suite).join(" ");
            format!("deb [arch={} signed-by={}] copy://{MIRROR} {} {components}", self.arch.debian(), rings.join(","), suite.suite)
        };
        self.suites.iter().map(line).collect()
    }

    /// The sources of the image itself (deb822): they work in builds and shells, where the snapshot is mounted.
    pub fn stanzas(&self, keys: &str) -> String {
        let rings: Vec<String> = self.keyrings.iter().map(|(name, _)| format!("{keys}/{name}")).collect();
        let stanza = |suite: &PublishedSuite| {
            let components = components(suite).join(" ");
            let suite = &suite.suite;
            format!("Types: deb\nURIs: file:{MIRROR_INSIDE}\nSuites: {suite}\nComponents: {components}\nSigned-By: {}\n", rings.join(" "))
        };
        self.suites.iter().map(stanza).collect::<Vec<_>>().join("\n")
    }
}

/// The installer's own components (`main/debian-installer`) have no packages for a system.
fn components(suite: &PublishedSuite) -> Vec<&str> {
    suite.components.iter().map(String::as_str).filter(|component| !component.ends_with("/debian-installer")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_is_told_the_suites_their_keys_and_no_installer_components() {
        let source = PackageSource {
            mirror: "m".parse().unwrap(),
            snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
            made: OffsetDateTime::UNIX_EPOCH,
            tree: "/t".into(),
            suites: vec![PublishedSuite {
                suite: "trixie".to_owned(),
                codename: "trixie".to_owned(),
                components: vec!["main".to_owned(), "main/debian-installer".to_owned(), "contrib".to_owned()],
                rebuilt: true,
            }],
            keyrings: vec![("a.gpg".to_owned(), Vec::new()), ("b.asc".to_owned(), Vec::new())],
            arch: Arch::Amd64,
        };
        assert_eq!(source.lines("/k"), ["deb [arch=amd64 signed-by=/k/a.gpg,/k/b.asc] copy:///mnt/mirror trixie main contrib"]);
        let stanza = "Types: deb\nURIs: file:/run/kickctl/mirror\nSuites: trixie\nComponents: main contrib\nSigned-By: /k/a.gpg /k/b.asc\n";
        assert_eq!(source.stanzas("/k"), stanza);
    }
}
