//! What a mirror of RPM repositories does when upstream lies, the disk is full, or the power goes: it says so, and what is published stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/rpm_upstream.rs"]
mod rpm_upstream;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use head::Head;
use kickctl::domain::checksum::Sha256;
use kickctl::repo::openpgp::SigningKey;
use rpm_upstream::{Dnf, Rpm, RpmUpstream};
use time::OffsetDateTime;
use upstream::{Fault, run};

/// Syncs once, lets upstream move on and go wrong, syncs again: that must fail with `code`, say all of `words`, change nothing that is
/// published, and work once upstream is right again.
fn refused(go_wrong: impl FnOnce(&RpmUpstream), code: i32, words: &[&str]) {
    let upstream = RpmUpstream::with_packages();
    let head = Head::defining(&upstream.table("base", ""));
    head.ok(&["mirror", "sync", "m"]);
    let before = (head.contents(), head.show()["published"].clone());
    upstream.add("base", "app", "1.1", &["lib"]);
    upstream.publish("base");
    go_wrong(&upstream);
    let told = head.fails(&["mirror", "sync", "m"], code);
    for word in words {
        assert!(told.contains(word), "should say `{word}`: {told}");
    }
    assert_eq!((head.contents(), head.show()["published"].clone()), before, "what is published stays as it was");
    upstream.site.heal();
    upstream.publish("base");
    head.ok(&["mirror", "sync", "m"]);
    assert!(head.contents().keys().any(|path| path.ends_with("app-1.1-1.x86_64.rpm")));
}

/// The real dnf installs this version of `app` from what is published, everything checked.
fn dnf_takes(head: &Head, upstream: &RpmUpstream, version: &str) {
    let dnf = Dnf::of(&[("base", &head.tree().join("base"), &[&upstream.keyring()])]);
    let told = dnf.ok(&["install", "app"]);
    assert!(told.contains(&format!("{version}-1")), "{told}");
}

/// Replaces primary.xml by what `change` makes of it, with right checksums throughout.
fn replace_primary(upstream: &RpmUpstream, change: impl FnOnce(String) -> String) {
    let repodata = upstream.repodata("base");
    let text = run(Command::new("sh").arg("-c").arg("zcat *-primary.xml.gz").current_dir(&repodata)).stdout;
    let file = upstream.root().join("primary.xml");
    fs::write(&file, change(String::from_utf8(text).unwrap())).unwrap();
    run(Command::new("modifyrepo_c").args(["--remove", "primary"]).arg(&repodata));
    run(Command::new("modifyrepo_c").arg("--mdtype=primary").arg(&file).arg(&repodata));
    upstream.sign("base");
}

