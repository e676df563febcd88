//! `kickctl profile` and `kickctl explain` as a person runs them, with a mirror that holds what Debian needs and one package more.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const SNAPSHOT: &str = "20261121T060000Z-3f9a2c41";
const HASH: &str = "$6$saltsalt$hashhash";
const PACKAGES: &str =
    "linux-image-amd64 initramfs-tools busybox zstd grub-common os-prober grub-pc grub-efi-amd64 e2fsprogs openssh-server htop";
const UDEBS: &str = "base-installer bootstrap-base finish-install apt-setup-udeb grub-installer partman-auto partman-base partman-target \
                     partman-ext3 partman-efi pkgsel user-setup-udeb scsi-modules-6.12-di ext4-modules-6.12-di fat-modules-6.12-di";

struct Head(TempDir);

impl Head {
    fn new() -> Self {
        let head = Self(tempfile::tempdir().unwrap());
        head.write("kickctl.toml", "interface = 'eth9'\naddress = '10.77.0.1'\nsubnet = '10.77.0.0/24'\ndomain = 'cluster.test'\n");
        fs::create_dir_all(head.0.path().join("keys")).unwrap();
        fs::write(head.0.path().join("keys/token.secret"), [7; 32]).unwrap();
        let mirror = format!("mirrors/debian-13/snapshots/{SNAPSHOT}");
        head.write(
            &format!("{mirror}/snapshot.json"),
            &serde_json::json!({
                "id": SNAPSHOT, "mirror": "debian-13", "made": "2026-11-21T06:00:00Z", "upstream": [], "packages": 11, "udebs": 15,
                "suites": [{ "suite": "trixie", "codename": "trixie", "components": ["main"], "rebuilt": true }],
                "installers": [{ "arch": "amd64", "kernel": "k", "initrd": "i", "kernel_release": "6.12" }],
                "files": 2, "bytes": 3, "left_out": [], "input": "x",
            })
            .to_string(),
        );
        let index = |names: &str| names.split_whitespace().map(|name| format!("Package: {name}\nVersion: 1\n\n")).collect::<String>();
        head.write(&format!("{mirror}/tree/dists/trixie/main/binary-amd64/Packages"), &index(PACKAGES));
        head.write(&format!("{mirror}/tree/dists/trixie/main/debian-installer/binary-amd64/Packages"), &index(UDEBS));
        std::os::unix::fs::symlink(format!("snapshots/{SNAPSHOT}"), head.0.path().join("mirrors/debian-13/current")).unwrap();
        head.done(&[
            "node",
            "add",
            "node07",
            "--mac",
            "52:54:00:00:00:07",
            "--address",
            "10.77.0.7",
            "--set",
            &format!("root_password_hash={HASH}"),
        ]);
        head
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kickctl"));
        let output = command.arg("--data").arg(self.0.path()).args(arguments).env_remove("KICKCTL_CONFIG").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (code, out, error) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (_, out, error) = self.run(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|problem| panic!("{arguments:?}: {problem}: {out}{error}"))
    }
}

#[test]
fn a_node_that_can_be_installed_has_no_finding_and_one_that_cannot_has_them_all() {
    let head = Head::new();
    head.done(&["profile", "check", "debian-13", "--nodes", "node07"]);
    head.done(&["node", "set", "node07", "--set", "packages=[\"htop\",\"htopp\"]", "--set", "filesystem=xfs"]);
    let (code, ..) = head.run(&["profile", "check", "debian-13", "--nodes", "node07"]);
    assert_eq!(code, 4);
    let findings = head.json(&["profile", "check", "debian-13", "--nodes", "node07"]);
    let problems: Vec<&str> = findings.as_array().unwrap().iter().map(|finding| finding["problem"].as_str().unwrap()).collect();
    assert_eq!(problems.len(), 3, "{findings:#}");
    for missing in ["installer package `partman-xfs`", "package `xfsprogs`", "package `htopp`"] {
        assert!(problems.iter().any(|problem| problem.contains(missing)), "{missing}: {problems:?}");
    }
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["remedy"].as_str().unwrap().contains("it has htop")), "{findings:#}");
}

