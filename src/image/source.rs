//! Where an image's packages come from, and the one seam between families of distributions: how a root is made of them. What comes after it is
//! the same for all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use time::OffsetDateTime;

use super::debian::{self, Suites};
use super::dnf::{self, Repositories};
use super::guest::Maker;
use super::room::Room;
use super::steps::Step;
use crate::domain::image::Recipe;
use crate::domain::mirror::PackageFormat;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::node::Arch;

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
    /// What is there.
    pub offer: Offer,
    /// The keys that it is signed with: name and bytes of each keyring file.
    pub keyrings: Vec<(String, Vec<u8>)>,
    /// The processors to take packages for.
    pub arch: Arch,
}

/// What a snapshot offers, by family.
#[derive(Clone, Debug, PartialEq)]
pub enum Offer {
    /// Suites of Debian and its kin: mmdebstrap installs.
    Debian(Suites),
    /// RPM repositories: dnf installs.
    Rpm(Repositories),
}

/// A file that names package sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcesFile {
    /// Where it is in an image, absolute.
    pub path: &'static str,
    /// What it holds.
    pub text: String,
}

/// What an image needs besides its recipe's packages, and what makes its initial RAM disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// All packages that a build names, those of the recipe among them.
    pub packages: Vec<String>,
    /// The maker of the initial RAM disk.
    pub maker: Maker,
}

/// What an image of this recipe needs.
pub fn needs(recipe: &Recipe, format: PackageFormat) -> Needs {
    let (needed, maker) = match format {
        PackageFormat::Deb => debian::needed(recipe),
        PackageFormat::Rpm => (dnf::NEEDED.to_vec(), Maker::Dracut),
    };
    let mut packages: Vec<String> = std::iter::once(recipe.kernel.clone()).chain(recipe.packages.iter().cloned()).collect();
    packages.extend(needed.into_iter().map(str::to_owned));
    packages.sort();
    packages.dedup();
    Needs { packages, maker }
}

impl PackageSource {
    /// The format of its packages.
    pub fn format(&self) -> PackageFormat {
        match self.offer {
            Offer::Debian(_) => PackageFormat::Deb,
            Offer::Rpm(_) => PackageFormat::Rpm,
        }
    }

    /// The program of the head that installs, and the package that has it.
    pub fn program(&self) -> (&'static str, &'static str) {
        match self.offer {
            Offer::Debian(_) => debian::PROGRAM,
            Offer::Rpm(_) => dnf::PROGRAM,
        }
    }

    /// Where the image keeps the keys of its package sources.
    pub fn keys_folder(&self) -> &'static str {
        match self.offer {
            Offer::Debian(_) => debian::KEYS,
            Offer::Rpm(_) => dnf::KEYS,
        }
    }

    /// The image's own package sources: they work in builds and shells, where the snapshot is mounted.
    pub fn sources(&self) -> SourcesFile {
        match &self.offer {
            Offer::Debian(suites) => SourcesFile { path: debian::SOURCES, text: suites.stanzas(&self.keyrings) },
            Offer::Rpm(repositories) => SourcesFile { path: dnf::SOURCES, text: repositories.sections(dnf::SNAPSHOT, dnf::KEYS) },
        }
    }

    /// Files that lie in the build's `keys/` while [`PackageSource::install`] runs.
    pub fn aids(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = self.keyrings.clone();
        if let Offer::Rpm(repositories) = &self.offer {
            files.extend(repositories.aids());
        }
        files
    }

    /// Installs packages into the room's `root/`, which must be empty.
    pub fn install(&self, room: &Room<'_>, packages: &[String]) -> Command {
        match &self.offer {
            Offer::Debian(suites) => debian::install(room, packages, &suites.lines(&self.keyrings, self.arch), suites.first(), self.arch),
            Offer::Rpm(_) => dnf::install(room, packages, self.arch),
        }
    }

    /// What is to be done inside once packages and files are there, before what the recipe asks for.
    pub fn settle(&self) -> Option<Step> {
        match self.offer {
            Offer::Debian(_) => None,
            Offer::Rpm(_) => Some(Step { name: "settling the list of packages".to_owned(), script: dnf::SETTLE.to_owned() }),
        }
    }
}

/// The package sources of an image's root, with the snapshot of a build replaced by an archive that a running node can reach. None if the
/// image names no snapshot: a site's own sources stay as they are.
pub fn served_at(root: &Path, archive: &str) -> Option<SourcesFile> {
    [(debian::SOURCES, debian::SNAPSHOT), (dnf::SOURCES, dnf::SNAPSHOT)].into_iter().find_map(|(path, built_from)| {
        let file = root.join(path.trim_start_matches('/'));
        fs::symlink_metadata(&file).ok().filter(|file| file.is_file() && file.len() <= MOST_SOURCES)?;
        let text = fs::read_to_string(&file).ok()?;
        text.contains(built_from).then(|| SourcesFile { path, text: text.replace(built_from, archive) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixture;

    #[test]
    fn every_image_gets_what_it_needs_to_boot_once() {
        let mut recipe = fixture::recipe();
        recipe.packages = vec!["udev".to_owned(), "htop".to_owned()];
        let needs = needs(&recipe, PackageFormat::Deb);
        assert_eq!(needs.packages.iter().filter(|name| *name == "udev").count(), 1);
        assert!(["htop", "linux-image-amd64", "initramfs-tools"].iter().all(|name| needs.packages.contains(&(*name).to_owned())));
        assert_eq!(needs.maker, Maker::InitramfsTools);
    }

    #[test]
    fn dracut_makes_the_initial_ram_disk_of_rpm_images_and_of_those_that_name_it() {
        let mut recipe = fixture::recipe();
        assert_eq!(needs(&recipe, PackageFormat::Rpm).maker, Maker::Dracut);
        recipe.packages = vec!["dracut".to_owned()];
        let needs = needs(&recipe, PackageFormat::Deb);
        let has = |name: &str| needs.packages.iter().any(|package| package == name);
        assert!(needs.maker == Maker::Dracut && has("dracut-network") && has("curl") && !has("initramfs-tools"), "{needs:?}");
    }

    #[test]
    fn a_running_node_takes_its_packages_from_the_head_unless_the_image_says_otherwise() {
        let root = tempfile::TempDir::new().unwrap();
        let served = || served_at(root.path(), "http://10.0.0.1:8080/mirror/m").map(|file| (file.path, file.text));
        assert_eq!(served(), None);
        let repositories = root.path().join("etc/yum.repos.d/kickctl.repo");
        fs::create_dir_all(repositories.parent().unwrap()).unwrap();
        fs::write(&repositories, "[base]\nbaseurl=file:///run/kickctl/mirror/base\n").unwrap();
        let text = "[base]\nbaseurl=http://10.0.0.1:8080/mirror/m/base\n".to_owned();
        assert_eq!(served().unwrap(), ("/etc/yum.repos.d/kickctl.repo", text));
        let file = root.path().join("etc/apt/sources.list.d/kickctl.sources");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::remove_file(&repositories).unwrap();
        fs::write(&file, "Types: deb\nURIs: file:/run/kickctl/mirror\nSuites: trixie\n").unwrap();
        assert_eq!(served().unwrap().1, "Types: deb\nURIs: http://10.0.0.1:8080/mirror/m\nSuites: trixie\n");
        fs::write(&file, "Types: deb\nURIs: http://site.example/debian\nSuites: trixie\n").unwrap();
        assert_eq!(served(), None);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert_eq!(served(), None);
    }
}
