//! Images of RPM packages, built by the real dnf, rpm and dracut. No RPM distribution is a download away from everywhere: the packages are this
//! machine's own Debian programs, converted and laid out as such distributions have them (`tests/lab/rpm-from-debs.sh`). Needs root, and this
//! machine's apt sources for the packages to convert; dnf itself has no network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/image.rs"]
mod image;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use head::{Head, text};
use image::{is_soon_unmounted, mounted, published, recipe, root, versions, whole_versions};

/// What an image needs, by Debian's names, and one package that no image has at first.
const PROGRAMS: &str = "bash coreutils cpio curl dracut dracut-network findutils grep gzip iproute2 kmod login mount passwd procps rpm sed \
                        systemd systemd-sysv tar udev util-linux zstd less";

const RECIPE: &str = r#"mirror = "site"
packages = ["procps", "gzip"]
commands = ["test -e /proc/self/mounts && ls /sys/kernel /dev/null && ps 1 && echo by-hand >/etc/marker"]
[services]
enable = ["systemd-networkd.service"]
[[user]]
name = "ada"
groups = ["lab"]
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE ada@example"]
[[file]]
path = "/bin/site-tool"
content = "site"
mode = "0755"
"#;

/// A head with the mirror `site` of converted packages and the published image `lab`. One test at a time works on it.
fn lab() -> MutexGuard<'static, Head> {
    static LAB: OnceLock<Mutex<Head>> = OnceLock::new();
    let make = || {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let packages = converted(&place.join("rpm-from-debs"));
        let data = place.join("image-dnf");
        let _ = fs::remove_dir_all(&data);
        let head = Head::at(data);
        head.ok(&["mirror", "add", "site", "--path", packages.to_str().unwrap(), "--packages", "rpm"]);
        head.ok(&["mirror", "sync", "site"]);
        let told = head.ok(&["image", "build", "lab", "--recipe", &recipe(&head, RECIPE)]);
        assert!(told.contains("published"), "{told}");
        Mutex::new(head)
    };
    LAB.get_or_init(make).lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The converted packages; made once, for that takes a minute or two.
