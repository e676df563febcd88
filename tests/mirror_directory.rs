//! A plain directory of a site's own packages as a mirror: the real binary, and apt, dnf and createrepo_c as other ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use head::Head;
use upstream::{build, run};

/// A directory with packages in folders of folders.
fn debs(head: &Head) -> PathBuf {
    let root = head.aside().join("debs");
    build(&root.join("a/app_1.0_amd64.deb"), "app", "1.0", "Depends: lib (>= 1.0)", 4_000);
    build(&root.join("deep/er/lib_1.0_amd64.deb"), "lib", "1.0", "", 3_000);
    settle();
    root
}

/// A file that changed within the last second is not believed to stay as it is, and would be read once more.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(1_100));
}

fn index(root: &Path) -> String {
    fs::read_to_string(root.join("dists/trixie/main/binary-amd64/Packages")).unwrap()
}

/// Adds the directory as the mirror `m`, whose suite is called as apt's sources of these tests have it.
fn add(head: &Head, root: &Path) {
    head.ok(&["mirror", "add", "m", "--path", root.to_str().unwrap()]);
    let definition = head.data().join("mirrors/m/definition.toml");
    let text = fs::read_to_string(&definition).unwrap();
    fs::write(&definition, format!("{text}publish_as = \"trixie\"\n")).unwrap();
}

#[test]
fn a_directory_of_debs_is_a_mirror_that_apt_installs_from() {
    let head = Head::new();
    let root = debs(&head);
    add(&head, &root);
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(told.contains("published"), "{told}");
    assert_eq!(head.packages(), ["app", "lib"]);
    head.apt_takes(&head.key(), &["app"]);
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    assert!(head.ok(&["mirror", "sync", "m"]).contains("unchanged"));
    // A copy, not a link: what is published does not change with the site's file.
    let (site, published) = (root.join("a/app_1.0_amd64.deb"), head.tree().join("pool/a/app_1.0_amd64.deb"));
    fs::write(&site, "something else").unwrap();
    assert_ne!(fs::read(&published).unwrap(), b"something else");
    let told = head.fails(&["mirror", "sync", "m"], 1);
    assert!(told.contains("a/app_1.0_amd64.deb: not a Debian package") && told.contains("--allow-missing"), "{told}");
    head.apt_takes(&head.key(), &["app"]);
    assert!(head.ok(&["mirror", "sync", "m", "--allow-missing"]).contains("left out: a/app_1.0_amd64.deb"));
    assert_eq!(head.packages(), ["lib"]);
}

#[test]
fn what_comes_goes_and_changes_in_the_directory_is_followed() {
    let head = Head::new();
    let root = debs(&head);
    add(&head, &root);
    head.ok(&["mirror", "sync", "m"]);
    build(&root.join("new_2.0_amd64.deb"), "new", "2.0", "", 100);
    build(&root.join("deep/er/lib_1.0_amd64.deb"), "lib", "1.5", "", 3_000);
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(told.contains("2 files"), "only those two are read: {told}");
    assert_eq!(head.packages(), ["app", "lib", "new"]);
    head.apt_takes(&head.key(), &["app", "new", "lib=1.5"]);
    fs::remove_file(root.join("new_2.0_amd64.deb")).unwrap();
    head.ok(&["mirror", "sync", "m"]);
    assert_eq!(head.packages(), ["app", "lib"]);
    // What is remembered changes nothing of what comes out.
    let before = index(&head.tree());
    fs::remove_file(head.data().join("mirrors/m/packages.cache")).unwrap();
    assert!(head.ok(&["mirror", "sync", "m"]).contains("unchanged"));
    assert_eq!(index(&head.tree()), before);
}

#[test]
fn the_index_says_what_apt_ftparchive_says() {
    let head = Head::new();
    let root = debs(&head);
    head.ok(&["mirror", "index", root.to_str().unwrap(), "--suite", "trixie"]);
    let theirs = run(Command::new("apt-ftparchive").args(["packages", "."]).current_dir(&root));
    let theirs = String::from_utf8(theirs.stdout).unwrap().replace("Filename: ./", "Filename: ");
    let sorted = |text: &str| {
        let only_theirs = ["MD5sum:", "SHA1:", "SHA512:"];
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.is_empty() && !only_theirs.iter().any(|name| line.starts_with(name)))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&index(&root)), sorted(&theirs));
}

