//! `kickctl mirror` as its users meet it: the real binary, an archive over HTTP, apt as the client of what was published.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use head::{FILTER, Head};
use upstream::{Fault, Upstream, build, run};

#[test]
fn a_filtered_mirror_is_closed_and_apt_installs_from_it_with_the_heads_key() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(told.contains("published"), "{told}");
    assert_eq!(head.packages(), ["app", "base", "lib"]);
    head.apt_takes(&head.key(), &["app", "base"]);
    // The head vouches for it, not upstream.
    let path = head.show()["published"]["path"].as_str().unwrap().to_owned();
    assert_eq!(fs::canonicalize(path).unwrap(), fs::canonicalize(head.tree()).unwrap());
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
}

#[test]
fn a_sync_of_the_same_asks_one_question_and_makes_no_snapshot() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    let first = head.show();
    upstream.asked();
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(told.contains("unchanged"), "{told}");
    assert_eq!(upstream.asked(), ["GET dists/trixie/InRelease"]);
    assert_eq!(head.show()["published"], first["published"]);
    assert_eq!(head.show()["snapshots"], 1);
}

#[test]
fn an_update_fetches_what_is_new_only_and_former_indices_stay_by_hash() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    let by_hash = |head: &Head| -> Vec<_> {
        fs::read_dir(head.tree().join("dists/trixie/main/binary-amd64/by-hash/SHA256"))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect()
    };
    let former = by_hash(&head);
    upstream.add("app", "1.1", "Depends: lib (>= 1.0)", 2_500);
    upstream.publish();
    upstream.asked();
    head.ok(&["mirror", "sync", "m"]);
    let asked = upstream.asked();
    assert!(asked.iter().any(|line| line.ends_with("pool/app_1.1_amd64.deb")), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("lib_1.0")), "{asked:?}");
    let now = by_hash(&head);
    assert!(former.iter().all(|name| now.contains(name)) && now.len() > former.len());
    head.apt_takes(&head.key(), &["app=1.1"]);
}

#[test]
fn without_a_filter_suites_are_kept_byte_for_byte_with_upstreams_signature() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, "");
    head.ok(&["mirror", "sync", "m"]);
    for name in ["InRelease", "main/binary-amd64/Packages.xz", "main/binary-amd64/Packages.gz"] {
        let path = format!("dists/trixie/{name}");
        assert_eq!(fs::read(head.tree().join(&path)).unwrap(), fs::read(upstream.root().join(&path)).unwrap(), "{name}");
    }
    head.apt_takes(&upstream.keyring(), &["app", "base", "other"]);
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    let told = head.fails(&["mirror", "sync", "m", "--allow-missing"], 4);
    assert!(told.contains("byte for byte") && told.contains("[filter]"), "{told}");
}

#[test]
fn release_with_a_signature_beside_it_will_do() {
    let upstream = Upstream::with_packages();
    fs::remove_file(upstream.root().join("dists/trixie/InRelease")).unwrap();
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    head.apt_takes(&head.key(), &["app"]);
}

#[test]
fn what_gpg_signed_is_believed() {
    let upstream = Upstream::with_packages();
    let home = upstream.root().join("gpg");
    fs::create_dir(&home).unwrap();
    run(Command::new("chmod").arg("700").arg(&home));
    let gpg =
        |args: &[&str]| run(Command::new("gpg").arg("--homedir").arg(&home).args(["--batch", "--yes", "--passphrase", ""]).args(args));
    gpg(&["--quick-generate-key", "archive of a test", "rsa3072", "sign", "never"]);
    fs::write(upstream.keyring(), gpg(&["--export"]).stdout).unwrap();
    let release = upstream.root().join("dists/trixie/Release");
    let signed = upstream.root().join("dists/trixie/InRelease");
    gpg(&["--clearsign", "-o", signed.to_str().unwrap(), release.to_str().unwrap()]);
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    run(Command::new("gpgconf").arg("--homedir").arg(&home).args(["--kill", "gpg-agent"]));
}

