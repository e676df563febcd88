//! The security updates that the real Debian 12 has pending, by `mirror errata` and by apt in a root that debootstrap made of the main suite alone.
//! The archives are those that this machine's apt sources name. Takes about two minutes and 100 MB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use head::Head;
use serde_json::Value;
use upstream::run;

/// What `debootstrap --variant=minbase` installs, and what that needs; no installer, so that none of its indices is asked for.
const DEFINITION: &str = r#"
[[source]]
archive = "debian"
suites = ["bookworm"]
components = ["main"]
architectures = ["amd64"]

[[source]]
archive = "debian-security"
suites = ["bookworm-security"]
components = ["main"]
architectures = ["amd64"]

[filter]
priorities = ["required"]
names = ["apt"]
dependencies = true
"#;

/// Package, the version that is there, the version that fixes it.
type Pending = BTreeSet<(String, String, String)>;

#[test]
#[ignore = "make test-full runs it: minutes, and longer while the archive changes"]
fn the_pending_security_updates_of_debian_12_are_those_that_apt_offers() {
    let head = Head::new();
    let file = head.aside().join("definition.toml");
    fs::write(&file, DEFINITION).unwrap();
    head.ok(&["mirror", "add", "m", "--from-host", "--file", file.to_str().unwrap()]);
    let root = head.aside().join("root");
    let sources = head.show()["definition"]["sources"].clone();
    let source = |at: usize| (sources[at]["url"].as_str().unwrap().to_owned(), sources[at]["keyring"][0].as_str().unwrap().to_owned());
    let ((main, keyring), (security, security_keyring)) = (source(0), source(1));
    run(Command::new("debootstrap").arg("--variant=minbase").arg(format!("--keyring={keyring}")).arg("bookworm").arg(&root).arg(&main));
    let line = |keyring: &str, url: &str, suite: &str| format!("deb [signed-by={keyring}] {url} {suite} main\n");
    let lines = line(&keyring, &main, "bookworm") + &line(&security_keyring, &security, "bookworm-security");
    let pending = pending(&head, &root, &lines);
    let told = head.run(&["mirror", "errata", "m", "-o", "json"]);
    let advisories: Vec<Value> = serde_json::from_slice(&told.stdout).unwrap();
    println!("{}", head.ok(&["mirror", "errata", "m"]));
    println!("apt list --upgradable:");
    pending.iter().for_each(|(name, before, after)| println!("  {name} {before} -> {after}"));

    let installed = installed(&root);
    assert!(installed.len() > 80, "{installed:?}");
    let of = |advisory: &Value| -> Vec<(String, String, String)> {
        let text = |package: &Value, key: &str| package[key].as_str().unwrap().to_owned();
        let packages = advisory["packages"].as_array().unwrap().iter();
        packages.map(|package| (text(package, "name"), text(package, "before"), text(package, "after"))).collect()
    };
    let listed: Pending = advisories.iter().flat_map(of).filter(|(name, ..)| installed.contains(name)).collect();
    assert_eq!(listed, pending);
    // The mirror takes rather more than debootstrap, and lists what of that is pending too.
    for advisory in &advisories {
        assert_eq!((&advisory["kind"], &advisory["source"]), (&"security".into(), &"bookworm-security".into()), "{advisory}");
        assert!(!advisory["rating"].as_str().unwrap().is_empty(), "its changelog was read: {advisory}");
    }
    println!("{} advisories, {} packages of the root", advisories.len(), pending.len());
}

/// What apt offers when it and the mirror have seen the same state of the security suite. Upstream changes at any time, and its caches were seen
/// to answer with the state of two days before in between: then both are asked once more.
fn pending(head: &Head, root: &Path, sources: &str) -> Pending {
    for _ in 0..5 {
        head.run(&["mirror", "sync", "m"]);
        let pending = upgradable(root, sources);
        let ours = fs::read(head.data().join("mirrors/m/current/upstream/1/dists/bookworm-security/InRelease")).unwrap();
        let lists = fs::read_dir(root.join("var/lib/apt/lists")).unwrap().flatten();
        let theirs = lists.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with("bookworm-security_InRelease")).unwrap();
        if fs::read(theirs).unwrap() == ours {
            return pending;
        }
        std::thread::sleep(std::time::Duration::from_secs(5));
    }
    panic!("upstream never gave apt and the mirror the same state: {}", head.ok(&["mirror", "sync", "m"]));
}

/// What apt would upgrade in a root whose sources are these: this machine's apt, so that the root needs no network of its own.
fn upgradable(root: &Path, sources: &str) -> Pending {
    fs::write(root.join("etc/apt/sources.list"), sources).unwrap();
    let folder = format!("-oDir={}", root.display());
    let status = format!("-oDir::State::status={}", root.join("var/lib/dpkg/status").display());
    let apt = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args([folder.as_str(), status.as_str(), "-oAPT::Sandbox::User=root", "-oAcquire::Languages=none"])
            .args(args)
            .env("LC_ALL", "C");
        String::from_utf8(run(&mut command).stdout).unwrap()
    };
    apt("apt-get", &["update"]);
    // `libc6/stable-security 2.36-9+deb12u9 amd64 [upgradable from: 2.36-9+deb12u8]`
    let told = apt("apt", &["list", "--upgradable"]);
    let parse = |line: &str| {
        let (name, rest) = line.split_once('/')?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let before = rest.split_once("[upgradable from: ")?.1.trim_end_matches(']');
        Some((name.to_owned(), before.to_owned(), (*words.get(1)?).to_owned()))
    };
    told.lines().filter_map(parse).collect()
}

fn installed(root: &Path) -> BTreeSet<String> {
    let admin = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let told = run(Command::new("dpkg-query").args([&admin, "-W", "-f", "${Package}\n"]));
    String::from_utf8(told.stdout).unwrap().lines().map(str::to_owned).collect()
}
