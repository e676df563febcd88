//! A context and a library for tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::context::{AttemptFacts, Context, HeadFacts, MirrorFacts, NetFacts, NodeFacts, Suite};
use super::hosts::{Host, Hosts};
use super::library::{Entry, Library, Template, digest_of};
use super::variables::{Settings, defaults};
use crate::domain::node::{Arch, Firmware};
use crate::domain::profile::{Installer, Profile};
use crate::domain::variables::{Layer, Variables, merge};

/// The shipped profiles, read from the source tree.
pub fn shipped() -> Library {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    Library::new(["base", "debian-13"].map(|name| {
        let folder = root.join(name);
        let mut files = BTreeMap::new();
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap());
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        entry(name, (name != "base").then_some("base"), &files)
    }))
}

/// A profile with these templates.
pub fn entry(name: &str, extends: Option<&str>, files: &[(&str, &str)]) -> Entry {
    let profile = Profile {
        name: name.parse().unwrap(),
        summary: name.into(),
        extends: extends.map(|name| name.parse().unwrap()),
        kind: None,
        mirror: None,
        image: None,
        variables: Variables::default(),
    };
    let template = |(file, text): &(&str, &str)| {
        (file.trim_end_matches(".hbs").to_owned(), Template { file: format!("profiles/{name}/{file}"), text: (*text).to_owned() })
    };
    Entry { profile, origin: "test".into(), templates: files.iter().map(template).collect(), digest: digest_of(files.iter().copied()) }
}

/// Settings from TOML over the defaults.
pub fn settings(toml: &str) -> Settings {
    let layer = Layer { name: "node node07".into(), variables: toml::from_str(toml).unwrap() };
    Settings::read(&merge(&[defaults(), layer])).unwrap()
}

/// A node about to be installed.
pub fn context(toml: &str, firmware: Firmware) -> Context {
    Context {
        kind: Installer::Preseed,
        node: NodeFacts {
            name: "node07".parse().unwrap(),
            address: Some([10, 0, 0, 7].into()),
            mac: Some("52:54:00:00:00:07".parse().unwrap()),
            arch: Arch::Amd64,
            firmware,
        },
        head: HeadFacts {
            name: "head".into(),
            url: "http://10.0.0.1:8080".into(),
            address: [10, 0, 0, 1].into(),
            port: 8080,
            syslog_port: 514,
        },
        net: NetFacts { domain: "cluster.test".into(), router: None, dns: vec![[10, 0, 0, 1].into()], ntp: vec![] },
        mirror: MirrorFacts {
            name: "debian-13".parse().unwrap(),
            snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
            host: "10.0.0.1:8080".into(),
            directory: "/snapshots/debian-13/20261121T045300Z-3f9a2c41".into(),
            published: "/mirror/debian-13".into(),
            suite: "trixie".into(),
            udeb_suite: "trixie".into(),
            components: vec!["main".into()],
            suites: vec![Suite { name: "trixie".into(), components: vec!["main".into()], signed_by_head: true }],
            repositories: vec![],
            tree: None,
            release: None,
            live: None,
        },
        attempt: AttemptFacts {
            id: 3,
            number: 1,
            profile: "debian-13".parse().unwrap(),
            boot_url: "http://10.0.0.1:8080/boot/3-00112233445566778899aabbccddeeff00112233".into(),
        },
        hosts: Arc::new(Hosts::new(
            "cluster.test",
            vec![
                Host { address: [10, 0, 0, 7].into(), name: "node07".into() },
                Host { address: [10, 0, 0, 8].into(), name: "node08".into() },
            ],
        )),
        hosts_listed: true,
        settings: settings(toml),
    }
}
