//! The image of a live medium as a mirror: images of Ubuntu's layout made by xorriso and genisoimage, and apt as the client of what was on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use head::Head;
use upstream::{Upstream, run};

const TITLE: &str = "Ubuntu-Server 24.04.2 LTS \"Noble Numbat\" - Release amd64 (20250215)";

/// What is on the medium: an archive with packages, a live system, and what else lies there.
fn layout(head: &Head, upstream: &Upstream) -> PathBuf {
    let root = head.aside().join("layout");
    for folder in [".disk", "casper", "boot/grub", "preseed"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for folder in ["dists", "pool"] {
        run(Command::new("cp").arg("-r").args([upstream.root().join(folder), root.clone()]));
    }
    symlink("trixie", root.join("dists/stable")).unwrap();
    fs::write(root.join(".disk/info"), TITLE).unwrap();
    fs::write(root.join("casper/vmlinuz"), vec![7; 50_000]).unwrap();
    fs::write(root.join("casper/initrd"), vec![9; 90_000]).unwrap();
    fs::write(root.join("casper/ubuntu-server-minimal.manifest"), "adduser\t3.137\nlibc6:amd64\t2.39\nsnap:core22\tlatest\n").unwrap();
    fs::write(root.join("casper/ubuntu-server-minimal.ubuntu-server.installer.manifest"), "subiquity-deps\t1\n").unwrap();
    fs::write(root.join("boot/grub/grub.cfg"), "set timeout=30\n").unwrap();
    // A real one, larger than the rest.
    let content = head.aside().join("content");
    fs::create_dir_all(&content).unwrap();
    fs::write(content.join("noise"), (0..600_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<u8>>())
        .unwrap();
    run(Command::new("mksquashfs").args([&content, &root.join("casper/ubuntu-server-minimal.squashfs")]).args(["-quiet", "-no-progress"]));
    root
}

fn image(head: &Head, layout: &Path, program: &[&str]) -> PathBuf {
    let image = head.aside().join("u.iso");
    let mut command = Command::new(program[0]);
    run(command.args(&program[1..]).args(["-quiet", "-V", "Ubuntu-Server 24.04.2 LTS amd64", "-o"]).args([image.as_path(), layout]));
    image
}

const XORRISO: [&str; 7] = ["xorriso", "-as", "mkisofs", "-R", "-J", "-joliet-long", "-l"];

fn show(head: &Head) -> serde_json::Value {
    head.show()["published"]["details"].clone()
}

#[test]
fn a_live_server_image_is_a_mirror_with_an_installer_and_an_archive_that_apt_installs_from() {
    for program in [&XORRISO[..], &["genisoimage", "-R", "-J", "-joliet-long"]] {
        let (head, upstream) = (Head::new(), Upstream::with_packages());
        let layout = layout(&head, &upstream);
        let image = image(&head, &layout, program);
        head.ok(&["mirror", "add", "m", "--path", image.to_str().unwrap()]);
        assert!(head.ok(&["mirror", "sync", "m", "--dry-run"]).contains("planned"));
        assert!(head.ok(&["mirror", "sync", "m"]).contains("published"));
        let same = |ours: &str, theirs: &Path| assert!(fs::read(head.tree().join(ours)).unwrap() == fs::read(theirs).unwrap(), "{ours}");
        same("medium.iso", &image);
        for file in ["casper/vmlinuz", "casper/initrd", ".disk/info", "dists/trixie/InRelease", "pool/app_1.0_amd64.deb"] {
            same(file, &layout.join(file));
        }
        // The compressed roots are in the image alone, and a link is not a second suite.
        assert!(!head.tree().join("casper/ubuntu-server-minimal.squashfs").exists() && !head.tree().join("dists/stable").exists());
        let details = show(&head);
        assert_eq!(
            (&details["packages"], &details["suites"][0]["suite"], details["suites"].as_array().unwrap().len()),
            (&4.into(), &"trixie".into(), 1)
        );
        let installer = &details["installers"][0];
        assert_eq!(
            (&installer["arch"], &installer["kernel"], &installer["initrd"]),
            (&"amd64".into(), &"casper/vmlinuz".into(), &"casper/initrd".into())
        );
        let live = serde_json::json!({"image": "medium.iso", "title": TITLE, "manifests": ["casper/ubuntu-server-minimal.manifest"]});
        assert_eq!(installer["live"], live, "{program:?}");
        head.apt_takes(&upstream.keyring(), &["app"]);
        assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
        assert!(head.ok(&["mirror", "sync", "m"]).contains("unchanged"));
        // A later image takes its place.
        upstream.add("app", "2.0", "Depends: lib (>= 1.0)", 2_000);
        upstream.publish();
        fs::remove_dir_all(&layout).unwrap();
        fs::remove_file(&image).unwrap();
        self::image(&head, &self::layout(&head, &upstream), program);
        assert!(head.ok(&["mirror", "sync", "m"]).contains("published"));
        head.apt_takes(&upstream.keyring(), &["app=2.0"]);
    }
}

#[test]
fn what_is_damaged_on_the_head_is_told() {
    let (head, upstream) = (Head::new(), Upstream::with_packages());
    let image = image(&head, &layout(&head, &upstream), &XORRISO);
    head.ok(&["mirror", "add", "m", "--path", image.to_str().unwrap()]);
    head.ok(&["mirror", "sync", "m"]);
    for file in ["medium.iso", "casper/initrd", "pool/lib_1.0_amd64.deb"] {
        let path = head.tree().join(file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let told = head.fails(&["mirror", "verify", "m"], 1);
        assert!(told.contains(&format!("{file}: has SHA-256")), "{told}");
    }
}

#[test]
fn a_medium_crosses_an_air_gap() {
    let (head, upstream) = (Head::new(), Upstream::with_packages());
    let image = image(&head, &layout(&head, &upstream), &XORRISO);
    head.ok(&["mirror", "add", "m", "--path", image.to_str().unwrap()]);
    head.ok(&["mirror", "sync", "m"]);
    let carried = head.aside().join("carried");
    head.ok(&["mirror", "export", "m", "--to", carried.to_str().unwrap()]);
    let other = Head::new();
    let told = other.ok(&["mirror", "import", carried.to_str().unwrap(), "--key", head.key().to_str().unwrap()]);
    assert!(told.contains("published"), "{told}");
    let digests = |head: &Head| head.contents().into_values().collect::<Vec<_>>();
    assert_eq!(digests(&other), digests(&head));
    assert!(other.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    assert_eq!(show(&other)["installers"], show(&head)["installers"]);
}

#[test]
fn an_image_that_is_damaged_or_no_live_medium_is_refused() {
    let (head, upstream) = (Head::new(), Upstream::with_packages());
    let layout = layout(&head, &upstream);
    let image = image(&head, &layout, &XORRISO);
    let whole = fs::read(&image).unwrap();
    let path = image.to_str().unwrap();
    let add = ["mirror", "add", "m", "--path", path];
    // Cut off: what lies behind the cut cannot be had. (The image ends with padding that nobody misses.)
    fs::write(&image, &whole[..whole.len() / 2]).unwrap();
    assert!(head.fails(&add, 4).contains("beyond the image's end"), "cut");
    fs::write(&image, vec![0; 100_000]).unwrap();
    assert!(head.fails(&add, 4).contains("no image of a medium"), "zeros");
    // One byte of one package is another.
    fs::write(&image, &whole).unwrap();
    head.ok(&add);
    let package = fs::read(layout.join("pool/lib_1.0_amd64.deb")).unwrap();
    let at = whole.windows(4096).position(|window| window == &package[100_000..104_096]).unwrap();
    let mut bad = whole.clone();
    bad[at] ^= 1;
    fs::write(&image, &bad).unwrap();
    let told = head.fails(&["mirror", "sync", "m"], 4);
    assert!(told.contains("pool/lib_1.0_amd64.deb: is not there, or not what its index says"), "{told}");
    assert_eq!(head.show()["snapshots"], 0);
    // A mounted medium, or its copy, holds nothing that nodes could run from over HTTP.
    let other = Head::new();
    assert!(other.fails(&["mirror", "add", "m", "--path", layout.to_str().unwrap()], 2).contains("name its image"));
    fs::remove_file(layout.join("casper/ubuntu-server-minimal.squashfs")).unwrap();
    let plain = self::image(&head, &layout, &XORRISO);
    assert!(other.fails(&["mirror", "add", "m", "--path", plain.to_str().unwrap()], 4).contains("casper/*.squashfs"));
}
