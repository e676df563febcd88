//! Roots of Debian and its kin: mmdebstrap installs the packages.

use std::process::Command;

use super::guest::Maker;
use super::room::{BUILD, MIRROR, MIRROR_INSIDE, Room};
use crate::domain::image::Recipe;
use crate::domain::mirror::PublishedSuite;
use crate::domain::node::Arch;

/// The program that installs.
pub const PROGRAM: (&str, &str) = ("mmdebstrap", "mmdebstrap");
/// Where an image names its package sources.
pub const SOURCES: &str = "/etc/apt/sources.list.d/kickctl.sources";
/// Where it keeps their keys.
pub const KEYS: &str = "/usr/share/keyrings";
/// How its package sources name the snapshot of a build ([`MIRROR_INSIDE`]).
pub const SNAPSHOT: &str = "file:/run/kickctl/mirror";

/// What every image needs to boot over the network, whatever its recipe says.
const NEEDED: [&str; 4] = ["systemd-sysv", "udev", "kmod", "iproute2"];

/// The packages that a recipe need not name, and what makes the initial RAM disk: dracut where the recipe names it, for the two exclude each other.
pub fn needed(recipe: &Recipe) -> (Vec<&'static str>, Maker) {
    let (own, maker): (&[&str], _) = if recipe.packages.iter().any(|name| name == "dracut") {
        (&["dracut", "dracut-network", "curl"], Maker::Dracut)
    } else {
        (&["initramfs-tools", "busybox"], Maker::InitramfsTools)
    };
    (NEEDED.iter().chain(own).copied().collect(), maker)
}

/// Suites to take packages from; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Suites {
    first: PublishedSuite,
    more: Vec<PublishedSuite>,
}

impl Suites {
    /// The first one tells which packages are essential. None if there is none.
    pub fn new(suites: Vec<PublishedSuite>) -> Option<Self> {
        let mut suites = suites.into_iter();
        Some(Self { first: suites.next()?, more: suites.collect() })
    }

    /// The suite that names the distribution.
    pub fn first(&self) -> &str {
        &self.first.suite
    }

    fn iter(&self) -> impl Iterator<Item = &PublishedSuite> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// One-line entries of a sources.list for apt on the head, which finds the keyrings in the build's `keys/`.
    pub fn lines(&self, keyrings: &[(String, Vec<u8>)], arch: Arch) -> Vec<String> {
        let rings = paths(keyrings, &format!("{BUILD}/keys")).join(",");
        let line = |suite: &PublishedSuite| {
            let components = components(suite).join(" ");
            format!("deb [arch={} signed-by={rings}] copy://{MIRROR} {} {components}", arch.debian(), suite.suite)
        };
        self.iter().map(line).collect()
    }

    /// The sources of the image itself (deb822).
    pub fn stanzas(&self, keyrings: &[(String, Vec<u8>)]) -> String {
        let rings = paths(keyrings, KEYS).join(" ");
        let stanza = |suite: &PublishedSuite| {
            let components = components(suite).join(" ");
            let suite = &suite.suite;
            format!("Types: deb\nURIs: file:{MIRROR_INSIDE}\nSuites: {suite}\nComponents: {components}\nSigned-By: {rings}\n")
        };
        self.iter().map(stanza).collect::<Vec<_>>().join("\n")
    }
}

fn paths(keyrings: &[(String, Vec<u8>)], folder: &str) -> Vec<String> {
    keyrings.iter().map(|(name, _)| format!("{folder}/{name}")).collect()
}

/// The installer's own components (`main/debian-installer`) have no packages for a system.
fn components(suite: &PublishedSuite) -> Vec<&str> {
    suite.components.iter().map(String::as_str).filter(|component| !component.ends_with("/debian-installer")).collect()
}

/// Installs packages into the room's `root/`, which must be empty. The keyrings of the source lie in the build's `keys/`.
pub fn install(room: &Room<'_>, packages: &[String], lines: &[String], suite: &str, arch: Arch) -> Command {
    let mut command = room.outside(PROGRAM.0);
    // Not with `important`: what is in an image is what its recipe names.
    command.args(["--mode=root", "--variant=minbase", "--format=directory", "--verbose"]);
    command.arg(format!("--architectures={}", arch.debian()));
    // A snapshot is as old as it is. Both files that these options end up in are removed with the caches.
    command.args(["--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=force-unsafe-io"]);
    // mmdebstrap copies the head's own.
    command.arg("--customize-hook=rm -f \"$1/etc/hostname\" \"$1/etc/resolv.conf\" && : >\"$1/etc/resolv.conf\"");
    command.arg(format!("--include={}", packages.join(",")));
    command.arg(suite).arg(format!("{BUILD}/root")).args(lines);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_is_told_the_suites_their_keys_and_no_installer_components() {
        let suites = Suites::new(vec![PublishedSuite {
            suite: "trixie".to_owned(),
            codename: "trixie".to_owned(),
            components: vec!["main".to_owned(), "main/debian-installer".to_owned(), "contrib".to_owned()],
            rebuilt: true,
        }]);
        let suites = suites.unwrap();
        let keyrings = [("a.gpg".to_owned(), Vec::new()), ("b.asc".to_owned(), Vec::new())];
        let line = "deb [arch=amd64 signed-by=/mnt/build/keys/a.gpg,/mnt/build/keys/b.asc] copy:///mnt/mirror trixie main contrib";
        assert_eq!(suites.lines(&keyrings, Arch::Amd64), [line]);
        let stanza = "Types: deb\nURIs: file:/run/kickctl/mirror\nSuites: trixie\nComponents: main contrib\n\
                      Signed-By: /usr/share/keyrings/a.gpg /usr/share/keyrings/b.asc\n";
        assert_eq!(suites.stanzas(&keyrings), stanza);
        assert!(stanza.contains(SNAPSHOT));
    }
}