#[test]
fn a_cut_download_goes_on_where_it_was_cut() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    upstream.fail("pool/lib_1.0_amd64.deb", Fault::Cut(2));
    upstream.fail("pool/app_1.0_amd64.deb", Fault::Busy(2));
    head.ok(&["mirror", "sync", "m"]);
    let asked = upstream.asked();
    let resumed: Vec<_> = asked.iter().filter(|line| line.contains("lib_1.0") && line.contains("bytes=")).collect();
    assert_eq!(resumed.len(), 2, "{asked:?}");
    assert!(!resumed[1].contains("bytes=0-"));
    head.apt_takes(&head.key(), &["app"]);
}

#[test]
fn a_local_directory_joins_the_index_by_copies() {
    let upstream = Upstream::with_packages();
    let local = upstream.root().join("site");
    build(&local.join("deep/tool_2.0_amd64.deb"), "tool", "1:2.0", "Depends: lib", 2_000);
    let rest = "[filter]\nnames = [\"tool\"]\n";
    let head = Head::new();
    let text = format!(
        "local = [\"{}\"]\n[[source]]\nurl = \"{}\"\nsuites = [\"trixie\"]\ncomponents = [\"main\"]\narchitectures = [\"amd64\"]\nkeyring = [\"{}\"]\n{rest}",
        local.display(),
        upstream.url,
        upstream.keyring().display()
    );
    let file = head.aside().join("m.toml");
    fs::write(&file, &text).unwrap();
    head.ok(&["mirror", "add", "m", "--file", file.to_str().unwrap()]);
    fs::write(&file, text.replace("tool", "app")).unwrap();
    let told = head.fails(&["mirror", "add", "m", "--file", file.to_str().unwrap()], 4);
    assert!(told.contains("mirrors/m/definition.toml by hand, then run `kickctl mirror sync m`"), "{told}");
    let shown = head.ok(&["mirror", "show", "m"]);
    assert!(shown.contains(&format!("{}  trixie  main\n", upstream.url)) && shown.contains("names tool; with dependencies\n"), "{shown}");
    assert!(shown.contains(&format!("{}\n", local.display())), "{shown}");
    head.ok(&["mirror", "sync", "m"]);
    assert_eq!(head.packages(), ["lib", "tool"]);
    head.apt_takes(&head.key(), &["tool"]);
    assert_eq!(fs::metadata(local.join("deep/tool_2.0_amd64.deb")).unwrap().nlink(), 1, "never a link to the site's own file");
    build(&local.join("deep/tool_2.0_amd64.deb"), "tool", "1:2.1", "Depends: lib", 2_000);
    assert!(head.ok(&["mirror", "sync", "m"]).contains("published"));
    head.apt_takes(&head.key(), &["tool=1:2.1"]);
}

#[test]
fn upstream_may_change_under_a_running_sync() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    // The index of the first answer names app 1.0, which is gone when it is asked for.
    let former: Vec<(String, Vec<u8>)> = ["InRelease", "main/binary-amd64/Packages.gz"]
        .iter()
        .map(|name| (format!("dists/trixie/{name}"), fs::read(upstream.root().join(format!("dists/trixie/{name}"))).unwrap()))
        .collect();
    upstream.add("app", "1.1", "Depends: lib (>= 1.0)", 2_500);
    upstream.publish_dated(time::OffsetDateTime::now_utc() + std::time::Duration::from_secs(1), None);
    let newer: Vec<(String, Vec<u8>)> =
        former.iter().map(|(path, _)| (path.clone(), fs::read(upstream.root().join(path)).unwrap())).collect();
    for (path, bytes) in &former {
        fs::write(upstream.root().join(path), bytes).unwrap();
    }
    upstream.fail("pool/base_1.0_amd64.deb", Fault::Held);
    let sync =
        head.command(&["mirror", "sync", "m"]).stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    while !upstream.asked().iter().any(|line| line.contains("base_1.0")) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for (path, bytes) in &newer {
        fs::write(upstream.root().join(path), bytes).unwrap();
    }
    upstream.heal();
    let output = sync.wait_with_output().unwrap();
    let told = head::text(&output);
    assert!(output.status.success() && told.contains("changed under way"), "{told}");
    head.apt_takes(&head.key(), &["app=1.1"]);
}

