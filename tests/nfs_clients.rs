//! The NFS server at the other end of libnfs's tools (nfs-ls, nfs-cat, nfs-cp) and rpcinfo, which find it by the portmapper.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/netns.rs"]
mod netns;
#[allow(dead_code, reason = "the calls by hand are nfs_server.rs's")]
#[path = "support/nfs.rs"]
mod nfs;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Output;

use kickctl::net::nfs::Access;
use netns::{printed, run};
use nfs::{Lab, export};

fn lab(access: Access) -> (tempfile::TempDir, Lab) {
    let (folder, lab) = (tempfile::tempdir().unwrap(), Lab::new());
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    lab.site.export("/images/worker", export(1, folder.path(), access));
    (folder, lab)
}

fn url(path: &str) -> String {
    format!("nfs://10.99.0.1/images/worker{path}")
}

fn cat(lab: &Lab, path: &str) -> Output {
    lab.node.command("nfs-cat").arg(url(path)).output().unwrap()
}

fn write(path: &Path, mode: u32, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn files_are_read_whole_and_listed_with_mode_and_size() {
    let (folder, lab) = lab(Access::ReadOnly);
    let content: Vec<u8> = (0..7_654_321_u32).flat_map(u32::to_le_bytes).collect();
    write(&folder.path().join("large"), 0o644, &content);
    write(&folder.path().join("su"), 0o4755, b"#!/bin/sh");
    fs::File::create(folder.path().join("sparse")).unwrap().write_all_at(b"end", 6 << 30).unwrap();
    write(&folder.path().join("small"), 0o644, b"small");
    assert!(cat(&lab, "/large").stdout == content);
    assert_eq!(cat(&lab, "/small").stdout, b"small");
    let listing = run(lab.node.command("nfs-ls").arg(url("")));
    assert!(listing.lines().any(|line| line.contains("6442450947") && line.ends_with("sparse")), "{listing}");
    assert!(listing.lines().any(|line| line.starts_with("-rws") || line.starts_with("-rwx") && line.ends_with("su")), "{listing}");
}

#[test]
fn a_directory_of_20_000_entries_lists() {
    let (folder, lab) = lab(Access::ReadOnly);
    for number in 0..20_000 {
        fs::File::create(folder.path().join(format!("entry-{number:05}"))).unwrap();
    }
    let listing = run(lab.node.command("nfs-ls").arg(url("")));
    let mut names: Vec<&str> = listing.lines().filter_map(|line| line.split_whitespace().last()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 20_000);
}

#[test]
fn a_made_up_user_cannot_read_a_file_of_root_and_a_user_without_a_reserved_port_gets_nothing() {
    let (folder, lab) = lab(Access::ReadOnly);
    write(&folder.path().join("shadow"), 0o600, b"secret");
    write(&folder.path().join("public"), 0o644, b"public");
    assert_eq!(cat(&lab, "/shadow").stdout, b"secret", "the node's root");
    let refused = cat(&lab, "/shadow?uid=1000&gid=1000");
    assert!(!printed(&refused).contains("secret") && printed(&refused).contains("ACCES"), "{}", printed(&refused));
    assert_eq!(cat(&lab, "/public?uid=1000&gid=1000").stdout, b"public");
    // An unprivileged user of the node says to be root: his program gets no reserved port.
    let user =
        lab.node.command("setpriv").args(["--reuid", "65534", "--clear-groups", "nfs-cat", &url("/public?uid=0&gid=0")]).output().unwrap();
    assert!(user.stdout.is_empty() && !user.status.success(), "{}", printed(&user));
    assert!(printed(&user).contains("ACCES"), "{}", printed(&user));
}

#[test]
fn a_file_is_copied_into_a_writable_export_and_out_again() {
    let (folder, lab) = lab(Access::ReadWrite);
    let outside = tempfile::tempdir().unwrap();
    let (there, back) = (outside.path().join("there"), outside.path().join("back"));
    let content: Vec<u8> = (0..3_000_003_u32).map(|n| (n % 241) as u8).collect();
    fs::write(&there, &content).unwrap();
    run(lab.node.command("nfs-cp").args([there.to_str().unwrap(), &url("/copied")]));
    assert!(fs::read(folder.path().join("copied")).unwrap() == content);
    run(lab.node.command("nfs-cp").args([&url("/copied"), back.to_str().unwrap()]));
    assert!(fs::read(&back).unwrap() == content);
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    run(lab.node.command("nfs-cp").args([there.to_str().unwrap(), &url("/users?uid=1000&gid=1000")]));
    assert_eq!(fs::metadata(folder.path().join("users")).unwrap().uid(), 1000);
}

#[test]
fn a_read_only_export_takes_no_file() {
    let (folder, lab) = lab(Access::ReadOnly);
    write(&folder.path().join("file"), 0o666, b"old");
    let refused = lab.node.command("nfs-cp").args(["/etc/passwd", &url("/file")]).output().unwrap();
    assert!(printed(&refused).contains("ROFS"), "{}", printed(&refused));
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"old");
}

#[test]
fn rpcinfo_finds_the_programs() {
    let (_folder, lab) = lab(Access::ReadOnly);
    let table = run(lab.node.command("rpcinfo").args(["-p", "10.99.0.1"]));
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().take(4).collect()).collect();
    for row in [["100000", "2", "udp", "111"], ["100005", "3", "tcp", "2049"], ["100003", "3", "tcp", "2049"]] {
        assert!(rows.contains(&row.to_vec()), "{table}");
    }
    run(lab.node.command("rpcinfo").args(["-n", "2049", "-t", "10.99.0.1", "100003", "3"]));
    run(lab.node.command("rpcinfo").args(["-u", "10.99.0.1", "100000", "2"]));
}
