//! What a mirror does when upstream lies, the disk is full, or the power goes: it says so, and what is published stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use head::{FILTER, Head};
use kickctl::repo::openpgp::SigningKey;
use time::OffsetDateTime;
use upstream::{Fault, Upstream, run};

const DAY: Duration = Duration::from_secs(86400);

/// Syncs once, lets upstream move on and go wrong, syncs again: that must fail with `code`, say all of `words`, change nothing that is
/// published, and work once upstream is right again.
fn refused(go_wrong: impl FnOnce(&Upstream), code: i32, words: &[&str]) {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    let before = (head.contents(), head.show()["published"].clone());
    upstream.add("app", "1.1", "Depends: lib (>= 1.0)", 5_000);
    upstream.publish();
    go_wrong(&upstream);
    let told = head.fails(&["mirror", "sync", "m"], code);
    for word in words {
        assert!(told.contains(word), "should say `{word}`: {told}");
    }
    assert_eq!((head.contents(), head.show()["published"].clone()), before, "what is published stays as it was");
    head.apt_takes(&head.key(), &["app=1.0"]);
    upstream.heal();
    fs::write(upstream.keyring(), upstream.key.public_bytes().unwrap()).unwrap();
    upstream.publish();
    head.ok(&["mirror", "sync", "m"]);
    head.apt_takes(&head.key(), &["app=1.1"]);
}

#[test]
fn a_flipped_byte_is_refused() {
    let words = ["pool/app_1.1_amd64.deb", "expected SHA-256", "needed by the mirror's definition", "--allow-missing"];
    refused(|upstream| upstream.fail("pool/app_1.1_amd64.deb", Fault::Flip), 1, &words);
}

#[test]
fn a_download_that_stays_truncated_is_refused() {
    let words = ["pool/app_1.1_amd64.deb", "could not be fetched", "--local DIR"];
    refused(|upstream| upstream.fail("pool/app_1.1_amd64.deb", Fault::Cut(1000)), 1, &words);
}

#[test]
fn a_file_longer_than_promised_is_refused() {
    refused(|upstream| upstream.fail("pool/app_1.1_amd64.deb", Fault::Longer), 1, &["pool/app_1.1_amd64.deb", "expected", "bytes, got"]);
}

#[test]
fn a_file_that_is_gone_is_told_with_who_needs_it() {
    let lose = |upstream: &Upstream| {
        upstream.add("lib", "1.1", "", 3_000);
        upstream.publish();
        upstream.fail("pool/lib_1.1_amd64.deb", Fault::Missing);
        upstream.fail("pool/base_1.0_amd64.deb", Fault::Flip); // held already: not asked for
    };
    refused(lose, 1, &["pool/lib_1.1_amd64.deb (lib 1.1 amd64)", "404", "needed by app", "--allow-missing"]);
}

#[test]
fn an_older_release_file_is_refused_as_a_rollback() {
    let words = ["dists/trixie/InRelease", "refused as a rollback", "Nothing was taken"];
    refused(|upstream| upstream.publish_dated(OffsetDateTime::now_utc() - 10 * DAY, None), 4, &words);
}

#[test]
fn an_expired_release_file_is_refused() {
    let expire = |upstream: &Upstream| {
        // Later than what is held, so that it is no rollback, and yet over.
        let now = OffsetDateTime::now_utc();
        upstream.publish_dated(now, Some(now - Duration::from_secs(1)));
    };
    refused(expire, 4, &["dists/trixie/InRelease", "expired at", "check the address and the clock"]);
}

#[test]
fn a_release_file_that_expires_while_upstream_stands_still_is_refused() {
    let upstream = Upstream::with_packages();
    let now = OffsetDateTime::now_utc();
    upstream.publish_dated(now, Some(now + Duration::from_secs(4)));
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    std::thread::sleep(Duration::from_secs(5));
    let told = head.fails(&["mirror", "sync", "m"], 4);
    assert!(told.contains("expired at"), "{told}");
}

#[test]
fn a_forged_signature_is_refused() {
    let forge = |upstream: &Upstream| {
        let path = upstream.root().join("dists/trixie/InRelease");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("Label: Debian", "Label: Evil")).unwrap();
    };
    refused(forge, 4, &["dists/trixie/InRelease is not trusted", "changed after it was signed"]);
}

