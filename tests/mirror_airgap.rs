//! `kickctl mirror export` and `import`: two heads, nothing but files between them, apt and dnf as clients of the second.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/rpm_upstream.rs"]
mod rpm_upstream;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use head::{FILTER, Head, contents};
use kickctl::domain::checksum::Sha256;
use rpm_upstream::{Dnf, RpmUpstream};
use upstream::Upstream;

fn key(head: &Head) -> String {
    head.data().join("keys/signing.asc").display().to_string()
}

fn published(head: &Head) -> String {
    head.show()["published"]["snapshot"].as_str().unwrap().to_owned()
}

/// Everything of a head's mirrors and objects but locks.
fn state(head: &Head) -> BTreeMap<PathBuf, Sha256> {
    let all = ["mirrors", "objects"].into_iter().flat_map(|folder| contents(&head.data().join(folder)));
    all.filter(|(path, _)| path.file_name().is_none_or(|name| name != "lock")).collect()
}

fn carrier(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

#[test]
fn a_debian_mirror_crosses_in_a_directory_and_an_increment_follows() {
    let upstream = Upstream::with_packages();
    let (a, b) = (Head::mirroring(&upstream, FILTER), Head::new());
    a.ok(&["mirror", "sync", "m"]);
    let first = published(&a);
    let disk = tempfile::tempdir().unwrap();
    let whole = carrier(disk.path(), "whole");
    a.ok(&["mirror", "export", "m", "--to", &whole]);
    let told = b.fails(&["mirror", "import", &whole], 4);
    assert!(told.contains("--key") && told.contains("Nothing was changed"), "{told}");
    assert!(!b.data().join("mirrors/m").exists());
    let told = b.ok(&["mirror", "import", &whole, "--key", &key(&a), "--dry-run"]);
    assert!(told.contains("verified") && !b.data().join("mirrors/m").exists(), "{told}");
    let told = b.ok(&["mirror", "import", &whole, "--key", &key(&a)]);
    assert!(told.contains("published"), "{told}");
    assert_eq!(published(&b), first);
    // Its nodes know its own key, not that of the other head.
    b.apt_takes(&b.key(), &["app", "base"]);
    assert!(b.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    assert!(b.ok(&["mirror", "import", &whole]).contains("unchanged"), "the key is remembered");

    upstream.add("app", "1.1", "Depends: lib (>= 1.0)", 2_500);
    upstream.publish();
    a.ok(&["mirror", "sync", "m"]);
    let (update, all) = (carrier(disk.path(), "update.tar"), carrier(disk.path(), "all.tar"));
    a.ok(&["mirror", "export", "m", "--to", &update, "--since", &first]);
    a.ok(&["mirror", "export", "m", "--to", &all]);
    let size = |path: &str| fs::metadata(path).unwrap().len();
    assert!(size(&update) < 60_000 && size(&all) > 300_000, "{} {}", size(&update), size(&all));
    let empty = Head::new();
    let told = empty.fails(&["mirror", "import", &update, "--key", &key(&a)], 4);
    assert!(told.contains(&format!("since snapshot {first}")), "{told}");
    b.ok(&["mirror", "import", &update]);
    b.apt_takes(&b.key(), &["app=1.1", "lib"]);
    // A rollback holds.
    let second = published(&b);
    b.ok(&["mirror", "rollback", "m"]);
    upstream.add("app", "1.2", "Depends: lib (>= 1.0)", 2_500);
    upstream.publish();
    a.ok(&["mirror", "sync", "m"]);
    let third = carrier(disk.path(), "third.tar");
    a.ok(&["mirror", "export", "m", "--to", &third, "--since", &second]);
    assert!(b.ok(&["mirror", "import", &third]).contains("held"));
    assert_eq!(published(&b), first);
    b.ok(&["mirror", "publish", "m"]);
    b.apt_takes(&b.key(), &["app=1.2", "lib"]);
    // An older one than there is is refused.
    let again = carrier(disk.path(), "again");
    a.ok(&["mirror", "export", "m", "--to", &again, "--snapshot", &first]);
    b.ok(&["mirror", "prune", "m", "--keep", "0"]);
    let before = state(&b);
    let told = b.fails(&["mirror", "import", &again], 4);
    assert!(told.contains("is older than") && told.contains("Nothing was changed"), "{told}");
    assert!(state(&b) == before, "a refusal changes nothing");
}

#[test]
fn rpm_repositories_cross_in_volumes_whole_and_merged() {
    let upstream = RpmUpstream::with_packages();
    for (rest, path) in [("", "base"), ("merge = true\n", "")] {
        let a = Head::defining(&format!("{rest}{}", upstream.table("base", "gpgcheck = true")));
        a.ok(&["mirror", "sync", "m"]);
        let disk = tempfile::tempdir().unwrap();
        // The server of upstream is of no use to the second head: its definition leads to it, and it is not asked.
        let tar = carrier(disk.path(), "m.tar");
        a.ok(&["mirror", "export", "m", "--to", &tar]);
        upstream.site.asked();
        let b = Head::new();
        b.ok(&["mirror", "import", &tar, "--key", &key(&a)]);
        assert!(upstream.site.asked().is_empty());
        let (own, upstreams) = (b.data().join("keys/signing.asc"), upstream.keyring());
        let dnf = Dnf::of(&[("m", &b.tree().join(path), &[&own, &upstreams])]);
        dnf.ok(&["install", "app"]);
        assert!(dnf.has("usr/share/app/data") && dnf.has("usr/share/deep/data"));
        assert!(b.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    }
}

#[test]
fn what_is_not_whole_is_refused_and_nothing_is_changed() {
    let upstream = Upstream::with_packages();
    // More than a volume.
    upstream.add("lib", "1.0", "", 2_500_000);
    upstream.publish();
    let a = Head::mirroring(&upstream, FILTER);
    a.ok(&["mirror", "sync", "m"]);
    let disk = tempfile::tempdir().unwrap();
    let tar = carrier(disk.path(), "m.tar");
    a.ok(&["mirror", "export", "m", "--to", &tar, "--volume-size", "1MiB"]);
    let volume = |number: usize| PathBuf::from(format!("{tar}.{number:03}"));
    assert!(volume(3).is_file() && !volume(4).exists() && !Path::new(&tar).exists());
    // Anybody's tar reads it.
    let all: Vec<u8> = (1..=3).flat_map(|number| fs::read(volume(number)).unwrap()).collect();
    fs::write(disk.path().join("joined"), &all).unwrap();
    let listed = upstream::run(std::process::Command::new("tar").arg("tf").arg(disk.path().join("joined")));
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("manifest\nkey.asc\nobjects/"));

    let b = Head::new();
    b.ok(&["mirror", "list"]);
    b.fails(&["mirror", "import", "/nowhere.tar"], 1);
    let signing = key(&a);
    let refused = |what: &str| {
        let before = state(&b);
        let told = b.fails(&["mirror", "import", &format!("{tar}.001"), "--key", &signing], 4);
        assert!(told.contains(what) && told.contains("Nothing was changed"), "{told}\nshould contain {what}");
        assert!(state(&b) == before, "a refusal changes nothing");
        assert!(!b.data().join("mirrors/m").exists(), "{told}");
    };
    for number in [2, 3] {
        let aside = disk.path().join("aside");
        fs::rename(volume(number), &aside).unwrap();
        refused(&format!("m.tar.00{number} is not there"));
        fs::rename(&aside, volume(number)).unwrap();
    }
    // One byte, wherever it is: in the manifest, in an object, in a member's head.
    let object = all.windows(8).position(|bytes| bytes == b"!<arch>\n").unwrap();
    for at in [700, object + 100, object - 500, 1_500_000] {
        let (number, within) = (at / (1 << 20) + 1, at % (1 << 20));
        let mut bytes = fs::read(volume(number)).unwrap();
        bytes[within] ^= 1;
        fs::write(volume(number), &bytes).unwrap();
        refused("is refused");
        bytes[within] ^= 1;
        fs::write(volume(number), &bytes).unwrap();
    }
    let other = Head::mirroring(&upstream, FILTER);
    other.ok(&["mirror", "sync", "m"]);
    let told = b.fails(&["mirror", "import", &format!("{tar}.001"), "--key", &key(&other)], 4);
    assert!(told.contains("not trusted"), "{told}");
    b.ok(&["mirror", "import", &format!("{tar}.001"), "--key", &signing]);
    b.apt_takes(&b.key(), &["app"]);
    a.fails(&["mirror", "export", "m", "--to", &tar, "--volume-size", "1MiB"], 1);
    a.fails(&["mirror", "export", "m", "--to", &carrier(disk.path(), "x"), "--volume-size", "1MiB"], 2);
}

#[test]
fn killed_at_any_moment_exports_and_imports_lose_nothing() {
    let upstream = Upstream::with_packages();
    upstream.add("lib", "1.0", "", 20_000_000);
    upstream.publish();
    let a = Head::mirroring(&upstream, FILTER);
    a.ok(&["mirror", "sync", "m"]);
    let disk = tempfile::tempdir().unwrap();
    let mut dice = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(std::process::id());
    let mut moment = |most: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((dice >> 33) % most)
    };
    let kill = |head: &Head, args: &[&str], after: Duration| {
        let mut child = head.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        let _ = child.kill();
        child.wait().unwrap();
    };
    let signing = key(&a);
    for turn in 0..10 {
        let name = if turn % 2 == 0 { "m.tar".to_owned() } else { "m".to_owned() };
        let to = carrier(disk.path(), &name);
        kill(&a, &["mirror", "export", "m", "--to", &to], moment(400));
        assert!(a.ok(&["mirror", "verify", "m"]).contains("all as promised"));
        // Either it is whole, or it is none.
        let b = Head::new();
        if b.run(&["mirror", "import", &to, "--key", &signing]).status.success() {
            assert!(b.ok(&["mirror", "verify", "m"]).contains("all as promised"));
            let path = Path::new(&to);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }
    let to = carrier(disk.path(), "last.tar");
    a.ok(&["mirror", "export", "m", "--to", &to]);
    let b = Head::new();
    // What a kill while links were made leaves: the next import writes under the same name.
    let half_made = b.data().join(format!("mirrors/m/snapshots/.new-{}/tree/dists/trixie", published(&a)));
    fs::create_dir_all(&half_made).unwrap();
    fs::write(half_made.join("InRelease"), "half").unwrap();
    for _ in 0..10 {
        kill(&b, &["mirror", "import", &to, "--key", &signing], moment(500));
        if b.data().join("mirrors/m/current").exists() {
            assert!(b.ok(&["mirror", "verify", "m"]).contains("all as promised"));
        }
    }
    b.ok(&["mirror", "import", &to, "--key", &signing]);
    b.apt_takes(&b.key(), &["app"]);
    let left: Vec<_> = fs::read_dir(b.data().join("mirrors/m")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".import-")), "{left:?}");
    assert_eq!(b.show()["snapshots"], 1);
}