fn converted(folder: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/rpm-from-debs.sh");
    let (packages, made_by) = (folder.join("rpms"), format!("{PROGRAMS}\n{}", fs::read_to_string(&script).unwrap()));
    if fs::read_to_string(folder.join("made-by")).ok().as_ref() != Some(&made_by) {
        fs::create_dir_all(folder).unwrap();
        let output = Command::new(&script).arg(folder).args(PROGRAMS.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        fs::write(folder.join("made-by"), made_by).unwrap();
    }
    packages
}

#[test]
fn an_image_of_rpm_packages_is_what_its_recipe_says_and_nothing_of_the_head() {
    let head = lab();
    let (root, version) = (root(&head, "lab"), published(&head, "lab"));
    let release = version["kernel_release"].as_str().unwrap();
    let packages: Vec<&str> = version["packages"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert!(["bash", "dracut", "filesystem", "procps", "systemd"].iter().all(|name| packages.contains(name)), "{packages:?}");
    assert!(!packages.contains(&"less") && !packages.contains(&"gpg-pubkey"), "{packages:?}");
    // What the recipe asked for.
    assert_eq!(fs::read_to_string(root.join("etc/marker")).unwrap(), "by-hand\n");
    assert!(fs::read_to_string(root.join("etc/passwd")).unwrap().contains("\nada:x:"));
    assert!(fs::read_to_string(root.join("etc/group")).unwrap().contains("\nlab:x:"));
    assert_eq!(fs::metadata(root.join("home/ada/.ssh/authorized_keys")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(root.join("usr/bin/site-tool")).unwrap(), "site");
    assert!(fs::symlink_metadata(root.join("bin")).unwrap().is_symlink() && !Path::new("/usr/bin/site-tool").exists());
    assert!(root.join("etc/systemd/system/multi-user.target.wants/systemd-networkd.service").is_symlink());
    // Owners and modes are those of the packages.
    assert_eq!(fs::metadata(root.join("usr/bin/su")).unwrap().mode() & 0o7777, 0o4755);
    // A scriptlet ran inside, and left nothing where devices are mounted meanwhile.
    assert!(root.join(format!("usr/lib/modules/{release}/modules.dep")).is_file());
    assert_eq!(fs::read_dir(root.join("dev")).unwrap().count(), 0);
    // The image follows the head's snapshot, and rpm inside knows its packages.
    let sources = fs::read_to_string(root.join("etc/yum.repos.d/kickctl.repo")).unwrap();
    assert!(sources.contains("baseurl=file:///run/kickctl/mirror\n") && sources.contains("repo_gpgcheck=1\n"), "{sources}");
    assert!(root.join("etc/yum.repos.d/away.repo.upstream").is_file() && !root.join("etc/yum.repos.d/away.repo").exists());
    assert!(root.join("etc/pki/rpm-gpg/kickctl.asc").is_file());
    let told = head.ok(&["image", "shell", "lab", "--discard", "--", "rpm", "-q", "bash", "systemd"]);
    assert!(told.contains("bash-5") && told.contains("systemd-2"), "{told}");
    assert!(!root.join("var/cache/dnf").exists() && !root.join("var/lib/rpm/.rpm.lock").exists());
    // What nodes boot: kernel, and dracut's initial RAM disk with the same boot scripts as any other.
    let place = root.parent().unwrap();
    assert_eq!(fs::read(place.join("vmlinuz")).unwrap(), fs::read(root.join(format!("usr/lib/modules/{release}/vmlinuz"))).unwrap());
    // Not by a bare chroot: it would write a file named /dev/null there.
    let list = head.ok(&["image", "shell", "lab", "--discard", "--", "lsinitrd", &format!("/boot/initrd.img-{release}")]);
    for file in [
        "usr/lib/kickctl/boot/main.sh",
        "usr/bin/curl",
        "hooks/mount/10-mount.sh",
        "nfsv3.ko",
        "squashfs.ko",
        "overlay.ko",
        "virtio_net.ko",
    ] {
        assert!(list.contains(file), "{file}: {list}");
    }
    assert!(!list.contains("mount.nfs") && !list.contains("dhclient"), "{list}");
    assert_eq!(mounted(head.data()), Vec::<String>::new());
    head.ok(&["image", "verify", "lab"]);
}

#[test]
fn the_same_rpm_packages_make_the_same_version_and_elsewhere_the_same_bytes() {
    let head = lab();
    let before = versions(&head, "lab");
    assert!(head.ok(&["image", "build", "lab"]).contains("unchanged"));
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
fn a_build_by_dnf_that_is_killed_leaves_no_mounts_and_no_half_version() {
    let head = lab();
    let recipe = recipe(&head, &RECIPE.replace("by-hand", "another"));
    for after in [1, 5, 15] {
        let mut command = head.command(&["image", "build", "killed", "--recipe", &recipe]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(after));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_soon_unmounted(head.data()), "killed after {after} s: {:#?}", mounted(head.data()));
        let whole = whole_versions(&head, "killed");
        assert!(whole.is_empty(), "killed after {after} s: {whole:?}");
    }
}

#[test]
fn a_recipe_that_dnf_cannot_build_is_refused_at_once_or_told_with_the_logs_end() {
    let head = lab();
    let told = head.fails(&["image", "build", "bad", "--mirror", "site", "--packages", "openssh-server,les"], 4);
    assert!(told.contains("has no package `les` (it has less, less(x86-64)), `openssh-server`"), "{told}");
    let suite = recipe(&head, &format!("suite = \"trixie\"\n{RECIPE}"));
    let told = head.fails(&["image", "build", "bad", "--recipe", &suite], 1);
    assert!(told.contains("suite = \"trixie\": is for Debian mirrors"), "{told}");
    let failing = recipe(&head, &RECIPE.replace("&& echo by-hand", "&& echo the-last-word && false"));
    let told = head.fails(&["image", "build", "bad", "--recipe", &failing], 1);
    assert!(told.contains("exit status: 1") && told.contains("  the-last-word"), "{told}");
    assert!(fs::read_to_string(head.data().join("images/bad/failed.log")).unwrap().contains("Installing       : systemd-"));
    // An image without the programs that dracut takes would not boot.
    let without = recipe(&head, &RECIPE.replace("&& echo by-hand", "&& rm /usr/bin/curl && echo by-hand"));
    let told = head.fails(&["image", "build", "bad", "--recipe", &without], 1);
    assert!(told.contains("kickctl: the image has no program curl"), "{told}");
    assert_eq!(versions(&head, "bad"), BTreeSet::new());
}