#[test]
fn a_sites_template_that_is_wrong_is_told_with_file_line_and_remedy() {
    let head = Head::new();
    head.write("profiles/web/profile.toml", "summary = 'Web servers'\nextends = 'debian-13'\n[variables]\ncustom = { rack = 3 }\n");
    head.write("profiles/web/preseed.cfg.hbs", "d-i passwd/make-user boolean false\nd-i passwd/mak-user boolean {{settings.hosts}}\n");
    head.write("profiles/web/late.sh.hbs", "#!/bin/sh\necho {{settings.custom.rack}}\necho {{settings.custom.row}}\n");
    let findings = head.json(&["profile", "check", "web", "--nodes", "node07"]);
    let told = findings.to_string();
    assert!(told.contains("preseed.cfg:2") && told.contains("did you mean `passwd/make-user`?"), "{findings:#}");
    assert!(told.contains("profiles/web/late.sh.hbs:3: there is no `settings.custom.row`"), "{findings:#}");
    head.write("profiles/web/preseed.cfg.hbs", "{{#if settings.hosts}}\n");
    let (code, out, _) = head.run(&["profile", "check", "web"]);
    assert!(code == 4 && out.contains("preseed.cfg.hbs:"), "{out}");
    head.write("profiles/web/profile.toml", "summary = 'Web servers'\nextend = 'debian-13'\n");
    let (code, _, error) = head.run(&["profile", "list"]);
    assert!(code != 0 && error.contains("profile.toml:2:1: extend"), "{error}");
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    let head = Head::new();
    let late = ["profile", "render", "node07", "--profile", "debian-13", "--file", "late.sh"];
    assert!(!head.done(&late).contains(HASH));
    assert!(head.done(&[&late[..], &["--secrets"]].concat()).contains(HASH));
    let explained = head.done(&["explain", "node07", "--profile", "debian-13"]);
    assert!(!explained.contains(HASH) && explained.contains("root_password_hash = \"********\"  (node node07)"), "{explained}");
    assert!(!head.done(&["profile", "render", "node07", "--profile", "debian-13"]).contains(HASH));
}

#[test]
fn explain_names_the_layer_of_every_value() {
    let head = Head::new();
    head.done(&["node", "set", "node07", "--set", "swap=ram/2"]);
    let told = head.json(&["explain", "node07", "--profile", "debian-13"]);
    let layer = |variable: &str| {
        let all = told["variables"].as_array().unwrap();
        all.iter().find(|line| line["variable"] == variable).unwrap_or_else(|| panic!("{variable}: {told:#}"))["layer"].as_str().unwrap()
    };
    assert_eq!((layer("swap"), layer("packages"), layer("timezone")), ("node node07", "profile debian-13", "defaults"));
    assert_eq!(told["boots"], "local disk");
    assert_eq!(told["chain"], serde_json::json!(["base", "debian-13"]));
    let (code, _, told) = head.run(&["node", "set", "node07", "--set", "swpa=none"]);
    assert!(code == 2 && told.contains("did you mean swap"), "{told}");
    head.done(&["node", "set", "node07", "--group", "rack1", "--unset", "swap"]);
    head.done(&["group", "set", "rack1", "--set", "swap=ram", "--set", "timezone=Europe/Berlin"]);
    let told = head.json(&["explain", "node07", "--profile", "debian-13"]);
    let lines = told["variables"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["variable"] == "timezone" && line["layer"] == "group rack1"), "{told:#}");
    assert!(head.done(&["group", "list"]).contains("rack1  1      node07"), "{}", head.done(&["group", "list"]));
}

#[test]
fn profiles_are_listed_and_shown() {
    let head = Head::new();
    assert_eq!(
        head.done(&["profile", "list", "-o", "name"]),
        "autoinstall\nbase\ndebian-13\ndebian-13-nfs\ndebian-13-nfs-rw\ndebian-13-ram\ndebian-13-ram-usr\ndiskless\nfedora\nkickstart\nrocky-9\nubuntu-24.04\n"
    );
    let shown = head.json(&["profile", "show", "debian-13"]);
    assert_eq!(
        (shown["kind"].as_str(), shown["mirror"].as_str(), shown["origin"].as_str()),
        (Some("preseed"), Some("debian-13"), Some("built in"))
    );
    let (code, _, error) = head.run(&["profile", "show", "debian-12"]);
    assert!(code == 2 && error.contains("there are autoinstall, base, debian-13"), "{error}");
}