#[test]
fn another_key_is_refused() {
    let sign = |upstream: &Upstream| {
        let other = SigningKey::generate("somebody else", OffsetDateTime::now_utc()).unwrap();
        let text = fs::read_to_string(upstream.root().join("dists/trixie/Release")).unwrap();
        let signed = other.sign_cleartext(&text, OffsetDateTime::now_utc()).unwrap();
        fs::write(upstream.root().join("dists/trixie/InRelease"), signed).unwrap();
    };
    refused(sign, 4, &["dists/trixie/InRelease is not trusted", "which the keyring does not hold"]);
}

#[test]
fn a_file_name_that_leaves_the_archive_is_refused() {
    let lead_out = |upstream: &Upstream| {
        let path = upstream.root().join("dists/trixie/main/binary-amd64/Packages");
        let text = fs::read_to_string(path).unwrap();
        upstream.write_index(text.replace("Filename: pool/app_1.1_amd64.deb", "Filename: ../../etc/passwd").as_bytes());
        upstream.sign(OffsetDateTime::now_utc(), None);
    };
    refused(lead_out, 4, &["Packages.gz is refused", "../../etc/passwd", "Nothing was taken"]);
}

#[test]
fn a_decompression_bomb_is_refused() {
    let bomb = |upstream: &Upstream| {
        let folder = upstream.root().join("dists/trixie/main/binary-amd64");
        for name in ["Packages", "Packages.gz"] {
            fs::remove_file(folder.join(name)).unwrap();
        }
        // 600 MB of a folded field in 90 KB.
        let head = "Package: bomb\nVersion: 1\nArchitecture: amd64\nDescription: x\n";
        let script =
            format!("(printf '{}'; yes ' {}' | head -c 600000000) | xz -1 > Packages.xz", head.replace('\n', "\\n"), "b".repeat(70));
        run(Command::new("sh").arg("-c").arg(script).current_dir(&folder));
        upstream.sign(OffsetDateTime::now_utc(), None);
    };
    refused(bomb, 4, &["Packages.xz is refused", "Nothing was taken"]);
}

#[test]
fn many_blank_stanzas_are_no_way_around_the_limit() {
    let bomb = |upstream: &Upstream| {
        let folder = upstream.root().join("dists/trixie/main/binary-amd64");
        for name in ["Packages", "Packages.gz"] {
            fs::remove_file(folder.join(name)).unwrap();
        }
        run(Command::new("sh").args(["-c", "head -c 600000000 /dev/zero | tr '\\0' '\\n' | xz -1 > Packages.xz"]).current_dir(&folder));
        upstream.sign(OffsetDateTime::now_utc(), None);
    };
    refused(bomb, 4, &["Packages.xz is refused", "decompression bomb"]);
}

#[test]
fn an_index_that_is_another_than_was_signed_is_refused() {
    let swap = |upstream: &Upstream| {
        for form in ["", ".gz", ".xz"] {
            upstream.fail(&format!("dists/trixie/main/binary-amd64/Packages{form}"), Fault::Flip);
        }
    };
    refused(swap, 1, &["main/binary-amd64/Packages.gz", "expected SHA-256", "try again later"]);
}

#[test]
fn an_index_form_that_is_not_there_is_replaced_by_another() {
    let upstream = Upstream::with_packages();
    upstream.fail("dists/trixie/main/binary-amd64/Packages.gz", Fault::Missing);
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    head.apt_takes(&head.key(), &["app"]);
}

#[test]
fn by_leave_what_upstream_lost_is_left_out_and_listed() {
    let upstream = Upstream::with_packages();
    let head = Head::mirroring(&upstream, FILTER);
    upstream.fail("pool/lib_1.0_amd64.deb", Fault::Missing);
    upstream.fail("pool/base_1.0_amd64.deb", Fault::Missing);
    let told = head.fails(&["mirror", "sync", "m"], 1);
    assert!(told.contains("lib_1.0") && told.contains("base_1.0") && told.contains("files that could not be had (2)"), "{told}");
    let told = head.ok(&["mirror", "sync", "m", "--allow-missing"]);
    assert!(told.contains("left out: pool/lib_1.0_amd64.deb") && told.contains("needed by app"), "{told}");
    assert_eq!(head.packages(), ["app"]);
    // What was left out is asked for again, although upstream's index did not change.
    upstream.heal();
    head.ok(&["mirror", "sync", "m"]);
    assert_eq!(head.packages(), ["app", "base", "lib"]);
}