#[test]
fn one_wrong_package_of_five_hundred_is_told_and_dnf_is_served_the_old_snapshot() {
    let upstream = RpmUpstream::with_packages();
    for number in 0..496 {
        upstream.build("base", &Rpm { name: &format!("part{number}"), version: "1.0", requires: &[], size: 200 });
    }
    upstream.publish("base");
    let head = Head::defining(&upstream.table("base", ""));
    head.ok(&["mirror", "sync", "m"]);
    let before = head.contents();
    upstream.build("base", &Rpm { name: "part7", version: "1.1", requires: &[], size: 200 });
    upstream.add("base", "app", "1.1", &["lib"]);
    upstream.publish("base");
    upstream.site.fail("base/Packages/part7-1.1-1.x86_64.rpm", Fault::Flip);
    let told = head.fails(&["mirror", "sync", "m"], 1);
    for words in ["files that could not be had (1)", "Packages/part7-1.1-1.x86_64.rpm (part7-1.1-1.x86_64)", "expected SHA-256", "baseurl"]
    {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(head.contents(), before);
    dnf_takes(&head, &upstream, "1.0");
    // The other new package is kept: the next sync fetches one file.
    upstream.site.heal();
    upstream.site.asked();
    head.ok(&["mirror", "sync", "m"]);
    let asked = upstream.site.asked().into_iter().filter(|line| line.ends_with(".rpm")).collect::<Vec<_>>();
    assert_eq!(asked, ["GET base/Packages/part7-1.1-1.x86_64.rpm"]);
}

#[test]
fn a_signature_of_another_generation_is_refused() {
    let old_signature = |upstream: &RpmUpstream| {
        let repomd = upstream.repodata("base").join("repomd.xml");
        let text = fs::read_to_string(&repomd).unwrap();
        fs::write(&repomd, text.replace("</repomd>", "<!-- newer --></repomd>")).unwrap();
    };
    refused(old_signature, 4, &["repodata/repomd.xml.asc is not trusted", "changed after it was signed"]);
}

#[test]
fn a_missing_signature_is_refused() {
    let lose = |upstream: &RpmUpstream| fs::remove_file(upstream.repodata("base").join("repomd.xml.asc")).unwrap();
    refused(lose, 4, &["repodata/repomd.xml.asc is not there", "repo_gpgcheck = false"]);
}

#[test]
fn another_key_is_refused() {
    let sign = |upstream: &RpmUpstream| {
        let other = SigningKey::generate("somebody else", OffsetDateTime::now_utc()).unwrap();
        let repomd = upstream.repodata("base").join("repomd.xml");
        let signature = other.sign_detached(&fs::read(&repomd).unwrap(), OffsetDateTime::now_utc()).unwrap();
        fs::write(repomd.with_extension("xml.asc"), signature).unwrap();
    };
    refused(sign, 4, &["repomd.xml.asc is not trusted", "which the keyring does not hold"]);
}

#[test]
fn an_expired_key_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let gpg = |args: &[&str]| {
        let mut command = Command::new("gpg");
        command.args(["--homedir", home.path().to_str().unwrap(), "--batch", "--passphrase", "", "--faked-system-time", "20260101T000000"]);
        run(command.args(args))
    };
    gpg(&["--quick-generate-key", "expired", "ed25519", "sign", "10d"]);
    let upstream = RpmUpstream::with_packages();
    let repomd = upstream.repodata("base").join("repomd.xml");
    let signature = repomd.with_extension("xml.asc");
    gpg(&["--yes", "--armor", "--output", signature.to_str().unwrap(), "--detach-sign", repomd.to_str().unwrap()]);
    fs::write(upstream.keyring(), gpg(&["--armor", "--export"]).stdout).unwrap();
    let head = Head::defining(&upstream.table("base", ""));
    let told = head.fails(&["mirror", "sync", "m"], 4);
    assert!(told.contains("repomd.xml.asc is not trusted") && told.contains("expired at"), "{told}");
    assert!(head.show()["published"].is_null());
}

#[test]
fn an_older_root_is_refused_as_a_rollback() {
    let age = |upstream: &RpmUpstream| {
        let repomd = upstream.repodata("base").join("repomd.xml");
        let text = fs::read_to_string(&repomd).unwrap();
        let aged: String = text
            .lines()
            .map(
                |line| {
                    if line.contains("<timestamp>") { "    <timestamp>1000000000</timestamp>\n".to_owned() } else { format!("{line}\n") }
                },
            )
            .collect();
        fs::write(&repomd, aged).unwrap();
        upstream.sign("base");
    };
    refused(age, 4, &["repodata/repomd.xml is refused", "refused as a rollback"]);
}