/// Names of packages, in their order.
fn names(index: &str) -> Vec<String> {
    let mut names: Vec<String> = index.lines().filter_map(|line| line.strip_prefix("Package: ")).map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn each_index_holds_the_packages_of_its_architecture_and_those_for_all() {
    let head = Head::new();
    let root = head.aside().join("debs");
    // Enough for blocks of one architecture alone; what lies in `mixed` shares blocks.
    for architecture in ["all", "amd64", "i386"] {
        for number in 0..40 {
            let name = format!("p-{architecture}-{number:02}");
            let folder = if number < 34 { architecture } else { "mixed" };
            build(
                &root.join(folder).join(format!("{number:02}-{name}_1_{architecture}.deb")),
                &name,
                "1",
                &format!("Architecture: {architecture}"),
                10,
            );
        }
    }
    build(&root.join("installer-part.udeb"), "installer-part", "1", "", 10);
    settle();
    let check = || {
        head.ok(&["mirror", "index", root.to_str().unwrap(), "--suite", "trixie"]);
        for architecture in ["amd64", "i386"] {
            let index = |component: &str| root.join(format!("dists/trixie/{component}/binary-{architecture}"));
            let ours = fs::read(index("main").join("Packages")).unwrap();
            let theirs = run(Command::new("apt-ftparchive").args(["-a", architecture, "packages", "."]).current_dir(&root));
            let names = |bytes: &[u8]| names(std::str::from_utf8(bytes).unwrap());
            assert_eq!(names(&ours), names(&theirs.stdout), "{architecture}");
            assert_eq!(run(Command::new("gzip").arg("-dc").arg(index("main").join("Packages.gz"))).stdout, ours);
            let parts = fs::read(index("main/debian-installer").join("Packages")).unwrap();
            assert_eq!(names(&parts).len(), usize::from(architecture == "amd64"), "{architecture}");
        }
    };
    check();
    // Blocks that are carried over, and one that is made anew.
    build(&root.join("mixed/99-new_1_i386.deb"), "p-new", "1", "Architecture: i386", 10);
    check();
}

#[test]
fn an_archive_of_installer_parts_has_an_empty_index_of_packages() {
    let head = Head::new();
    let root = head.aside().join("debs");
    build(&root.join("part.udeb"), "part", "1", "", 10);
    head.ok(&["mirror", "index", root.to_str().unwrap(), "--suite", "trixie"]);
    assert_eq!(index(&root), "");
    let packed = root.join("dists/trixie/main/binary-amd64/Packages.gz");
    assert_eq!(run(Command::new("gzip").arg("-dc").arg(packed)).stdout, b"");
    assert_eq!(names(&fs::read_to_string(root.join("dists/trixie/main/debian-installer/binary-amd64/Packages")).unwrap()), ["part"]);
}

#[test]
fn metadata_in_the_directory_itself_is_renewed_in_one_step() {
    let head = Head::new();
    let root = debs(&head);
    let path = root.to_str().unwrap();
    assert!(head.ok(&["mirror", "index", path, "--suite", "trixie", "--sign"]).contains("2 packages, 2 of them read"));
    assert!(root.join("dists/trixie/InRelease").is_file());
    fs::write(root.join("dists/mark"), "of the former one").unwrap();
    fs::create_dir(root.join(".kickctl-new-killed")).unwrap();
    build(&root.join("new_2.0_amd64.deb"), "new", "2.0", "", 100);
    let told = head.ok(&["mirror", "index", path, "--suite", "trixie", "--sign"]);
    assert!(told.contains("3 packages"), "{told}");
    assert!(index(&root).contains("Package: new\n") && !root.join("dists/mark").exists());
    let left: Vec<_> = fs::read_dir(&root).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".kickctl-new")), "{left:?}");
}

#[test]
fn whoever_read_the_former_root_file_finds_what_it_names_until_the_next_but_one() {
    let head = Head::new();
    let root = debs(&head);
    let by_hash = root.join("dists/trixie/main/binary-amd64/by-hash/SHA256");
    let names = || -> BTreeSet<_> { fs::read_dir(&by_hash).unwrap().flatten().map(|entry| entry.file_name()).collect() };
    let run = |number: u32| {
        build(&root.join(format!("new_{number}_amd64.deb")), "new", &number.to_string(), "", 100);
        head.ok(&["mirror", "index", root.to_str().unwrap(), "--suite", "trixie"]);
        names()
    };
    let (first, second, third) = (run(1), run(2), run(3));
    assert_eq!([first.len(), second.len(), third.len()], [2, 4, 4], "Packages and Packages.gz, of two runs");
    assert!(second.is_superset(&first) && third.is_disjoint(&first) && third.intersection(&second).count() == 2);
    // With nothing new, nothing is forgotten.
    std::thread::sleep(Duration::from_millis(1100));
    for _ in 0..2 {
        head.ok(&["mirror", "index", root.to_str().unwrap(), "--suite", "trixie"]);
        assert_eq!(names(), third);
    }
}

