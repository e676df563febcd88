//! The installer that a mirror carries: where its kernel and initrd come from, and which udebs come with them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use head::Head;
use time::OffsetDateTime;
use upstream::{Fault, Upstream, run};

/// The roots of an unattended installation, and their kernel modules.
const ROOTS: [&str; 18] = [
    "apt-mirror-setup",
    "apt-setup-udeb",
    "base-installer",
    "bootstrap-base",
    "clock-setup",
    "di-utils-mapdevfs",
    "finish-install",
    "grub-installer",
    "partman-auto",
    "partman-auto-lvm",
    "partman-base",
    "partman-basicfilesystems",
    "partman-basicmethods",
    "partman-efi",
    "partman-ext3",
    "partman-target",
    "pkgsel",
    "user-setup-udeb",
];
const MODULES: [&str; 3] = ["ext4-modules", "fat-modules", "scsi-modules"];

/// Builds a udeb with the real dpkg-deb.
fn udeb(folder: &Path, name: &str, version: &str, fields: &str) {
    let file = folder.join(format!("{name}_{version}_amd64.deb"));
    upstream::build(&file, name, version, format!("Section: debian-installer\n{fields}").trim_end(), 500);
    fs::rename(&file, file.with_extension("udeb")).unwrap();
}

fn modules(folder: &Path, kernel: &str) {
    for name in MODULES {
        udeb(folder, &format!("{name}-{kernel}-di"), "1", &format!("Provides: {name}\nKernel-Version: {kernel}"));
    }
}

/// A kernel (any bytes) and an initrd with modules of that kernel and a dpkg status, by the real cpio.
fn images(folder: &Path, kernel: &str) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("lib/modules").join(kernel)).unwrap();
    fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
    let status = "Package: libc6-udeb\nStatus: install ok unpacked\nVersion: 2.41\nArchitecture: amd64\n\n";
    fs::write(root.path().join("var/lib/dpkg/status"), status).unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("linux"), format!("kernel {kernel}")).unwrap();
    let pack = format!("find . | cpio -o -H newc --quiet | gzip > {}/initrd.gz", folder.display());
    run(Command::new("sh").arg("-c").arg(pack).current_dir(root.path()));
}

/// An archive with udebs: the roots, modules of `kernel`, and one that lacks something.
fn archive(kernel: &str) -> Upstream {
    let upstream = Upstream::with_packages();
    let pool = upstream.root().join("pool/di");
    for name in ROOTS {
        udeb(&pool, name, "1", "Depends: libc6-udeb");
    }
    udeb(&pool, "partman-xfs", "1", "Priority: standard\nDepends: xfsprogs-udeb");
    modules(&pool, kernel);
    index(&upstream);
    upstream
}

fn index(upstream: &Upstream) {
    let folder = upstream.root().join("dists/trixie/main/debian-installer/binary-amd64");
    fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new("apt-ftparchive");
    command.args(["-o", "APT::FTPArchive::Packages::Extensions=.udeb", "packages", "pool"]).current_dir(upstream.root());
    let text = String::from_utf8(run(command.stderr(Stdio::null())).stdout).unwrap();
    let udebs: String = text.split_inclusive("\n\n").filter(|stanza| stanza.contains("Filename: pool/di/")).collect();
    assert!(udebs.contains("Package: pkgsel"), "{text}");
    fs::write(folder.join("Packages.gz"), kickctl::repo::compress::compress_gz(udebs.as_bytes()).unwrap()).unwrap();
    upstream.publish();
}

/// Publishes images where Debian does, covered by the Release file.
fn publish_images(upstream: &Upstream, kernel: &str) {
    let folder = upstream.root().join("dists/trixie/main/installer-amd64/current/images");
    images(&folder.join("netboot/debian-installer/amd64"), kernel);
    run(Command::new("sh").args(["-c", "find . -type f ! -name SHA256SUMS | xargs sha256sum > SHA256SUMS"]).current_dir(&folder));
    // apt-ftparchive's Release takes in files of its own patterns only.
    upstream.sign_with(OffsetDateTime::now_utc(), &["main/installer-amd64/current/images/SHA256SUMS"]);
}

fn add(head: &Head, upstream: &Upstream, local: Option<&Path>) {
    let local = local.map_or(String::new(), |folder| format!("local = [\"{}\"]\n", folder.display()));
    let text = format!(
        "{local}[[source]]\nurl = \"{}\"\nsuites = [\"trixie\"]\ncomponents = [\"main\", \"main/debian-installer\"]\narchitectures = [\"amd64\"]\n\
         keyring = [\"{}\"]\n[filter]\nnames = [\"app\"]\n[installer]\nsuite = \"trixie\"\narchitectures = [\"amd64\"]\npackage = \"di-images\"\n",
        upstream.url,
        upstream.keyring().display()
    );
    let file = head.aside().join("m.toml");
    fs::write(&file, text).unwrap();
    head.ok(&["mirror", "add", "m", "--file", file.to_str().unwrap()]);
}

/// Kernel release of the published installer, and the published udebs.
fn published(head: &Head) -> (String, Vec<String>) {
    let details = head.show()["published"]["details"].clone();
    let installer = &details["installers"][0];
    for name in ["kernel", "initrd"] {
        assert!(head.tree().join(installer[name].as_str().unwrap()).is_file(), "{installer}");
    }
    let index = head.tree().join("dists/trixie/main/debian-installer/binary-amd64/Packages");
    let text = fs::read_to_string(index).unwrap();
    for stanza in text.split("\n\n").filter(|stanza| stanza.contains("Package: pkgsel")) {
        assert!(stanza.contains("Priority: standard"), "the installer loads roots by itself only at that priority: {stanza}");
    }
    let names = text.lines().filter_map(|line| line.strip_prefix("Package: ")).map(str::to_owned).collect();
    (installer["kernel_release"].as_str().unwrap().to_owned(), names)
}

