//! `kickctl mirror refresh` and `errata` of Debian archives: a suite, its security suite over another server, apt as the client and as the oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::time::Duration;

use head::Head;
use serde_json::Value;
use upstream::{Fault, Upstream};

/// A distribution of two archives, and a head that mirrors both.
struct Lab {
    base: Upstream,
    security: Upstream,
    head: Head,
}

const CHANGELOG: &str = "libsrc (1.0+deb1) trixie-security; urgency=high

  * Overflow in parser (CVE-2026-4242), and CVE-2026-4243.

 -- A <a@example.org>  Mon, 23 Nov 2026 10:00:00 +0000

libsrc (1.0) unstable; urgency=low

  * Old: CVE-2020-1111.

 -- A <a@example.org>  Mon, 02 Nov 2026 10:00:00 +0000
";

impl Lab {
    fn new(rest: &str) -> Self {
        let base = Upstream::with_packages();
        let security = Upstream::of_suite("trixie-security");
        security.publish();
        let table = |upstream: &Upstream, more: &str| {
            let (url, suite, keyring) = (&upstream.url, upstream.suite, upstream.keyring());
            let keyring = keyring.display();
            format!(
                "[[source]]\nurl = \"{url}\"\nsuites = [\"{suite}\"]\ncomponents = [\"main\"]\narchitectures = [\"amd64\"]\nkeyring = [\"{keyring}\"]\n{more}"
            )
        };
        let tracker = security.root().join("tracker.json");
        fs::write(
            &tracker,
            r#"{"libsrc": {"CVE-2026-4244": {"releases": {"trixie": {"fixed_version": "1.0+deb1", "urgency": "critical"}}}}}"#,
        )
        .unwrap();
        let more = format!("advisories = \"{}\"\n", tracker.display());
        let head = Head::defining(&format!("{}{}{rest}", table(&base, ""), table(&security, &more)));
        head.ok(&["mirror", "sync", "m"]);
        Self { base, security, head }
    }