#[test]
fn packages_are_added_all_or_none() {
    let head = Head::new();
    let root = debs(&head);
    let (path, aside) = (root.to_str().unwrap(), head.aside().join("new"));
    let file = |name: &str| aside.join(name).to_str().unwrap().to_owned();
    let (one, two, bad) = (file("one_1_amd64.deb"), file("two_1_amd64.deb"), file("bad_1_amd64.deb"));
    build(Path::new(&one), "one", "1", "", 700_000);
    build(Path::new(&two), "two", "1", "", 10);
    fs::write(&bad, "no package").unwrap();
    let listed = || names(&index(&root));
    let told = head.ok(&["mirror", "index", path, "--suite", "trixie", "--add", &one, &two]);
    assert!(told.contains("4 packages"), "{told}");
    assert_eq!(listed(), ["app", "lib", "one", "two"]);
    assert_eq!(fs::read(root.join("one_1_amd64.deb")).unwrap(), fs::read(&one).unwrap());
    // Again, and with one that is new.
    let three = file("three_1_amd64.deb");
    build(Path::new(&three), "three", "1", "", 10);
    head.ok(&["mirror", "index", path, "--suite", "trixie", "--add", &one, &three]);
    assert_eq!(listed(), ["app", "lib", "one", "three", "two"]);
    let before = fs::read_dir(&root).unwrap().count();
    let fails = |files: &[&str], expected: &str| {
        let told = head.fails(&[&["mirror", "index", path, "--suite", "trixie", "--add"], files].concat(), 1);
        assert!(told.contains(expected) && told.contains("nothing was added"), "{told}");
        assert_eq!((fs::read_dir(&root).unwrap().count(), listed().len()), (before, 5));
    };
    let four = file("four_1_amd64.deb");
    build(Path::new(&four), "four", "1", "", 10);
    fails(&[&four, &bad], "bad_1_amd64.deb: not a Debian package");
    build(Path::new(&two), "two", "1", "Section: games", 10);
    fails(&[&four, &two], "two_1_amd64.deb: the directory has another package under that name");
    fs::write(file("no.text"), "x").unwrap();
    fails(&[&four, &file("no.text")], "no.text: its name has to end in .deb");
    // Two of one name.
    let twin = file("twin/four_1_amd64.deb");
    build(Path::new(&twin), "four", "1", "Section: games", 10);
    fails(&[&four, &twin], "twin/four_1_amd64.deb: the directory has another package under that name");
    // There is no index of it, since another file is none.
    fs::write(root.join("broken.deb"), "no package").unwrap();
    let told = head.fails(&["mirror", "index", path, "--suite", "trixie", "--add", &four], 1);
    assert!(told.contains("broken.deb: not a Debian package") && !root.join("four_1_amd64.deb").exists(), "{told}");
    fs::remove_file(root.join("broken.deb")).unwrap();
    let told = head.fails(&["mirror", "index", path, "--add", &file("nothing.deb")], 1);
    assert!(told.contains("cannot read the package") && told.contains("nothing.deb"), "{told}");
    // One of the other kind.
    rpm(Path::new(&file("other.rpm")), "other", "1", "");
    let told = head.fails(&["mirror", "index", path, "--add", &file("other.rpm")], 1);
    assert!(told.contains("holds both") && !root.join("other.rpm").exists(), "{told}");
}

#[test]
fn a_directory_that_is_empty_or_holds_both_kinds_is_asked_about() {
    let head = Head::new();
    let root = head.aside().join("packages");
    fs::create_dir(&root).unwrap();
    let path = root.to_str().unwrap();
    let told = head.fails(&["mirror", "add", "m", "--path", path], 2);
    assert!(told.contains("holds no packages yet") && told.contains("--packages deb"), "{told}");
    fs::write(root.join("a.deb"), "").unwrap();
    fs::write(root.join("a.rpm"), "").unwrap();
    let told = head.fails(&["mirror", "add", "m", "--path", path], 2);
    assert!(told.contains("holds both"), "{told}");
    fs::remove_file(root.join("a.deb")).unwrap();
    fs::remove_file(root.join("a.rpm")).unwrap();
    head.ok(&["mirror", "add", "m", "--path", path, "--packages", "deb"]);
    assert!(head.ok(&["mirror", "sync", "m"]).contains("published"), "an empty archive is one too");
}