#[test]
fn upstreams_own_images_are_taken_by_the_hash_chain() {
    let upstream = archive("6.12.94-amd64");
    publish_images(&upstream, "6.12.94-amd64");
    let head = Head::new();
    add(&head, &upstream, None);
    let told = head.ok(&["mirror", "sync", "m"]);
    let (kernel, udebs) = published(&head);
    assert_eq!((kernel.as_str(), udebs.len()), ("6.12.94-amd64", ROOTS.len() + MODULES.len()));
    assert!(told.contains("partman-xfs"), "what is left out is told: {told}");
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
}

#[test]
fn images_with_a_flipped_byte_are_not_taken() {
    let upstream = archive("6.12.94-amd64");
    publish_images(&upstream, "6.12.94-amd64");
    upstream.fail("dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz", Fault::Flip);
    let head = Head::new();
    add(&head, &upstream, None);
    let told = head.fails(&["mirror", "sync", "m"], 1);
    assert!(told.contains("initrd.gz") && told.contains("expected SHA-256") && told.contains("--local DIR"), "{told}");
}

#[test]
fn a_local_kernel_with_its_modules_fills_in_what_upstream_lost() {
    let upstream = archive("6.12.107-amd64");
    publish_images(&upstream, "6.12.107-amd64");
    // Upstream has the images of its newest kernel, but lost modules of it and another udeb.
    upstream.fail("pool/di/ext4-modules-6.12.107-amd64-di_1_amd64.udeb", Fault::Missing);
    upstream.fail("pool/di/partman-base_1_amd64.udeb", Fault::Missing);
    let head = Head::new();
    add(&head, &upstream, None);
    let told = head.fails(&["mirror", "sync", "m"], 1);
    assert!(told.contains("with kernel 6.12.107-amd64 the installation lacks") && told.contains("ext4-modules"), "{told}");
    assert!(told.contains("upstream does not have it (404)") && told.contains("--local DIR"), "{told}");

    let local = tempfile::tempdir().unwrap();
    images(&local.path().join("images"), "6.12.94-amd64");
    modules(&local.path().join("udebs"), "6.12.94-amd64");
    udeb(&local.path().join("udebs"), "partman-base", "0.9", "");
    let head = Head::new();
    add(&head, &upstream, Some(local.path()));
    let told = head.ok(&["mirror", "sync", "m"]);
    let (kernel, udebs) = published(&head);
    assert_eq!(kernel, "6.12.94-amd64", "{told}");
    assert!(
        udebs.contains(&"ext4-modules-6.12.94-amd64-di".to_owned()) && !udebs.iter().any(|name| name.contains("6.12.107")),
        "{udebs:?}"
    );
    assert!(told.contains("partman-base 0.9 amd64 takes its place"), "{told}");
    assert!(told.contains(&local.path().display().to_string()), "which images were taken is told: {told}");
}

#[test]
fn an_index_of_udebs_that_is_not_what_the_release_file_says_is_done_without_if_local_ones_suffice() {
    let upstream = archive("6.12.94-amd64");
    publish_images(&upstream, "6.12.94-amd64");
    let index = "dists/trixie/main/debian-installer/binary-amd64/Packages.gz";
    upstream.fail(index, Fault::Flip);
    let head = Head::new();
    add(&head, &upstream, None);
    let told = head.fails(&["mirror", "sync", "m"], 1);
    assert!(told.contains(index) && told.contains("the installation lacks") && told.contains("--local DIR"), "{told}");

    let local = tempfile::tempdir().unwrap();
    fs::create_dir(local.path().join("udebs")).unwrap();
    ROOTS.iter().for_each(|name| udeb(&local.path().join("udebs"), name, "1", "Depends: libc6-udeb"));
    modules(&local.path().join("udebs"), "6.12.94-amd64");
    let head = Head::new();
    add(&head, &upstream, Some(local.path()));
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(told.contains("left out") && told.contains(index), "{told}");
    let (kernel, udebs) = published(&head);
    assert_eq!((kernel.as_str(), udebs.len()), ("6.12.94-amd64", ROOTS.len() + MODULES.len()));
    // Upstream is asked again for what it did not have, although its Release file is the same.
    upstream.heal();
    assert!(!head.ok(&["mirror", "sync", "m"]).contains(index));
    assert_eq!(head.show()["published"]["details"]["left_out"], serde_json::json!([]));
}

#[test]
fn images_come_out_of_the_named_package_when_nobody_else_has_them() {
    let upstream = archive("6.12.94-amd64");
    let work = tempfile::tempdir().unwrap();
    fs::create_dir(work.path().join("DEBIAN")).unwrap();
    let control = "Package: di-images\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n";
    fs::write(work.path().join("DEBIAN/control"), control).unwrap();
    images(&work.path().join("usr/lib/debian-installer/images/13/amd64/text/debian-installer/amd64"), "6.12.94-amd64");
    images(&work.path().join("usr/lib/debian-installer/images/13/amd64/gtk/debian-installer/amd64"), "6.0-other");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-b"]).arg(work.path()).arg(upstream.root().join("pool/di-images_1_all.deb")));
    upstream.publish();
    let head = Head::new();
    add(&head, &upstream, None);
    head.ok(&["mirror", "sync", "m"]);
    assert_eq!(published(&head).0, "6.12.94-amd64");
    assert_eq!(head.packages(), ["app", "lib"], "the package of images itself is not published");
}
