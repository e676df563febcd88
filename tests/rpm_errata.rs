//! `kickctl mirror refresh` and `errata` of RPM repositories; the real dnf as the client and as the oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/rpm_upstream.rs"]
mod rpm_upstream;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeSet;
use std::path::PathBuf;

use head::Head;
use rpm_upstream::{Dnf, RpmUpstream};
use serde_json::Value;

/// A distribution with a repository of updates, and a head that mirrors both.
struct Lab {
    upstream: RpmUpstream,
    head: Head,
}

/// An advisory. `fields`: further elements; packages as `name version arch`.
fn update(id: &str, attributes: &str, fields: &str, packages: &[&str]) -> String {
    let package = |text: &&str| {
        let [name, version, arch] = text.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let file = format!("{name}-{version}-1.{arch}.rpm");
        format!(
            "<package name=\"{name}\" version=\"{version}\" release=\"1\" epoch=\"0\" arch=\"{arch}\"><filename>{file}</filename></package>"
        )
    };
    let packages: String = packages.iter().map(package).collect();
    format!(
        "<update from=\"a@example.org\" {attributes}><id>{id}</id><title>{id} of a test</title>{fields}<description>Words.</description>\
         <pkglist><collection short=\"c\"><name>C</name>{packages}</collection></pkglist></update>"
    )
}

const CVE: &str = "<references><reference href=\"https://x/\" id=\"CVE-2026-4242\" type=\"cve\" title=\"t\"/></references>";

/// What distributions really write: dates in all forms, one identifier twice, foreign architectures, a withdrawal.
fn corpus() -> String {
    let all = [
        update(
            "RLSA-1",
            "status=\"final\" type=\"security\" version=\"1\"",
            &format!("<issued date=\"2026-03-01 12:30:00\"/><severity>Important</severity>{CVE}"),
            &["app 1.1 x86_64", "app 1.1 aarch64"],
        ),
        update(
            "RLSA-2",
            "status=\"final\" type=\"security\" version=\"1\"",
            "<issued date=\"2026-03-01 12:30:00 UTC\"/><severity>Critical</severity>",
            &["lib 1.1 x86_64"],
        ),
        update("RLBA-3", "status=\"final\" type=\"bugfix\" version=\"1\"", "<issued date=\"1772368200\"/>", &["lib 1.1 x86_64"]),
        update(
            "RLEA-4",
            "status=\"final\" type=\"enhancement\" version=\"1\"",
            "<issued>2026-03-01 12:30:00</issued>",
            &["deep 1.1 x86_64"],
        ),
        // The same identifier for another matter, in the same version: never merged.
        update(
            "RLSA-1",
            "status=\"final\" type=\"security\" version=\"1\"",
            "<issued date=\"2026-03-01\"/><severity>Low</severity>",
            &["deep 1.1 x86_64"],
        ),
        // Not in this repository.
        update(
            "RLSA-5",
            "status=\"final\" type=\"security\" version=\"1\"",
            "<severity>Low</severity>",
            &["elsewhere 9 x86_64", "app 1.1 s390x"],
        ),
    ];
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<updates>{}</updates>\n", all.concat())
}

impl Lab {
    fn new(rest: &str) -> Self {
        let upstream = RpmUpstream::with_packages();
        upstream.add("updates", "unrelated", "1.0", &[]);
        upstream.publish("updates");
        let head = Head::defining(&format!("{rest}{}{}", upstream.table("base", ""), upstream.table("updates", "")));
        head.ok(&["mirror", "sync", "m"]);
        Self { upstream, head }
    }