/// A package with a file and a dependency, built by the `rpm` crate.
fn rpm(file: &Path, name: &str, version: &str, requires: &str) {
    use rpm::{BuildConfig, Dependency, FileOptions, PackageBuilder};
    let mut builder = PackageBuilder::new(name, version, "MIT", "noarch", "a test's package");
    builder.using_config(BuildConfig::v4().source_date(1_700_000_000_u32)).release("1");
    builder.with_file_contents(name, FileOptions::new(format!("/usr/share/{name}/data"))).unwrap();
    if !requires.is_empty() {
        builder.requires(Dependency::any(requires));
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    builder.build().unwrap().write_file(file).unwrap();
}

/// More packages than one block of what is remembered holds.
fn rpms(head: &Head) -> PathBuf {
    let root = head.aside().join("rpms");
    rpm(&root.join("a/app-1.0-1.noarch.rpm"), "app", "1.0", "lib");
    rpm(&root.join("deep/er/lib-1.0-1.noarch.rpm"), "lib", "1.0", "/usr/share/p7/data");
    (0..120).for_each(|number| rpm(&root.join(format!("p/p{number}-1.0-1.noarch.rpm")), &format!("p{number}"), "1.0", ""));
    settle();
    root
}

/// The real dnf, with a root and caches of its own, on a tree whose repomd.xml is to be signed with the head's key.
fn dnf(head: &Head, tree: &Path, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let key = head.data().join("keys/signing.asc");
    let config = format!(
        "[main]\ngpgcheck=0\n[m]\nname=m\nbaseurl=file://{}\nrepo_gpgcheck=1\ngpgkey=file://{}\n",
        tree.canonicalize().unwrap().display(),
        key.display()
    );
    let file = home.path().join("dnf.conf");
    fs::write(&file, config).unwrap();
    let output = Command::new("dnf")
        .args(["-y", "--releasever=1", "-c"])
        .arg(&file)
        .arg(format!("--installroot={}", home.path().join("root").display()))
        .arg(format!("--setopt=cachedir={}", home.path().join("cache").display()))
        .arg("--setopt=reposdir=/nonexistent")
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "dnf {args:?}: {}", head::text(&output));
    head::text(&output)
}

#[test]
fn a_directory_of_rpms_is_a_mirror_that_dnf_installs_from() {
    let head = Head::new();
    let root = rpms(&head);
    head.ok(&["mirror", "add", "m", "--path", root.to_str().unwrap()]);
    assert!(head.ok(&["mirror", "sync", "m"]).contains("published"));
    let told = dnf(&head, &head.tree(), &["install", "--downloadonly", "app"]);
    assert!(told.contains("app") && told.contains("lib") && told.contains("p7"), "a package, its dependency, and by file: {told}");
    assert!(head.ok(&["mirror", "sync", "m"]).contains("unchanged"));
    rpm(&root.join("p/p7-2.0-1.noarch.rpm"), "p7", "2.0", "");
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(told.contains("1 files"), "{told}");
    let told = dnf(&head, &head.tree(), &["repoquery", "--latest-limit=1", "p7"]);
    assert!(told.contains("p7-0:2.0-1.noarch"), "{told}");
}

/// The text of the listing that `repodata/repomd.xml` names, in the order of packages.
fn listing(root: &Path, kind: &str) -> String {
    let folder = root.join("repodata");
    let named = fs::read_to_string(folder.join("repomd.xml")).unwrap();
    let is_it = |name: &str| name.contains(&format!("{kind}.xml")) && named.contains(name);
    let file = fs::read_dir(&folder).unwrap().flatten().find(|entry| is_it(&entry.file_name().to_string_lossy())).unwrap();
    let program = if file.file_name().to_string_lossy().ends_with(".zst") { "zstd" } else { "gzip" };
    String::from_utf8(run(Command::new(program).arg("-dc").arg(file.path())).stdout).unwrap()
}

#[test]
fn metadata_made_in_pieces_is_what_createrepo_c_makes() {
    let head = Head::new();
    let root = rpms(&head);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
        lines.sort();
        lines
    };
    run(Command::new("createrepo_c").args(["--quiet", "--no-database"]).arg(&root));
    let theirs = ["primary", "filelists", "other"].map(|kind| sorted(&listing(&root, kind)));
    let told = head.ok(&["mirror", "index", root.to_str().unwrap()]);
    assert!(told.contains("122 packages"), "{told}");
    let path = root.to_str().unwrap();
    rpm(&root.join("p/p7-1.0-1.noarch.rpm"), "p7", "1.0", "changed");
    head.ok(&["mirror", "index", path]);
    rpm(&root.join("p/p7-1.0-1.noarch.rpm"), "p7", "1.0", "");
    let ours = |kind: &str| sorted(&listing(&root, kind));
    head.ok(&["mirror", "index", path]);
    for (kind, theirs) in ["filelists", "other"].iter().zip(&theirs[1..]) {
        assert!(ours(kind) == *theirs, "{kind}");
    }
    // What primary.xml says of headers is compared where headers are read; here, that no package is lost, doubled or misplaced.
    let of = |lines: &[String]| {
        let kept = |line: &&String| ["<name>", "<version ", "<checksum ", "<size ", "<location "].iter().any(|tag| line.starts_with(tag));
        lines.iter().filter(kept).cloned().collect::<Vec<_>>()
    };
    assert!(of(&ours("primary")) == of(&theirs[0]), "primary");
    assert_eq!(of(&theirs[0]).len(), 5 * 122);
}
