//! A recipe and a source of packages, for tests.

use time::OffsetDateTime;

use super::debian::Suites;
use super::source::{Offer, PackageSource};
use crate::domain::image::{Recipe, User};
use crate::domain::mirror::PublishedSuite;
use crate::domain::node::Arch;

pub fn recipe() -> Recipe {
    Recipe {
        mirror: "debian-13".parse().unwrap(),
        suite: None,
        arch: Arch::Amd64,
        packages: vec!["openssh-server".to_owned()],
        kernel: "linux-image-amd64".to_owned(),
        time_zone: None,
        users: Vec::new(),
        files: Vec::new(),
        enable: Default::default(),
        disable: Default::default(),
        commands: Vec::new(),
        keep: 3,
    }
}

pub fn user() -> User {
    User { name: "root".to_owned(), uid: None, groups: Vec::new(), shell: None, password_hash: None, ssh_keys: Vec::new() }
}

pub fn source() -> PackageSource {
    PackageSource {
        mirror: "debian-13".parse().unwrap(),
        snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
        made: OffsetDateTime::UNIX_EPOCH,
        tree: "/tree".into(),
        offer: Offer::Debian(
            Suites::new(vec![PublishedSuite {
                suite: "trixie".to_owned(),
                codename: "trixie".to_owned(),
                components: vec!["main".to_owned()],
                rebuilt: true,
            }])
            .unwrap(),
        ),
        keyrings: vec![("kickctl.gpg".to_owned(), b"key".to_vec())],
        arch: Arch::Amd64,
    }
}
