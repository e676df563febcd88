//! Where an image's packages come from: a mirror's snapshot, as apt and mmdebstrap name it.

use std::fs;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::room::{MIRROR, MIRROR_INSIDE};
use crate::domain::mirror::PublishedSuite;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::node::Arch;

/// Where an image names its package sources.
pub const SOURCES: &str = "/etc/apt/sources.list.d/kickctl.sources";

/// The most that is read of an image's sources.
const MOST_SOURCES: u64 = 64 * 1024;

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

/// The package sources of an image's root, with the snapshot of a build replaced by an archive that a running node can reach. None if the
/// image names no snapshot: a site's own sources stay as they are.
pub fn served_at(root: &Path, archive: &str) -> Option<String> {
    let path = root.join(SOURCES.trim_start_matches('/'));
    let file = fs::symlink_metadata(&path).ok().filter(|file| file.is_file() && file.len() <= MOST_SOURCES);
    let text = file.and_then(|_| fs::read_to_string(&path).ok())?;
    let built_from = format!("file:{MIRROR_INSIDE}");
    text.contains(&built_from).then(|| text.replace(&built_from, archive))
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

    #[test]
    fn a_running_node_takes_its_packages_from_the_head_unless_the_image_says_otherwise() {
        let root = tempfile::TempDir::new().unwrap();
        let file = root.path().join("etc/apt/sources.list.d/kickctl.sources");
        let served = || served_at(root.path(), "http://10.0.0.1:8080/mirror/debian-13");
        assert_eq!(served(), None);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "Types: deb\nURIs: file:/run/kickctl/mirror\nSuites: trixie\n").unwrap();
        assert_eq!(served().unwrap(), "Types: deb\nURIs: http://10.0.0.1:8080/mirror/debian-13\nSuites: trixie\n");
        fs::write(&file, "Types: deb\nURIs: http://site.example/debian\nSuites: trixie\n").unwrap();
        assert_eq!(served(), None);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert_eq!(served(), None);
    }
}