    /// Publishes a fix of `lib`.
    fn fix(&self) {
        self.security.add_with_changelog("lib", "1.0+deb1", "Source: libsrc (1.0+deb1)", CHANGELOG);
        self.security.publish();
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.head.run(&[args, &["-o", "json"]].concat());
        assert!(output.status.success(), "{}", head::text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn published(&self) -> String {
        self.head.show()["published"]["snapshot"].as_str().unwrap().to_owned()
    }
}

const FILTER: &str = "[filter]\npriorities = [\"required\"]\nnames = [\"app\"]\n";

#[test]
fn a_refresh_asks_the_update_suites_only_and_tells_what_it_brought() {
    let lab = Lab::new(FILTER);
    let first = lab.published();
    lab.base.asked();
    lab.security.asked();
    assert!(lab.head.ok(&["mirror", "refresh", "m"]).contains("unchanged"));
    assert_eq!((lab.base.asked(), lab.security.asked()), (Vec::<String>::new(), vec!["GET dists/trixie-security/InRelease".to_owned()]));
    lab.fix();
    // The suite without updates may be unreachable meanwhile.
    lab.base.fail("dists/trixie/InRelease", Fault::Missing);
    let told = lab.json(&["mirror", "refresh", "m"]);
    let told = &told[0];
    assert_eq!((told["result"].as_str(), told["former"].as_str()), (Some("published"), Some(first.as_str())), "{told}");
    assert_eq!((&told["added"], &told["superseded"]), (&1.into(), &1.into()));
    assert_eq!(told["packages"], serde_json::json!([{"name": "lib", "arch": "amd64", "before": "1.0", "after": "1.0+deb1"}]));
    assert_eq!(told["advisories"], serde_json::json!({"critical": 1}));
    assert!(told["fetched_bytes"].as_u64().unwrap() > 2_000);
    assert!(lab.base.asked().is_empty());
    lab.head.apt_takes(&lab.head.key(), &["lib=1.0+deb1", "app"]);
    let index = fs::read_to_string(lab.head.tree().join("dists/trixie/main/binary-amd64/Packages")).unwrap();
    assert!(index.contains("Version: 1.0+deb1") && index.matches("Package: lib\n").count() == 1, "what is superseded is out: {index}");
    // A sync finds what a refresh found.
    lab.base.heal();
    assert!(lab.head.ok(&["mirror", "sync", "m"]).contains("unchanged"));
    assert!(lab.head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
}

#[test]
fn errata_name_package_versions_urgency_and_vulnerabilities_and_apt_agrees() {
    let lab = Lab::new(FILTER);
    let first = lab.published();
    assert_eq!(lab.json(&["mirror", "errata", "m"]), serde_json::json!([]));
    lab.fix();
    lab.head.ok(&["mirror", "refresh", "m"]);
    let all = lab.json(&["mirror", "errata", "m"]);
    let expected = serde_json::json!([{
        "id": "libsrc 1.0+deb1", "kind": "security", "severity": "critical", "rating": "critical", "title": "", "issued": null,
        "source": "trixie-security", "cves": ["CVE-2026-4242", "CVE-2026-4243", "CVE-2026-4244"], "reboot": false,
        "packages": [{"name": "lib", "arch": "amd64", "before": "1.0", "after": "1.0+deb1"}],
    }]);
    assert_eq!(all, expected);
    assert_eq!(lab.json(&["mirror", "errata", "m", "--since", &first]), expected);
    assert_eq!(lab.json(&["mirror", "errata", "m", "--since", &lab.published()]), serde_json::json!([]));
    assert_eq!(lab.json(&["mirror", "errata", "m", "--cve", "cve-2026-4242", "--severity", "critical,low"]), expected);
    assert_eq!(lab.json(&["mirror", "errata", "m", "--cve", "CVE-2020-1111"]), serde_json::json!([]));
    assert_eq!(lab.json(&["mirror", "errata", "m", "--severity", "low"]), serde_json::json!([]));
    let upgrades = lab.head.apt_upgrades(&lab.head.key(), &[("app", "1.0", "lib (>= 1.0)"), ("lib", "1.0", ""), ("base", "1.0", "")]);
    assert_eq!(upgrades, [("lib".to_owned(), "1.0+deb1".to_owned())]);
    // What was read of the package is kept; without it, and from the package itself, the answer is the same.
    let cache = lab.head.data().join("mirrors/m/changelogs");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    fs::remove_dir_all(&cache).unwrap();
    assert_eq!(lab.json(&["mirror", "errata", "m"]), expected);
    let told = lab.head.ok(&["mirror", "errata", "m"]);
    assert!(told.contains("libsrc 1.0+deb1") && told.contains("CVE-2026-4242 CVE-2026-4243 CVE-2026-4244"), "{told}");
    lab.head.fails(&["mirror", "errata", "m", "--severity", "grave"], 2);
    lab.head.fails(&["mirror", "errata", "m", "--since", "20200101T000000Z-00000000"], 1);
}

#[test]
fn a_whole_mirror_is_refreshed_byte_for_byte() {
    let lab = Lab::new("");
    lab.fix();
    lab.base.asked();
    assert!(lab.head.ok(&["mirror", "refresh", "m"]).contains("1 critical"));
    assert_eq!(lab.base.asked(), Vec::<String>::new());
    for (upstream, suite) in [(&lab.base, "trixie"), (&lab.security, "trixie-security")] {
        let path = format!("dists/{suite}/InRelease");
        assert_eq!(fs::read(lab.head.tree().join(&path)).unwrap(), fs::read(upstream.root().join(&path)).unwrap());
    }
    assert_eq!(lab.json(&["mirror", "errata", "m"])[0]["cves"][0], "CVE-2026-4242");
}

#[test]
fn a_rollback_holds_until_publish() {
    let lab = Lab::new(FILTER);
    let first = lab.published();
    lab.fix();
    lab.head.ok(&["mirror", "refresh", "m"]);
    lab.head.ok(&["mirror", "rollback", "m"]);
    assert_eq!(lab.published(), first);
    lab.head.apt_takes(&lab.head.key(), &["lib=1.0"]);
    lab.security.add_with_changelog("lib", "1.0+deb2", "Source: libsrc (1.0+deb2)", CHANGELOG);
    lab.security.publish();
    assert!(lab.head.ok(&["mirror", "refresh", "m"]).contains("held"));
    assert_eq!(lab.published(), first);
    lab.head.ok(&["mirror", "publish", "m"]);
    lab.head.apt_takes(&lab.head.key(), &["lib=1.0+deb2"]);
}

#[test]
fn a_failed_refresh_keeps_the_old_and_shows_until_one_succeeds() {
    let lab = Lab::new(FILTER);
    let first = lab.published();
    lab.fix();
    lab.security.fail("pool/lib_1.0+deb1_amd64.deb", Fault::Missing);
    let told = lab.head.fails(&["mirror", "refresh", "m"], 1);
    assert!(told.contains("lib 1.0+deb1"), "{told}");
    assert_eq!(lab.published(), first);
    let last = &lab.head.show()["refresh"];
    assert!(last["result"] == "failed" && last["problem"].as_str().unwrap().contains("lib_1.0+deb1"), "{last}");
    assert!(lab.head.ok(&["mirror", "refresh", "m", "--allow-missing"]).contains("published"));
    assert_eq!(lab.head.show()["refresh"]["problem"], Value::Null);
    // Before the first sync there is nothing to refresh.
    let empty = Head::new();
    empty.add(&lab.base, FILTER);
    assert!(empty.fails(&["mirror", "refresh", "m"], 1).contains("kickctl mirror sync m"));
}

#[test]
fn a_dry_run_changes_nothing_and_is_not_remembered() {
    let lab = Lab::new(FILTER);
    lab.fix();
    let told = lab.json(&["mirror", "refresh", "m", "--dry-run"]);
    assert_eq!((&told[0]["result"], &told[0]["fetched_files"]), (&"planned".into(), &1.into()));
    assert_eq!((&lab.head.show()["refresh"], &lab.head.show()["snapshots"]), (&Value::Null, &1.into()));
}

#[test]
fn killed_at_any_moment_a_refresh_loses_nothing() {
    let lab = Lab::new(FILTER);
    lab.security.fail("pool/lib_1.0+deb1_amd64.deb", Fault::Slow(Duration::from_millis(120)));
    lab.fix();
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(std::process::id());
    for _ in 0..10 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis((state >> 33) % 500);
        let mut child = lab
            .head
            .command(&["mirror", "refresh", "m"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(moment);
        let _ = child.kill();
        child.wait().unwrap();
        assert!(lab.head.ok(&["mirror", "verify", "m"]).contains("all as promised"), "after {moment:?}");
    }
    lab.head.ok(&["mirror", "refresh", "m"]);
    lab.head.apt_takes(&lab.head.key(), &["lib=1.0+deb1"]);
    let snapshots = lab.head.show()["snapshots"].as_u64().unwrap();
    assert_eq!(snapshots, 2, "what was half-made is gone");
    let left: Vec<_> =
        fs::read_dir(lab.head.data().join("mirrors/m/snapshots")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