    fn publish(&self, updateinfo: &str) {
        for name in ["app", "lib", "deep"] {
            self.upstream.add("updates", name, "1.1", &[]);
        }
        self.upstream.publish("updates");
        self.upstream.add_record("updates", "updateinfo", "updateinfo.xml", updateinfo);
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.head.run(&[args, &["-o", "json"]].concat());
        assert!(output.status.success(), "{}", head::text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn published(&self) -> String {
        self.head.show()["published"]["snapshot"].as_str().unwrap().to_owned()
    }

    /// dnf as a client of the published tree; what is installed stays through snapshots.
    fn dnf(&self) -> Dnf {
        let (key, tree) = (self.upstream.keyring(), self.head.tree());
        let own = self.head.data().join("keys/signing.asc");
        let keys: Vec<&std::path::Path> = if own.exists() { vec![&key, &own] } else { vec![&key] };
        let (base, updates): (PathBuf, PathBuf) = (tree.join("base"), tree.join("updates"));
        Dnf::of(&[("base", &base, &keys), ("updates", &updates, &keys)])
    }
}

/// `id name-version-release.arch` of all that kickctl tells.
fn told(advisories: &Value) -> BTreeSet<String> {
    let of = |advisory: &Value| {
        let id = advisory["id"].as_str().unwrap().to_owned();
        let fix = move |fix: &Value| {
            format!("{id} {}-{}.{}", fix["name"].as_str().unwrap(), fix["after"].as_str().unwrap(), fix["arch"].as_str().unwrap())
        };
        advisory["packages"].as_array().unwrap().iter().map(fix).collect::<Vec<_>>()
    };
    advisories.as_array().unwrap().iter().flat_map(of).collect()
}

/// The same of `dnf updateinfo list`: `RLSA-1 Important/Sec. app-1.1-1.x86_64`.
fn listed(dnf: &str) -> BTreeSet<String> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [id, _, package] if package.ends_with(".x86_64") => Some(format!("{id} {package}")),
            _ => None,
        }
    };
    dnf.lines().filter_map(line).collect()
}

#[test]
fn errata_since_a_snapshot_are_what_dnf_lists_for_a_root_that_was_installed_from_it() {
    let lab = Lab::new("");
    let first = lab.published();
    let dnf = lab.dnf();
    dnf.ok(&["install", "app"]);
    lab.publish(&corpus());
    let report = lab.json(&["mirror", "refresh", "m"]);
    assert_eq!(report[0]["advisories"], serde_json::json!({"critical": 1, "important": 1, "low": 1, "other": 2}), "{report}");
    let list = dnf.ok(&["--refresh", "-q", "updateinfo", "list"]);
    let since = lab.json(&["mirror", "errata", "m", "--since", &first]);
    eprintln!("{list}");
    assert_eq!(told(&since), listed(&list));
    assert_eq!(since[0]["id"], "RLSA-2", "the gravest first");
    // All, whatever is installed.
    assert_eq!(
        told(&lab.json(&["mirror", "errata", "m"])),
        listed(&dnf.ok(&["-q", "updateinfo", "list", "--all"])).into_iter().filter(|line| !line.contains("RLSA-5")).collect()
    );
    // What is told of each.
    let info = dnf.ok(&["-q", "updateinfo", "info"]);
    let important = since.as_array().unwrap().iter().find(|advisory| advisory["severity"] == "important").unwrap();
    assert_eq!((&important["cves"][0], &important["issued"]), (&"CVE-2026-4242".into(), &"2026-03-01T12:30:00Z".into()));
    assert!(info.contains("Update ID: RLSA-1") && info.contains("CVE-2026-4242") && info.contains("Severity: Important"), "{info}");
    for advisory in since.as_array().unwrap() {
        assert!(["2026-03-01T12:30:00Z", "2026-03-01T00:00:00Z"].contains(&advisory["issued"].as_str().unwrap()), "{advisory}");
    }
    dnf.ok(&["upgrade"]);
    assert_eq!(listed(&dnf.ok(&["-q", "updateinfo", "list"])), BTreeSet::new());
}