#[test]
fn a_metalink_that_lies_is_refused() {
    let upstream = RpmUpstream::with_packages();
    let text = |digest: Sha256| {
        format!(
            "<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\"><files><file name=\"repomd.xml\"><verification><hash type=\"sha256\">\
             {digest}</hash></verification><resources><url protocol=\"http\">{}/repodata/repomd.xml</url></resources></file></files></metalink>",
            upstream.url("base")
        )
    };
    let right = || text(Sha256::of(&fs::read(upstream.repodata("base").join("repomd.xml")).unwrap()));
    fs::write(upstream.root().join("metalink"), right()).unwrap();
    let table = upstream.table("base", "");
    let head = Head::defining(
        &table.replace(&format!("baseurl = [\"{}\"]", upstream.url("base")), &format!("metalink = \"{}/metalink\"", upstream.site.url)),
    );
    head.ok(&["mirror", "sync", "m"]);
    let before = head.contents();
    let lie = Sha256::of(b"something else");
    fs::write(upstream.root().join("metalink"), text(lie)).unwrap();
    let told = head.fails(&["mirror", "sync", "m"], 4);
    for words in ["repodata/repomd.xml is refused", &format!("promises sha256:{lie}"), "one of both lies"] {
        assert!(told.contains(words), "{told}");
    }
    fs::write(upstream.root().join("metalink"), "<html>not here</html>").unwrap();
    assert!(head.fails(&["mirror", "sync", "m"], 4).contains("as a metalink"));
    assert_eq!(head.contents(), before);
    fs::write(upstream.root().join("metalink"), right()).unwrap();
    head.ok(&["mirror", "sync", "m"]);
}

#[test]
fn a_location_that_leaves_the_repository_is_refused() {
    let lead_out = |upstream: &RpmUpstream| replace_primary(upstream, |text| text.replace("Packages/app-1.1-1", "../../../etc/app-1.1-1"));
    refused(lead_out, 4, &["as `primary`", "../../../etc/app-1.1-1.x86_64.rpm", "Nothing was taken"]);
}

#[test]
fn a_location_at_another_host_is_not_followed() {
    let elsewhere = |upstream: &RpmUpstream| {
        replace_primary(upstream, |text| text.replace("<location href", "<location xml:base=\"http://elsewhere.example/\" href"));
    };
    refused(elsewhere, 4, &["lies elsewhere (http://elsewhere.example/)", "Nothing was taken"]);
}

#[test]
fn an_xml_bomb_is_refused() {
    let bomb = |upstream: &RpmUpstream| {
        let entities: String = (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
        let doctype = format!("<!DOCTYPE metadata [<!ENTITY l0 \"bomb\">{entities}]>\n<metadata ");
        replace_primary(upstream, |text| text.replacen("<metadata ", &doctype, 1).replacen("<summary>", "<summary>&l9;", 1));
    };
    refused(bomb, 4, &["as `primary`", "entity", "Nothing was taken"]);
}

#[test]
fn a_zst_bomb_is_refused() {
    let bomb = |upstream: &RpmUpstream| {
        // 300 MB of one summary, and a root that says there are 30 kB.
        let script = "(zcat *-primary.xml.gz | sed '/<\\/metadata>/d'; head -c 300000000 /dev/zero | tr '\\0' ' '; echo '</metadata>') | zstd -q -o primary.xml.zst";
        let repodata = upstream.repodata("base");
        run(Command::new("sh").arg("-c").arg(script).current_dir(&repodata));
        let bytes = fs::read(repodata.join("primary.xml.zst")).unwrap();
        let record = format!(
            "<data type=\"primary\"><checksum type=\"sha256\">{}</checksum><location href=\"repodata/primary.xml.zst\"/><size>{}</size>\
             <open-size>30000</open-size>",
            Sha256::of(&bytes),
            bytes.len()
        );
        let repomd = repodata.join("repomd.xml");
        let text = fs::read_to_string(&repomd).unwrap();
        let (before, rest) = text.split_once("<data type=\"primary\">").unwrap();
        let (_, behind) = rest.split_once("</data>").unwrap();
        fs::write(&repomd, format!("{before}{record}</data>{behind}")).unwrap();
        upstream.sign("base");
    };
    refused(bomb, 4, &["as `primary`", "decompression bomb", "Nothing was taken"]);
}

#[test]
fn a_record_that_is_another_than_was_signed_is_refused() {
    let swap = |upstream: &RpmUpstream| {
        for entry in fs::read_dir(upstream.repodata("base")).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.contains("filelists.xml") {
                upstream.site.fail(&format!("base/repodata/{name}"), Fault::Flip);
            }
        }
    };
    refused(swap, 1, &["filelists.xml.gz", "expected SHA-256", "try again later"]);
}

