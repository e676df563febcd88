//! Images, built by the real mmdebstrap from a mirror of the real Debian that this machine's apt sources name. Needs root.
//! Takes several minutes and about 150 MB of downloads: one head, one mirror and one finished build are shared by all tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/image.rs"]
mod image;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};

use head::{Head, text};
use image::{is_soon_unmounted, json, mounted, published, recipe, root, versions, whole_versions};
use serde_json::Value;

/// What a diskless node of a test needs, and one package that no image has at first.
const FILTER: &str = r#"[filter]
priorities = ["required"]
names = ["linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "kmod", "iproute2", "busybox", "openssh-server", "ethtool"]
"#;

const RECIPE: &str = r#"mirror = "debian-13"
kernel = "linux-image-cloud-amd64"
packages = ["openssh-server"]
time_zone = "Europe/Berlin"
commands = ["test -e /proc/self/mounts && ls /sys/kernel /dev/null && echo by-hand >/etc/marker"]
[services]
disable = ["ssh.service"]
[[user]]
name = "ada"
groups = ["lab"]
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE ada@example"]
[[file]]
path = "/bin/site-tool"
content = "site"
mode = "0755"
"#;

/// A head with the mirror `debian-13` and the published image `lab`. One test at a time works on it.
fn lab() -> MutexGuard<'static, Head> {
    static LAB: OnceLock<Mutex<Head>> = OnceLock::new();
    let make = || {
        // What is shared is never dropped: the next run takes its place away, instead of a gigabyte that stays in /tmp each time.
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image-build");
        let _ = fs::remove_dir_all(&data);
        let head = Head::at(data);
        head.ok(&["mirror", "add", "debian-13", "--from-host"]);
        let definition = head.data().join("mirrors/debian-13/definition.toml");
        let written = fs::read_to_string(&definition).unwrap();
        fs::write(&definition, written.split("[filter]").next().unwrap().to_owned() + FILTER).unwrap();
        head.ok(&["mirror", "sync", "debian-13"]);
        let told = build(&head, "lab", RECIPE);
        assert!(told.contains("published"), "{told}");
        Mutex::new(head)
    };
    LAB.get_or_init(make).lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn build(head: &Head, name: &str, text: &str) -> String {
    head.ok(&["image", "build", name, "--recipe", &recipe(head, text)])
}

#[test]
fn an_image_is_what_its_recipe_says_and_nothing_of_the_head() {
    let head = lab();
    let root = root(&head, "lab");
    let version = published(&head, "lab");
    let release = version["kernel_release"].as_str().unwrap();
    assert_eq!(version["snapshot"], json(&head, &["mirror", "show", "debian-13"])["published"]["snapshot"]);
    let packages: Vec<&str> = version["packages"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert!(packages.contains(&"openssh-server") && packages.contains(&"systemd-sysv") && !packages.contains(&"ethtool"), "{packages:?}");
    // What the recipe asked for.
    assert_eq!(fs::read_to_string(root.join("etc/marker")).unwrap(), "by-hand\n");
    assert_eq!(fs::read_link(root.join("etc/localtime")).unwrap(), Path::new("/usr/share/zoneinfo/Europe/Berlin"));
    let passwd = fs::read_to_string(root.join("etc/passwd")).unwrap();
    let ada: Vec<&str> = passwd.lines().find(|line| line.starts_with("ada:")).unwrap().split(':').collect();
    let keys = root.join("home/ada/.ssh/authorized_keys");
    let metadata = fs::metadata(&keys).unwrap();
    assert_eq!((metadata.uid().to_string().as_str(), metadata.permissions().mode() & 0o777), (ada[2], 0o600));
    assert!(fs::read_to_string(root.join("etc/group")).unwrap().contains("lab:x:"));
    // /bin is a link in the image: the file went through it, and not to the head's own /usr/bin.
    assert_eq!(fs::read_to_string(root.join("usr/bin/site-tool")).unwrap(), "site");
    assert!(fs::symlink_metadata(root.join("bin")).unwrap().is_symlink() && !Path::new("/usr/bin/site-tool").exists());
    assert!(!root.join("etc/systemd/system/multi-user.target.wants/ssh.service").exists());
    // What must differ from node to node is not there, nor is anything of the head.
    assert_eq!(fs::read_to_string(root.join("etc/machine-id")).unwrap(), "");
    assert_eq!(fs::read_to_string(root.join("etc/resolv.conf")).unwrap(), "");
    let host_keys =
        fs::read_dir(root.join("etc/ssh")).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().contains("_host_"));
    assert_eq!(host_keys.count(), 0);
    assert!(!root.join("etc/hostname").exists() && !root.join("usr/sbin/policy-rc.d").exists());
    // Real owners and modes: su is setuid root, devices are devices.
    assert_eq!(fs::metadata(root.join("usr/bin/su")).unwrap().mode() & 0o7777, 0o4755);
    // What nodes boot and fetch.
    let place = root.parent().unwrap();
    assert_eq!(fs::read(place.join("vmlinuz")).unwrap(), fs::read(root.join(format!("boot/vmlinuz-{release}"))).unwrap());
    let listed = Command::new("unsquashfs").arg("-lc").arg(place.join("root.squashfs")).output().unwrap();
    let whole = text(&listed);
    assert!(whole.contains("/usr/bin/site-tool") && whole.contains("/etc/marker") && !whole.contains("/boot/vmlinuz"), "{whole}");
    let base = text(&Command::new("unsquashfs").arg("-l").arg(place.join("base.squashfs")).output().unwrap());
    assert!(base.contains("/etc/marker") && base.contains("squashfs-root/usr\n") && !base.contains("squashfs-root/usr/"), "{base}");
    assert_eq!(fs::read(place.join("initrd.img")).unwrap(), fs::read(root.join(format!("boot/initrd.img-{release}"))).unwrap());
    let modules = text(&Command::new("chroot").arg(&root).arg("lsinitramfs").arg(format!("/boot/initrd.img-{release}")).output().unwrap());
    assert!(modules.contains(&format!("lib/modules/{release}")), "{modules}");
    assert!(fs::read_to_string(place.join("build.log")).unwrap().contains("Setting up openssh-server"));
    assert_eq!(fs::metadata(head.data().join("images/lab")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(mounted(head.data()), Vec::<String>::new());
    head.ok(&["image", "verify", "lab"]);
}

#[test]
fn the_same_input_makes_the_same_version_and_elsewhere_the_same_bytes() {
    let head = lab();
    let before = versions(&head, "lab");
    let told = head.ok(&["image", "build", "lab"]);
    assert!(told.contains("unchanged"), "{told}");
    let told = head.ok(&["image", "build", "lab", "--dry-run"]);
    assert!(told.contains("unchanged"), "{told}");
    assert_eq!(versions(&head, "lab"), before);
    let recipe = head.data().join("images/lab/recipe.toml");
    head.ok(&["image", "build", "twin", "--recipe", recipe.to_str().unwrap()]);
    let (lab, twin) = (published(&head, "lab"), published(&head, "twin"));
    let differing = head.ok(&["image", "diff", "lab", "twin"]);
    for part in ["input", "tree", "root_squashfs", "base_squashfs", "kernel", "initrd"] {
        assert_eq!(lab[part], twin[part], "{part}: {differing}");
    }
}

#[test]
fn work_by_hand_ends_as_a_version_that_is_published_and_rolled_back_and_pruned() {
    let head = lab();
    let first = published(&head, "lab")["id"].as_str().unwrap().to_owned();
    // Thrown away on request, on failure, and when nothing was changed.
    let before = versions(&head, "lab");
    head.ok(&["image", "shell", "lab", "--discard", "--", "touch", "/etc/lost"]);
    let told = head.fails(&["image", "shell", "lab", "--", "sh", "-c", "touch /etc/lost; exit 7"], 1);
    assert!(told.contains("exit status: 7") && told.contains("no version was made"), "{told}");
    let told = head.ok(&["image", "shell", "lab", "--", "true"]);
    assert!(told.contains("nothing was changed"), "{told}");
    assert_eq!(versions(&head, "lab"), before);
    // apt finds the snapshot.
    let work = "apt-get update && apt-get install -y ethtool && rm /etc/marker && echo new >/etc/new";
    let told = head.ok(&["image", "shell", "lab", "--", "sh", "-ec", work]);
    assert!(told.contains("next: kickctl image publish lab"), "{told}");
    assert_eq!(published(&head, "lab")["id"], first.as_str(), "it is not published");
    let second = versions(&head, "lab").into_iter().find(|id| !before.contains(id)).unwrap();
    let diff = head.ok(&["image", "diff", &first, &format!("lab@{second}")]);
    for line in ["+ package ethtool ", "- file /etc/marker\n", "+ file /etc/new\n", "+ file /usr/sbin/ethtool\n"] {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    let diff = json(&head, &["image", "diff", &first, &second]);
    let files: Vec<&str> = diff["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(!files.iter().any(|path| path.contains("/log/") || path.contains("machine-id")), "{files:?}");
    head.ok(&["image", "verify", &second]);
    // The tree of a version that nodes run is untouched.
    assert!(root(&head, "lab").join("etc/marker").exists());
    head.ok(&["image", "publish", "lab"]);
    assert_eq!(published(&head, "lab")["id"], second.as_str());
    head.ok(&["image", "rollback", "lab"]);
    assert_eq!(published(&head, "lab")["id"], first.as_str());
    let told = head.ok(&["image", "shell", "lab", "--publish", "--", "touch", "/etc/held"]);
    assert!(told.contains("next: kickctl image publish"), "a rollback holds: {told}");
    // What is published stays; everything else goes.
    let told = head.ok(&["image", "prune", "lab", "--keep", "0", "--dry-run"]);
    assert!(told.contains(&format!("would remove lab {second}")) && versions(&head, "lab").len() == 3, "{told}");
    head.ok(&["image", "prune", "lab", "--keep", "0"]);
    assert_eq!(versions(&head, "lab"), BTreeSet::from([first.clone()]));
    head.ok(&["image", "publish", "lab"]);
    // A node's own copy, which becomes a version too.
    head.ok(&["image", "checkout", "lab", "node07"]);
    let copy = head.data().join("images/lab/work/node07/root");
    fs::write(copy.join("etc/from-node"), "x").unwrap();
    fs::write(copy.join("etc/hostname"), "node07\n").unwrap();
    let told = head.fails(&["image", "checkout", "lab", "node07"], 4);
    assert!(told.contains("kickctl image commit lab node07"), "{told}");
    head.ok(&["image", "commit", "lab", "node07", "--publish"]);
    assert_eq!(head.ok(&["image", "diff", &first, "lab", "-q"]), "+ file /etc/from-node\n");
    head.ok(&["image", "checkout", "lab", "node07", "--again"]);
    assert!(copy.join("etc/from-node").exists() && !copy.join("etc/hostname").exists());
    head.ok(&["image", "publish", "lab", &first]);
    head.ok(&["image", "prune", "lab", "--keep", "0"]);
    // A file that was changed behind kickctl's back is found.
    let marker = root(&head, "lab").join("etc/marker");
    fs::write(&marker, "by-hanD\n").unwrap();
    let told = head.fails(&["image", "verify", "lab"], 1);
    assert!(told.contains("etc/marker: changed"), "{told}");
    fs::write(&marker, "by-hand\n").unwrap();
    head.ok(&["image", "verify", "lab"]);
}

/// Runs kickctl until it tells that a stage begins (`2/`), and kills it `after` so long.
fn killed_at(head: &Head, args: &[&str], stage: &str, after: std::time::Duration) {
    let mut child = head.command(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        told += &line;
        if line.contains(&format!(": {stage}/")) {
            std::thread::sleep(after);
            break;
        }
    }
    assert!(told.contains(&format!(": {stage}/")), "{args:?} ended before stage {stage}: {told}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_build_that_is_killed_at_any_moment_leaves_no_mounts_and_no_half_version() {
    let head = lab();
    let second = std::time::Duration::from_secs(1);
    let recipe = recipe(&head, &RECIPE.replace("by-hand", "another"));
    let build = ["image", "build", "killed", "--recipe", &recipe];
    let shell = ["image", "shell", "lab", "--", "touch", "/etc/killed"];
    let before = versions(&head, "lab");
    // The packages, at their beginning and well into them; then every stage of what follows, in the copy of a version.
    let moments =
        [("1", second / 20), ("1", second), ("1", second * 6), ("1", second * 15)].map(|(stage, after)| (&build[..], stage, after));
    let later = ["1", "2", "3", "4", "5", "6", "7"].map(|stage| (&shell[..], stage, second / 10));
    for (args, stage, after) in moments.into_iter().chain(later) {
        killed_at(&head, args, stage, after);
        assert!(is_soon_unmounted(head.data()), "{args:?} killed at {stage}: {:#?}", mounted(head.data()));
        for name in ["lab", "killed"] {
            let whole = whole_versions(&head, name);
            assert!(whole.iter().all(|id| before.contains(id)), "{args:?} killed at {stage}: {whole:?}");
        }
    }
    head.ok(&["image", "verify", "lab"]);
    // What they left is in nobody's way, and goes with the next one.
    let told = head.ok(&build);
    assert!(told.contains("published"), "{told}");
    assert_eq!(versions(&head, "killed").len(), 1);
    assert_eq!(fs::read_to_string(root(&head, "killed").join("etc/marker")).unwrap(), "another\n");
    head.ok(&["image", "shell", "lab", "--discard", "--", "true"]);
    assert_eq!(versions(&head, "lab"), before);
}

#[test]
fn a_recipe_that_cannot_be_built_is_refused_at_once_or_told_with_the_logs_end() {
    let head = lab();
    let told = head.fails(
        &["image", "build", "bad", "--mirror", "debian-13", "--kernel", "linux-image-cloud-amd64", "--packages", "openssh-servr"],
        4,
    );
    assert!(told.contains("has no package `openssh-servr` (it has openssh-client, openssh-server"), "{told}");
    let told = head.fails(&["image", "build", "none"], 1);
    assert!(told.contains("there is no image `none`: recipes ship for worker"), "{told}");
    let failing = recipe(&head, &RECIPE.replace("&& echo by-hand", "&& echo the-last-word && false"));
    let told = head.fails(&["image", "build", "bad", "--recipe", &failing], 1);
    assert!(told.contains("exit status: 1") && told.contains("  the-last-word"), "{told}");
    let log = fs::read_to_string(head.data().join("images/bad/failed.log")).unwrap();
    assert!(log.contains("Setting up openssh-server") && log.ends_with("the-last-word\n"), "the whole log is kept");
    assert_eq!(versions(&head, "bad"), BTreeSet::new());
    assert_eq!(json(&head, &["image", "show", "bad"])["published"], Value::Null);
}