#[test]
fn a_rollback_holds_until_an_explicit_publish() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    let first = head.show()["published"]["snapshot"].clone();
    let told = head.fails(&["mirror", "rollback", "m"], 1);
    assert!(told.contains(&format!("there is no older snapshot than {} (published)", first.as_str().unwrap())), "{told}");
    upstream.add("app", "1.1", "Depends: lib", 2_500);
    upstream.publish();
    head.ok(&["mirror", "sync", "m"]);
    assert_ne!(head.show()["published"]["snapshot"], first);
    head.ok(&["mirror", "rollback", "m"]);
    assert_eq!((&head.show()["published"]["snapshot"], &head.show()["held"]), (&first, &true.into()));
    upstream.add("app", "1.2", "Depends: lib", 2_600);
    upstream.publish();
    assert!(head.ok(&["mirror", "sync", "m"]).contains("held"));
    assert_eq!(head.show()["published"]["snapshot"], first);
    head.apt_takes(&head.key(), &["app=1.0"]);
    head.ok(&["mirror", "publish", "m"]);
    assert_eq!(head.show()["held"], false);
    head.apt_takes(&head.key(), &["app=1.2"]);
    let told = head.fails(&["mirror", "publish", "m", "20200101T000000Z-00000000"], 1);
    assert!(told.contains("kickctl mirror snapshots m"), "{told}");
}

#[test]
fn prune_removes_old_snapshots_and_what_only_they_held() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    for version in ["1.0", "1.1", "1.2"] {
        upstream.add("app", version, "Depends: lib", 2_500);
        upstream.publish();
        head.ok(&["mirror", "sync", "m"]);
    }
    let before = head.contents();
    let told = head.ok(&["mirror", "prune", "m", "--keep", "0", "--dry-run"]);
    assert_eq!(told.matches("would remove m ").count(), 2, "{told}");
    assert_eq!(head.show()["snapshots"], 3);
    head.ok(&["mirror", "prune", "m", "--keep", "0"]);
    assert_eq!(head.show()["snapshots"], 1);
    assert_eq!(head.contents(), before, "what is published stays");
    let left = head.ok(&["mirror", "prune", "--all", "--keep", "0"]);
    assert!(left.contains("removed 0 files"), "{left}");
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    head.apt_takes(&head.key(), &["app=1.2"]);
}

#[test]
fn verify_finds_a_byte_that_changed_on_the_disk() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    let file = head.tree().join("pool/lib_1.0_amd64.deb");
    let mut bytes = fs::read(&file).unwrap();
    bytes[1000] ^= 1;
    run(Command::new("chmod").arg("u+w").arg(fs::canonicalize(&file).unwrap()));
    fs::write(&file, bytes).unwrap();
    let told = head.fails(&["mirror", "verify", "m"], 1);
    assert!(told.contains("pool/lib_1.0_amd64.deb: has SHA-256"), "{told}");
}

#[test]
fn two_commands_on_one_mirror_the_second_is_told_who_is_first() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    upstream.fail("pool/lib_1.0_amd64.deb", Fault::Slow(std::time::Duration::from_secs(20)));
    let mut first = head.command(&["mirror", "sync", "m", "-q"]).spawn().unwrap();
    while !upstream.asked().iter().any(|line| line.contains("lib_1.0")) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let told = head.fails(&["mirror", "sync", "m"], 4);
    assert!(told.contains(&format!("process {}", first.id())), "{told}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn quiet_says_nothing_and_a_dry_run_makes_nothing() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    let told = head.ok(&["mirror", "sync", "m", "--dry-run", "-o", "json"]);
    assert!(told.contains("\"result\": \"planned\"") && told.contains("\"packages\": 3"), "{told}");
    assert_eq!(head.show()["snapshots"], 0);
    assert_eq!(head.ok(&["-q", "mirror", "sync", "m"]), "");
    assert_eq!(head.show()["snapshots"], 1);
    let told = head.fails(&["mirror", "sync", "debian-13"], 1);
    assert!(told.contains("kickctl mirror add debian-13 --from-host"), "{told}");
}
