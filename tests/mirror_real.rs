//! The shipped definition against the real Debian that this machine's apt sources name, with debootstrap as the client.
//! Takes one to two minutes and about 250 MB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::process::Command;

use head::{Head, text};

#[test]
fn debootstrap_makes_a_debian_13_from_the_published_tree_with_the_heads_key() {
    let head = Head::new();
    head.ok(&["mirror", "add", "debian-13", "--from-host"]);
    // Without the installer: what upstream has of it differs from day to day, and is another test's.
    let definition = head.data().join("mirrors/debian-13/definition.toml");
    let text_of = fs::read_to_string(&definition).unwrap();
    fs::write(&definition, text_of.split("[installer]").next().unwrap()).unwrap();
    head.ok(&["mirror", "sync", "debian-13"]);
    let tree = head.data().join("mirrors/debian-13/current/tree");
    let root = head.aside().join("root");
    let bootstrap = Command::new("debootstrap")
        .args(["--variant=minbase", "--include=linux-image-cloud-amd64,openssh-server"])
        .arg(format!("--keyring={}", head.key().display()))
        .args(["--force-check-gpg", "trixie"])
        .arg(&root)
        .arg(format!("file://{}", fs::canonicalize(&tree).unwrap().display()))
        .output()
        .unwrap();
    assert!(bootstrap.status.success(), "{}", text(&bootstrap));
    let version = Command::new("chroot").arg(&root).args(["dpkg-query", "-W", "-f", "${Status}", "openssh-server"]).output().unwrap();
    assert_eq!(text(&version), "install ok installed");
    let told = head.ok(&["mirror", "sync", "debian-13"]);
    assert!(told.contains("unchanged"), "{told}");
}