#[test]
fn withdrawn_advisories_are_none_and_a_higher_version_counts() {
    let lab = Lab::new("");
    let text = [
        update("RLSA-1", "status=\"final\" type=\"security\" version=\"1\"", "<severity>Critical</severity>", &["app 1.1 x86_64"]),
        update("RLSA-1", "status=\"final\" type=\"security\" version=\"2\"", "<severity>Low</severity>", &["app 1.1 x86_64"]),
        update("RLSA-2", "status=\"retracted\" type=\"security\" version=\"1\"", "<severity>Critical</severity>", &["lib 1.1 x86_64"]),
    ];
    lab.publish(&format!("<updates>{}</updates>", text.concat()));
    lab.head.ok(&["mirror", "refresh", "m"]);
    let all = lab.json(&["mirror", "errata", "m"]);
    assert_eq!((told(&all), &all[0]["severity"]), (BTreeSet::from(["RLSA-1 app-1.1-1.x86_64".to_owned()]), &"low".into()));
}

#[test]
fn a_refresh_asks_the_repository_of_updates_only_and_supersedes_in_rebuilt_mirrors() {
    let lab = Lab::new("merge = true\n");
    let head = Head::defining(&format!(
        "merge = true\n{}{}[filter]\nnewest = 1\n",
        lab.upstream.table("base", ""),
        lab.upstream.table("updates", "")
    ));
    head.ok(&["mirror", "sync", "m"]);
    let lab = Lab { head, ..lab };
    let first = lab.published();
    lab.upstream.site.asked();
    assert!(lab.head.ok(&["mirror", "refresh", "m"]).contains("unchanged"));
    assert_eq!(lab.upstream.site.asked(), ["GET updates/repodata/repomd.xml", "GET updates/repodata/repomd.xml.asc"]);
    lab.publish(&corpus());
    let report = lab.json(&["mirror", "refresh", "m"]);
    assert_eq!((&report[0]["added"], &report[0]["superseded"]), (&3.into(), &3.into()), "{report}");
    assert!(!lab.upstream.site.asked().iter().any(|line| line.contains("base/")));
    let (own, key) = (lab.head.data().join("keys/signing.asc"), lab.upstream.keyring());
    let offered = || {
        let dnf = Dnf::of(&[("all", &lab.head.tree(), &[&own, &key])]);
        let told = dnf.ok(&["-q", "repoquery", "--available", "--qf", "%{name}-%{version}"]);
        told.lines().filter(|line| line.starts_with("app-")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(), ["app-1.1"]);
    lab.head.ok(&["mirror", "rollback", "m"]);
    assert_eq!((offered(), lab.published()), (vec!["app-1.0".to_owned()], first));
}

#[test]
fn a_kickstart_tree_that_brings_no_updates_is_not_asked_for() {
    let lab = Lab::new("");
    let root = lab.upstream.root().join("base");
    std::fs::create_dir_all(root.join("images/pxeboot")).unwrap();
    for name in ["vmlinuz", "initrd.img"] {
        std::fs::write(root.join("images/pxeboot").join(name), name).unwrap();
    }
    let treeinfo = "[general]\nfamily = Test\nversion = 9\narch = x86_64\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n";
    std::fs::write(root.join(".treeinfo"), treeinfo).unwrap();
    let head =
        Head::defining(&format!("{}{}[tree]\nrepository = \"base\"\n", lab.upstream.table("base", ""), lab.upstream.table("updates", "")));
    head.ok(&["mirror", "sync", "m"]);
    let lab = Lab { head, ..lab };
    lab.publish(&corpus());
    lab.upstream.site.asked();
    assert!(lab.head.ok(&["mirror", "refresh", "m"]).contains("published"));
    let asked = lab.upstream.site.asked();
    assert!(!asked.iter().any(|line| line.contains("base/")), "{asked:?}");
    assert_eq!(std::fs::read_to_string(lab.head.tree().join("base/.treeinfo")).unwrap(), treeinfo);
    assert_eq!(lab.head.show()["published"]["details"]["installers"][0]["kernel"], "base/images/pxeboot/vmlinuz");
}
