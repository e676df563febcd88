//! A node about to be installed, and the profiles that come with kickctl.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use kickctl::app::list_profiles::list_profiles;
use kickctl::domain::node::{Arch, Firmware};
use kickctl::domain::profile::Installer;
use kickctl::domain::variables::{Layer, merge};
use kickctl::provision::Settings;
use kickctl::provision::context::{AttemptFacts, Context, HeadFacts, MirrorFacts, NetFacts, NodeFacts, Secrets, Suite};
use kickctl::provision::hosts::{Host, Hosts};
use kickctl::provision::kickstart::Release;
use kickctl::provision::library::Library;
use kickctl::provision::render::Renderer;
use kickctl::provision::repositories::Repository;
use kickctl::sys::data_dir::DataDir;

pub const TOKEN: &str = "3-99887766554433221100ffeeddccbbaa99887766";

/// The shipped profiles.
pub fn library() -> Library {
    list_profiles(&DataDir::new("/nonexistent")).unwrap()
}

/// Settings from TOML over defaults and profile.
pub fn settings(toml: &str) -> Settings {
    settings_of("debian-13", toml)
}

fn settings_of(profile: &str, toml: &str) -> Settings {
    let mut layers = library().layers(&profile.parse().unwrap(), &BTreeMap::new(), None).unwrap();
    layers.push(Layer { name: "node node07".into(), variables: toml::from_str(toml).unwrap() });
    Settings::read(&merge(&layers)).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

/// The context of node07.
pub fn context(toml: &str, firmware: Firmware) -> Context {
    let suite = |name: &str, signed_by_head| Suite { name: name.into(), components: vec!["main".into()], signed_by_head };
    Context {
        kind: Installer::Preseed,
        node: NodeFacts {
            name: "node07".parse().unwrap(),
            address: Some(Ipv4Addr::new(10, 0, 0, 7)),
            mac: Some("52:54:00:00:00:07".parse().unwrap()),
            arch: Arch::Amd64,
            firmware,
        },
        head: HeadFacts {
            name: "head".into(),
            url: "http://10.0.0.1:8080".into(),
            address: Ipv4Addr::new(10, 0, 0, 1),
            port: 8080,
            syslog_port: 514,
        },
        net: NetFacts { domain: "cluster.test".into(), router: None, dns: vec![Ipv4Addr::new(10, 0, 0, 1)], ntp: vec![] },
        mirror: MirrorFacts {
            name: "debian-13".parse().unwrap(),
            snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
            host: "10.0.0.1:8080".into(),
            directory: "/snapshots/debian-13/20261121T045300Z-3f9a2c41".into(),
            published: "/mirror/debian-13".into(),
            suite: "trixie".into(),
            udeb_suite: "trixie".into(),
            components: vec!["main".into()],
            suites: vec![suite("trixie", true), suite("trixie-security", false)],
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
        hosts: Arc::new(Hosts::new("cluster.test", vec![Host { address: Ipv4Addr::new(10, 0, 0, 8), name: "node08".into() }])),
        hosts_listed: true,
        settings: settings(toml),
    }
}

/// The context of node07 under a kickstart profile, with a mirror of two repositories.
pub fn kickstart_context(profile: &str, toml: &str, firmware: Firmware) -> Context {
    let (family, version) = if profile == "fedora" { ("Fedora", "43") } else { ("Rocky Linux", "9.5") };
    let repository = |name: &str| Repository {
        name: name.into(),
        path: format!("{name}/x86_64/os"),
        signed: true,
        signed_by_head: name == "AppStream",
        keys: vec!["keys/vendor".into()],
    };
    let mut context = context("", firmware);
    context.kind = library().kind(&profile.parse().unwrap()).unwrap().installer().unwrap();
    context.settings = settings_of(profile, toml);
    context.attempt.profile = profile.parse().unwrap();
    context.mirror = MirrorFacts {
        name: profile.parse().unwrap(),
        directory: format!("/snapshots/{profile}/{}", context.mirror.snapshot),
        published: format!("/mirror/{profile}"),
        suite: String::new(),
        udeb_suite: String::new(),
        components: vec![],
        suites: vec![],
        repositories: vec![repository("BaseOS"), repository("AppStream")],
        tree: Some("BaseOS/x86_64/os".into()),
        release: Release::of_tree(family, version),
        ..context.mirror
    };
    context
}

/// The context of node07 under Ubuntu's profile, with a medium that carries an archive of its own.
pub fn autoinstall_context(toml: &str, firmware: Firmware) -> Context {
    let profile = "ubuntu-24.04";
    let mut context = context("", firmware);
    context.kind = library().kind(&profile.parse().unwrap()).unwrap().installer().unwrap();
    context.settings = settings_of(profile, toml);
    context.attempt.profile = profile.parse().unwrap();
    let components = vec!["main".to_owned(), "restricted".to_owned()];
    context.mirror = MirrorFacts {
        name: profile.parse().unwrap(),
        directory: format!("/snapshots/{profile}/{}", context.mirror.snapshot),
        published: format!("/mirror/{profile}"),
        suite: "noble".into(),
        udeb_suite: "noble".into(),
        suites: vec![Suite { name: "noble".into(), components: components.clone(), signed_by_head: false }],
        components,
        live: Some("medium.iso".into()),
        ..context.mirror
    };
    context
}

/// Renders a file as it is served: what the installer reads first without secrets, everything else with them.
pub fn render(context: &Context, file: &str) -> String {
    let secrets = Secrets::new(&context.settings, TOKEN);
    let view = context.view((!context.kind.boot_files().contains(&file)).then_some(&secrets)).unwrap();
    let library = library();
    let renderer = Renderer::new(&library, &context.attempt.profile).unwrap();
    renderer.render(file, view).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a program to its end.
pub fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    Command::new(program).args(arguments).current_dir(folder).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Everything that a program printed.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