#[test]
fn a_package_that_nobody_signed_is_refused_on_request() {
    let upstream = RpmUpstream::with_packages();
    let head = Head::defining(&upstream.table("base", "gpgcheck = true"));
    head.ok(&["mirror", "sync", "m"]);
    let before = head.contents();
    upstream.build_unsigned("base", &Rpm { name: "bare", version: "1.0", requires: &[], size: 200 });
    upstream.publish("base");
    let told = head.fails(&["mirror", "sync", "m"], 4);
    assert!(told.contains("bare-1.0-1.x86_64") && told.contains("no signature over its header") && told.contains("`gpgcheck`"), "{told}");
    assert_eq!(head.contents(), before);
}

#[test]
fn upstream_may_change_under_a_running_sync() {
    let upstream = RpmUpstream::with_packages();
    let head = Head::defining(&upstream.table("base", ""));
    upstream.site.fail("base/Packages/lib-1.0-1.x86_64.rpm", Fault::Held);
    let sync = head.command(&["mirror", "sync", "m"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !upstream.site.asked().iter().any(|line| line.contains("lib-1.0")) {
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::remove_file(upstream.root().join("base/Packages/lib-1.0-1.x86_64.rpm")).unwrap();
    upstream.add("base", "lib", "1.1", &[]);
    upstream.publish("base");
    upstream.site.heal();
    let output = sync.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", head::text(&output));
    assert!(head.tree().join("base/Packages/lib-1.1-1.x86_64.rpm").is_file());
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
}

#[test]
fn upstream_that_changes_at_every_request_is_told_and_what_is_published_stays() {
    let upstream = RpmUpstream::with_packages();
    let head = Head::defining(&upstream.table("base", ""));
    head.ok(&["mirror", "sync", "m"]);
    let before = head.contents();
    let package = |number: u32| format!("base/Packages/lib-1.{number}-1.x86_64.rpm");
    let change = |number: u32| {
        fs::remove_file(upstream.root().join(package(number))).unwrap();
        upstream.add("base", "lib", &format!("1.{}", number + 1), &[]);
        upstream.site.fail(&package(number + 1), Fault::Held);
        upstream.publish("base");
        upstream.site.release(&package(number));
    };
    change(0);
    let mut sync = head.command(&["mirror", "sync", "m"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut number = 1;
    while sync.try_wait().unwrap().is_none() {
        if upstream.site.asked().iter().any(|line| line.ends_with(&package(number))) {
            change(number);
            number += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = sync.wait_with_output().unwrap();
    let told = head::text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("reading it once more") && told.contains("Packages/lib-1."), "{told}");
    assert!(number > 2, "upstream changed {number} times");
    assert_eq!(head.contents(), before);
    upstream.site.heal();
    head.ok(&["mirror", "sync", "m"]);
}

/// What a file system runs out of: every write that makes it fuller takes a page for content or a name for a file, a folder or a link.
#[derive(Clone, Copy, Debug)]
enum Scarce {
    Pages,
    Names,
}

/// A file system in memory with a copy of a folder in it, as `data`. Unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn holding(data: &Path, at: &'a Path) -> Self {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=100m", "tmpfs"]).arg(at));
        let disk = Self(at);
        run(Command::new("cp").arg("-a").arg(data).arg(at.join("data")));
        disk
    }

    /// The write after this many more is the first that fails.
    fn leave(&self, writes: u64, scarce: Scarce) {
        let state = rustix::fs::statvfs(self.0).unwrap();
        let limit = match scarce {
            Scarce::Pages => format!("size={}", (state.f_blocks - state.f_bfree + writes) * state.f_frsize),
            Scarce::Names => format!("nr_inodes={}", state.f_files - state.f_ffree + writes),
        };
        self.remount(&limit);
    }

    fn remount(&self, limit: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{limit}")]).arg(self.0));
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// From the same state each time: the first 10 writes of a sync succeed, the first 20, the first 30 ... until it comes to its end.
#[test]
fn a_disk_that_is_full_at_every_tenth_write_is_told_and_nothing_is_lost() {
    let work = tempfile::tempdir().unwrap();
    let place = work.path().join("disk");
    fs::create_dir(&place).unwrap();
    let upstream = RpmUpstream::with_packages();
    let head = Head::at(place.join("data"));
    // A rebuilt repository writes more, and in more places.
    head.define(&format!("{}[filter]\nnames = [\"app\", \"part*\"]\n", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    let before = head.contents();
    for number in 0..30 {
        upstream.build("base", &Rpm { name: &format!("part{number}"), version: "1.0", requires: &[], size: 10_000 });
    }
    upstream.publish("base");
    let kept = work.path().join("data");
    fs::rename(place.join("data"), &kept).unwrap();
    for (scarce, least) in [(Scarce::Pages, 10), (Scarce::Names, 5)] {
        let mut failed = 0;
        for writes in (10..).step_by(10) {
            assert!(writes < 2_000, "it never fits");
            let disk = SmallDisk::holding(&kept, &place);
            disk.leave(writes, scarce);
            let output = head.run(&["mirror", "sync", "m"]);
            if output.status.success() {
                break;
            }
            let told = head::text(&output);
            assert!(told.contains("No space left") && told.contains("make room"), "{scarce:?} {writes}: {told}");
            assert_eq!(head.contents(), before, "{scarce:?} {writes}: {told}");
            disk.remount("size=100m,nr_inodes=100k");
            head.ok(&["mirror", "sync", "m"]);
            assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"), "{scarce:?} {writes}");
            assert_eq!(fs::read_dir(head.tree().join("base/Packages")).unwrap().count(), 33, "{scarce:?} {writes}");
            failed += 1;
        }
        assert!(failed >= least, "{scarce:?}: only {failed} places in a sync were tried");
    }
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

fn whole(tree: &Path) -> bool {
    head::contents(tree).keys().all(|path| !path.to_string_lossy().contains(".new-"))
}

#[test]
fn kill_9_at_ten_random_moments_leaves_a_tree_that_dnf_takes_and_the_next_run_finishes() {
    let upstream = RpmUpstream::with_packages();
    let release = |number: u32| {
        for part in 0..30 {
            let version = format!("1.{number}");
            upstream.build("base", &Rpm { name: &format!("part{part}"), version: &version, requires: &[], size: 40_000 });
        }
        upstream.publish("base");
    };
    release(0);
    let head = Head::defining(&format!("{}[filter]\nnewest = 1\n", upstream.table("base", "")));
    let started = std::time::Instant::now();
    head.ok(&["mirror", "sync", "m"]);
    let took = started.elapsed();
    let own = head.data().join("keys/signing.asc");
    let (mut killed, mut round, mut moments) = (0, 0, Vec::new());
    while killed < 10 {
        round += 1;
        assert!(round <= 60, "only {killed} syncs were killed while they ran, after {moments:?} of {took:?}");
        release(round);
        let moment = took.mul_f64(rand::random::<f64>());
        moments.push(moment);
        killed += u32::from(kill_after(&head, moment));
        assert!(whole(&head.tree()), "{moments:?}");
        assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"), "{moments:?}");
        if round % 5 == 0 {
            Dnf::of(&[("base", &head.tree().join("base"), &[&own, &upstream.keyring()])]).ok(&["install", "app", "part1"]);
        }
    }
    head.ok(&["mirror", "sync", "m"]);
    let newest = fs::read_dir(head.tree().join("base/Packages"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(&format!("-1.{round}-")));
    assert_eq!(newest.count(), 30);
    let names: Vec<_> = fs::read_dir(head.data().join("mirrors/m/snapshots")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
}