#[test]
fn a_dependency_that_nobody_has_is_told() {
    let upstream = Upstream::with_packages();
    upstream.add("app", "2.0", "Depends: lib (>= 3), ghost", 2_000);
    upstream.publish();
    let head = Head::mirroring(&upstream, "[filter]\nnames = [\"app\", \"typo\"]\n");
    let told = head.fails(&["mirror", "sync", "m"], 1);
    for words in
        ["app 2.0 amd64 needs ghost, which no package is or provides", "needs lib (>= 3), which exists in other versions only", "typo"]
    {
        assert!(told.contains(words), "{told}");
    }
}

/// A file system of 4 MB, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path()));
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    let disk = SmallDisk::new();
    let upstream = Upstream::with_packages();
    let head = Head::at(disk.0.path().join("data"));
    head.add(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    let before = head.contents();
    upstream.add("app", "1.1", "Depends: lib", 6_000_000);
    upstream.publish();
    let told = head.fails(&["mirror", "sync", "m"], 1);
    assert!(told.contains("make room on that disk") && told.contains("No space left"), "{told}");
    assert_eq!(head.contents(), before);
    head.apt_takes(&head.key(), &["app=1.0"]);
    run(Command::new("mount").args(["-o", "remount,size=32m"]).arg(disk.0.path()));
    head.ok(&["mirror", "sync", "m"]);
    head.apt_takes(&head.key(), &["app=1.1"]);
}

/// Kills a sync with SIGKILL after a delay. True if it was still running.
fn kill_after(head: &Head, delay: Duration) -> bool {
    let mut sync = head.command(&["mirror", "sync", "m", "-q"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    let running = sync.try_wait().unwrap().is_none();
    sync.kill().unwrap();
    sync.wait().unwrap();
    running
}

fn no_partial_names(tree: &Path) -> bool {
    head::contents(tree).keys().all(|path| !path.to_string_lossy().contains(".new-"))
}

#[test]
fn kill_9_at_any_moment_leaves_a_tree_that_apt_takes_and_the_next_run_finishes() {
    let upstream = Upstream::new();
    upstream.add("base", "1.0", "Priority: required", 2_000);
    for number in 0..30 {
        upstream.add(&format!("part{number}"), "1.0", "", 40_000);
    }
    let depends = |version: &str| (0..30).map(|number| format!("part{number} (= {version})")).collect::<Vec<_>>().join(", ");
    upstream.add("app", "1.0", &format!("Depends: {}", depends("1.0")), 2_000);
    upstream.publish();
    let head = Head::mirroring(&upstream, FILTER);
    head.ok(&["mirror", "sync", "m"]);
    let took = {
        let start = std::time::Instant::now();
        head.ok(&["mirror", "sync", "m"]);
        start.elapsed()
    };
    let mut killed = 0;
    for round in 1..=10_u32 {
        let version = format!("1.{round}");
        for number in 0..30 {
            upstream.add(&format!("part{number}"), &version, "", 40_000 + number);
        }
        upstream.add("app", &version, &format!("Depends: {}", depends(&version)), 2_000);
        upstream.publish();
        upstream.fail(&format!("pool/part{round}_{version}_amd64.deb"), Fault::Slow(Duration::from_millis(150)));
        // Moments from the start to well past the last download, one in each tenth.
        let former = head.show()["published"]["snapshot"].clone();
        let jitter = u64::from(std::process::id().wrapping_mul(round) % 40);
        killed += u32::from(kill_after(&head, took * round / 4 + Duration::from_millis(jitter)));
        assert!(no_partial_names(&head.tree()));
        let shown = head.show()["published"]["snapshot"].clone();
        let offered = if shown == former { format!("app=1.{}", round - 1) } else { format!("app={version}") };
        head.apt_takes(&head.key(), &[&offered]);
        if round % 3 == 0 {
            head.ok(&["mirror", "sync", "m"]);
            head.apt_takes(&head.key(), &[&format!("app={version}")]);
        } else {
            // Killed twice, the second time while it resumes.
            kill_after(&head, took);
            head.ok(&["mirror", "sync", "m"]);
        }
        assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    }
    assert!(killed >= 3, "only {killed} of 10 were killed while they ran: the moments are badly chosen");
    let names: Vec<_> = fs::read_dir(head.data().join("mirrors/m/snapshots")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
}
