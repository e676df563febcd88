//! What a rebuilt (filtered or merged) RPM repository holds beside the chosen packages, as the real dnf reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/rpm_upstream.rs"]
mod rpm_upstream;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::path::{Path, PathBuf};

use head::Head;
use kickctl::repo::rpm::repomd::Repomd;
use rpm_upstream::{Dnf, Rpm, RpmUpstream};
use upstream::run;

/// The public key of the head, as rpm reads it.
fn head_key(head: &Head) -> PathBuf {
    head.data().join("keys/signing.asc")
}

fn available(repository: &Path, keys: &[&Path], format: &str) -> Vec<String> {
    let told = Dnf::of(&[("m", repository, keys)]).ok(&["-q", "repoquery", "--available", "--qf", format]);
    let mut lines: Vec<String> = told.lines().filter(|line| line.contains(".x86_64")).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn newest_keeps_the_newest_of_each_name() {
    let upstream = RpmUpstream::with_packages();
    upstream.add("base", "app", "1.10", &["lib"]);
    upstream.add("base", "app", "1.9~rc1", &["lib"]);
    upstream.publish("base");
    let head = Head::defining(&format!("{}[filter]\nnewest = 1\n", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    let found = available(&head.tree().join("base"), &[&head_key(&head), &upstream.keyring()], "%{name}-%{version}.%{arch}");
    assert_eq!(found, ["app-1.10.x86_64", "deep-1.0.x86_64", "lib-1.0.x86_64", "other-1.0.x86_64"]);
}

/// A module of one stream, with packages that were built for it.
fn module(stream: &str, version: u64, packages: &[&str]) -> String {
    let artifacts: String = packages.iter().map(|name| format!("    - {name}\n")).collect();
    format!(
        "---\ndocument: modulemd\nversion: 2\ndata:\n  name: tool\n  stream: \"{stream}\"\n  version: {version}\n  context: c0ffee42\n  \
         arch: x86_64\n  summary: A tool\n  description: A tool.\n  license:\n    module: [MIT]\n  profiles:\n    common:\n      rpms: [tool]\n  \
         artifacts:\n    rpms:\n{artifacts}...\n"
    )
}

#[test]
fn newest_keeps_the_last_version_of_every_module_stream() {
    let upstream = RpmUpstream::with_packages();
    for version in ["1.0", "1.1", "2.0"] {
        upstream.add("base", "tool", version, &[]);
    }
    // A package that only an old stream has is newer elsewhere: still that stream needs it.
    upstream.add("base", "helper", "1.0", &[]);
    upstream.add("base", "helper", "3.0", &[]);
    upstream.publish("base");
    let modules = [
        module("1", 1, &["tool-0:1.0-1.x86_64"]),
        module("1", 2, &["tool-0:1.1-1.x86_64", "helper-0:1.0-1.x86_64"]),
        module("2", 1, &["tool-0:2.0-1.x86_64"]),
        "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: tool\n  stream: \"1\"\n  profiles:\n    \"1\": [common]\n...\n"
            .to_owned(),
    ];
    upstream.add_record("base", "modules", "modules.yaml", &modules.concat());
    let head = Head::defining(&format!("{}[filter]\nnewest = 1\n", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    let (tree, key, upstreams) = (head.tree().join("base"), head_key(&head), upstream.keyring());
    let list = |folder: &Path, keys: &[&Path]| {
        let told = Dnf::of(&[("base", folder, keys)]).ok(&["-q", "module", "list"]);
        told.lines().filter(|line| line.starts_with("tool")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = list(&upstream.root().join("base"), &[&upstreams]);
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(list(&tree, &[&key, &upstreams]), before);
    let files: Vec<String> =
        fs::read_dir(tree.join("Packages")).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    for kept in ["tool-1.1", "tool-2.0", "helper-1.0", "helper-3.0"] {
        assert!(files.iter().any(|file| file.starts_with(kept)), "{kept}: {files:?}");
    }
    assert!(!files.iter().any(|file| file.starts_with("tool-1.0")), "{files:?}");
    let dnf = Dnf::of(&[("base", &tree, &[&key, &upstreams])]);
    assert!(dnf.ok(&["module", "install", "tool:1"]).contains("1.1-1"));
}

#[test]
fn module_streams_of_merged_repositories_are_listed_as_they_were() {
    let upstream = RpmUpstream::with_packages();
    upstream.add("base", "tool", "1.0", &[]);
    upstream.add("more", "tool", "2.0", &[]);
    for (repository, stream, package) in [("base", "1", "tool-0:1.0-1.x86_64"), ("more", "2", "tool-0:2.0-1.x86_64")] {
        upstream.publish(repository);
        upstream.add_record(repository, "modules", "modules.yaml", &module(stream, 1, &[package]));
    }
    let head = Head::defining(&format!("merge = true\n{}{}", upstream.table("base", ""), upstream.table("more", "")));
    head.ok(&["mirror", "sync", "m"]);
    let (tree, own, key) = (head.tree(), head_key(&head), upstream.keyring());
    let list = |dnf: &Dnf| {
        let told = dnf.ok(&["-q", "module", "list"]);
        told.lines().filter(|line| line.starts_with("tool")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (base, more) = (upstream.root().join("base"), upstream.root().join("more"));
    let before = list(&Dnf::of(&[("base", &base, &[&key]), ("more", &more, &[&key])]));
    let merged = Dnf::of(&[("all", &tree, &[&own, &key])]);
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(list(&merged), before);
    // Of no stream that is on, neither version is to be had; of one that is on, its own.
    assert!(merged.ok(&["module", "install", "tool:1/common"]).contains("1.0-1"));
}

#[test]
fn comps_and_advisories_are_carried_and_merged() {
    let upstream = RpmUpstream::with_packages();
    upstream.add("more", "extra", "1.0", &[]);
    upstream.publish("more");
    for (repository, package) in [("base", "app"), ("more", "extra")] {
        let comps = format!(
            "<?xml version=\"1.0\"?>\n<comps><group><id>g-{package}</id><name>Group {package}</name><default>true</default><uservisible>true\
             </uservisible><packagelist><packagereq type=\"mandatory\">{package}</packagereq></packagelist></group></comps>\n"
        );
        upstream.add_record(repository, "group", "comps.xml", &comps);
        let advisory = format!(
            "<updates><update from=\"a@b\" status=\"final\" type=\"security\" version=\"1\"><id>ADV-{package}</id><title>t</title>\
             <issued date=\"2026-01-01 00:00:00\"/><severity>Important</severity><description>d</description><pkglist><collection>\
             <package name=\"{package}\" version=\"1.0\" release=\"1\" epoch=\"0\" arch=\"x86_64\"><filename>{package}-1.0-1.x86_64.rpm</filename>\
             </package></collection></pkglist></update></updates>\n"
        );
        upstream.add_record(repository, "updateinfo", "updateinfo.xml", &advisory);
    }
    let head = Head::defining(&format!("merge = true\n{}{}", upstream.table("base", ""), upstream.table("more", "")));
    head.ok(&["mirror", "sync", "m"]);
    let (tree, key, upstreams) = (head.tree(), head_key(&head), upstream.keyring());
    let dnf = Dnf::of(&[("all", &tree, &[&key, &upstreams])]);
    let told = dnf.ok(&["-q", "group", "list", "-v"]);
    assert!(told.contains("g-app") && told.contains("g-extra"), "{told}");
    let told = dnf.ok(&["-q", "updateinfo", "list", "--all"]);
    dnf.ok(&["group", "install", "g-extra"]);
    assert!(dnf.has("usr/share/extra/data"), "{told}");
    let text = run(std::process::Command::new("sh").arg("-c").arg("zcat repodata/*-updateinfo.xml.gz").current_dir(&tree)).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("ADV-app") && text.contains("ADV-extra"), "{text}");
}

/// Turns the packages of a listing round, with right checksums throughout: the three listings need not have one order.
fn turn_round(upstream: &RpmUpstream, kind: &str) {
    let repodata = upstream.repodata("base");
    let text = run(std::process::Command::new("sh").arg("-c").arg(format!("zcat *-{kind}.xml.gz")).current_dir(&repodata)).stdout;
    let text = String::from_utf8(text).unwrap();
    let (root, end) = (text.find("<package ").unwrap(), text.rfind("</package>").unwrap() + "</package>".len());
    let packages: Vec<&str> = text[root..end].split_inclusive("</package>").collect();
    let turned: String = packages.into_iter().rev().collect();
    let file = upstream.root().join(format!("{kind}.xml"));
    fs::write(&file, format!("{}{turned}{}", &text[..root], &text[end..])).unwrap();
    run(std::process::Command::new("modifyrepo_c").args(["--remove", kind]).arg(&repodata));
    run(std::process::Command::new("modifyrepo_c").arg(format!("--mdtype={kind}")).arg(&file).arg(&repodata));
    upstream.sign("base");
}

#[test]
fn listings_in_another_order_and_two_packages_of_one_name_are_told_apart() {
    let upstream = RpmUpstream::with_packages();
    // The same name, version and architecture twice: built again, into another folder.
    let twin = upstream.build("again", &Rpm { name: "lib", version: "1.0", requires: &[], size: 3_000 });
    let folder = upstream.root().join("base/again");
    fs::create_dir(&folder).unwrap();
    fs::rename(twin, folder.join("lib-1.0-1.x86_64.rpm")).unwrap();
    upstream.publish("base");
    turn_round(&upstream, "filelists");
    turn_round(&upstream, "other");
    let head = Head::defining(&format!("{}[filter]\nnames = [\"app\", \"lib\"]\n", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    let (tree, own, upstreams) = (head.tree().join("base"), head_key(&head), upstream.keyring());
    let format = "%{location} %{name}.%{arch} %{files}";
    let before = available(&upstream.root().join("base"), &[&upstreams], format);
    let after = available(&tree, &[&own, &upstreams], format);
    assert_eq!(after, before.into_iter().filter(|line| !line.contains("/other-")).collect::<Vec<_>>());
    assert_eq!(after.iter().filter(|line| line.contains("lib-1.0")).count(), 2, "{after:?}");
    // app needs a file that only filelists.xml names.
    Dnf::of(&[("base", &tree, &[&own, &upstreams])]).ok(&["install", "app"]);
}

#[test]
fn records_that_are_known_and_unknown_are_carried_as_they_are() {
    let upstream = RpmUpstream::with_packages();
    let comps = "<?xml version=\"1.0\"?>\n<comps><group><id>g</id><name>G</name><default>true</default><uservisible>true</uservisible><packagelist>\
                 <packagereq type=\"mandatory\">app</packagereq></packagelist></group></comps>\n";
    for (kind, name, text) in [
        ("group", "comps.xml", comps),
        ("group_gz", "comps-of-old.xml", comps),
        ("updateinfo", "updateinfo.xml", "<updates/>\n"),
        ("productid", "productid", "a record that this version does not know"),
    ] {
        upstream.add_record("base", kind, name, text);
    }
    let head = Head::defining(&format!("{}[filter]\nnames = [\"app\"]\n", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    let (from, tree) = (upstream.root().join("base"), head.tree().join("base"));
    let root = |folder: &Path| Repomd::parse(&fs::read(folder.join("repodata/repomd.xml")).unwrap()).unwrap();
    let (before, after) = (root(&from), root(&tree));
    for kind in ["group", "group_gz", "updateinfo", "productid"] {
        let record = after.record(kind).unwrap();
        assert_eq!(Some(record), before.record(kind), "{kind}");
        assert_eq!(fs::read(tree.join(&record.href)).unwrap(), fs::read(from.join(&record.href)).unwrap(), "{kind}");
    }
    assert!(Dnf::of(&[("base", &tree, &[&head_key(&head), &upstream.keyring()])]).ok(&["-q", "group", "list", "-v"]).contains("(g)"));
}
