//! A mirror of RPM repositories, and the real dnf as its client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/head.rs"]
mod head;
#[path = "support/rpm_upstream.rs"]
mod rpm_upstream;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use head::Head;
use rpm_upstream::{Dnf, Rpm, RpmUpstream};
use upstream::{Fault, run};

/// The public key of the head, as rpm reads it.
fn head_key(head: &Head) -> PathBuf {
    head.data().join("keys/signing.asc")
}

fn packages(told: &str) -> Vec<&str> {
    let mut names: Vec<&str> = told.lines().filter(|line| line.ends_with(".x86_64")).collect();
    names.sort_unstable();
    names
}

fn offered(repository: &Path, keys: &[&Path]) -> String {
    Dnf::of(&[("m", repository, keys)]).ok(&["-q", "repoquery", "--available", "--qf", "%{name}-%{version}.%{arch}"])
}

#[test]
fn a_whole_repository_is_upstreams_byte_for_byte_and_dnf_installs_from_it() {
    let upstream = RpmUpstream::with_packages();
    upstream.add_record("base", "odd", "odd.txt", "a record that nobody knows");
    let head = Head::defining(&upstream.table("base", "gpgcheck = true"));
    head.ok(&["mirror", "sync", "m"]);
    let tree = head.tree().join("base");
    for entry in fs::read_dir(upstream.repodata("base")).unwrap().flatten() {
        // createrepo_c leaves nothing beside what repomd.xml names.
        assert_eq!(fs::read(tree.join("repodata").join(entry.file_name())).unwrap(), fs::read(entry.path()).unwrap(), "{entry:?}");
    }
    let dnf = Dnf::of(&[("base", &tree, &[&upstream.keyring()])]);
    dnf.ok(&["install", "app"]);
    assert!(dnf.has("usr/share/app/data") && dnf.has("usr/share/lib/data") && !dnf.has("usr/share/other/data"));
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    let shown = head.show();
    assert_eq!(shown["published"]["details"]["repositories"][0]["keys"][0], "keys/base/key.asc");
    assert!(head.tree().join("keys/base/key.asc").is_file());
    // Nothing changed: the roots are asked for, and nothing else.
    upstream.site.asked();
    assert!(head.ok(&["mirror", "sync", "m"]).contains("unchanged"));
    assert_eq!(upstream.site.asked(), ["GET base/repodata/repomd.xml", "GET base/repodata/repomd.xml.asc"]);
}

#[test]
fn a_filtered_repository_is_closed_and_signed_by_the_head() {
    let upstream = RpmUpstream::with_packages();
    let head = Head::defining(&format!("{}[filter]\nnames = [\"app\"]\n", upstream.table("base", "gpgcheck = true")));
    head.ok(&["mirror", "sync", "m"]);
    let (tree, key, upstreams) = (head.tree().join("base"), head_key(&head), upstream.keyring());
    assert_eq!(packages(&offered(&tree, &[&key, &upstreams])), ["app-1.0.x86_64", "deep-1.0.x86_64", "lib-1.0.x86_64"]);
    let dnf = Dnf::of(&[("base", &tree, &[&key, &upstreams])]);
    dnf.ok(&["install", "app"]);
    assert!(dnf.has("usr/share/deep/data"));
    // Without the head's key nobody vouches for the metadata, without upstream's nobody for the packages.
    for (lacking, words) in [(&upstreams, "repomd.xml GPG signature verification error"), (&key, "GPG check FAILED")] {
        let (took, told) = Dnf::of(&[("base", &tree, &[lacking])]).run(&["install", "app"]);
        assert!(!took && told.contains(words), "{told}");
    }
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
    assert!(fs::read_to_string(tree.join("repodata/repomd.xml.key")).unwrap().contains("PUBLIC KEY"));
}

#[test]
fn several_repositories_are_kept_apart_or_merged() {
    let upstream = RpmUpstream::with_packages();
    upstream.add("updates", "app", "1.1", &["lib"]);
    // Another file under a name that `base` has too.
    upstream.build("updates", &Rpm { name: "lib", version: "1.0", requires: &[], size: 3_000 });
    upstream.publish("updates");
    let tables = format!("{}{}", upstream.table("base", ""), upstream.table("updates", ""));
    let apart = Head::defining(&tables);
    apart.ok(&["mirror", "sync", "m"]);
    let (base, updates, key) = (apart.tree().join("base"), apart.tree().join("updates"), upstream.keyring());
    let dnf = Dnf::of(&[("base", &base, &[&key]), ("updates", &updates, &[&key])]);
    assert!(dnf.ok(&["install", "app"]).contains("1.1-1"));
    let merged = Head::defining(&format!("merge = true\n{tables}"));
    merged.ok(&["mirror", "sync", "m"]);
    let own = head_key(&merged);
    let all = offered(&merged.tree(), &[&own, &key]);
    let expected = ["app-1.0.x86_64", "app-1.1.x86_64", "deep-1.0.x86_64", "lib-1.0.x86_64", "lib-1.0.x86_64", "other-1.0.x86_64"];
    let mut found: Vec<&str> = packages(&all);
    found.dedup();
    let mut distinct = expected.to_vec();
    distinct.dedup();
    assert_eq!(found, distinct);
    let dnf = Dnf::of(&[("all", &merged.tree(), &[&own, &key])]);
    dnf.ok(&["install", "app", "other"]);
    assert!(dnf.has("usr/share/app/data") && dnf.has("usr/share/other/data"));
    assert!(merged.ok(&["mirror", "verify", "m"]).contains("all as promised"));
}

#[test]
fn a_directory_of_the_sites_own_packages_joins_another_mirror() {
    let upstream = RpmUpstream::with_packages();
    upstream.add("own", "mine", "1.0", &["lib"]);
    let (own, head) = (upstream.root().join("own"), Head::new());
    head.ok(&["mirror", "add", "local", "--path", own.to_str().unwrap()]);
    head.ok(&["mirror", "sync", "local"]);
    let (local, key) = (head.data().join("mirrors/local/current/tree"), head_key(&head));
    let joining = format!("[[repository]]\nname = \"own\"\nbaseurl = [\"file://{}\"]\nkeys = [\"{}\"]\n", local.display(), key.display());
    head.define(&format!("merge = true\n{}{joining}", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    let dnf = Dnf::of(&[("all", &head.tree(), &[&key, &upstream.keyring()])]);
    dnf.ok(&["install", "mine"]);
    assert!(dnf.has("usr/share/mine/data") && dnf.has("usr/share/lib/data"));
    // The directory goes on by itself.
    upstream.add("own", "mine", "1.1", &["lib"]);
    head.ok(&["mirror", "sync", "local"]);
    head.ok(&["mirror", "sync", "m"]);
    assert!(offered(&head.tree(), &[&key, &upstream.keyring()]).contains("mine-1.1"));
}

/// Whole, filtered and merged; in the merged one two files of one name, so that one has moved.
#[test]
fn reposync_copies_every_kind_of_mirror_again() {
    let upstream = RpmUpstream::with_packages();
    upstream.build("updates", &Rpm { name: "lib", version: "1.0", requires: &[], size: 3_000 });
    upstream.publish("updates");
    let base = upstream.table("base", "");
    let kinds = [
        (base.clone(), "base"),
        (format!("{base}[filter]\nnames = [\"app\"]\n"), "base"),
        (format!("merge = true\n{base}{}", upstream.table("updates", "")), ""),
    ];
    for (definition, place) in kinds {
        let head = Head::defining(&definition);
        head.ok(&["mirror", "sync", "m"]);
        let (tree, copy) = (head.tree().join(place), tempfile::tempdir().unwrap());
        // A whole mirror has no need of the head's key, and its head none.
        let own = Some(head_key(&head)).filter(|key| key.is_file());
        let keys: Vec<PathBuf> = own.into_iter().chain([upstream.keyring()]).collect();
        let dnf = Dnf::of(&[("m", &tree, &keys.iter().map(PathBuf::as_path).collect::<Vec<_>>())]);
        // What it checks packages against are the keys that an installation has taken in.
        dnf.ok(&["install", "deep"]);
        dnf.ok(&["reposync", "--repoid=m", "--download-metadata", "--gpgcheck", "-p", copy.path().to_str().unwrap()]);
        let is_part = |path: &Path| path.extension().is_some_and(|end| end == "rpm") || path.ends_with("repomd.xml");
        let files = |root: &Path| -> BTreeMap<PathBuf, _> {
            let root = root.canonicalize().unwrap();
            let all = head::contents(&root).into_iter();
            all.filter(|(path, _)| is_part(path)).map(|(path, digest)| (path.strip_prefix(&root).unwrap().to_owned(), digest)).collect()
        };
        let copied = files(&copy.path().join("m"));
        assert!(copied.len() >= 4, "{copied:?}");
        assert_eq!(copied, files(&tree), "{definition}");
    }
}

#[test]
fn a_server_that_fails_is_replaced_by_the_next() {
    let (first, second) = (RpmUpstream::with_packages(), RpmUpstream::new());
    run(std::process::Command::new("cp").arg("-r").arg(first.root().join("base")).arg(second.root()));
    second.site.fail("base/Packages/app-1.0-1.x86_64.rpm", Fault::Flip);
    second.site.fail("base/Packages/lib-1.0-1.x86_64.rpm", Fault::Missing);
    let table =
        first.table("base", "").replace("baseurl = [", &format!("baseurl = [\"http://127.0.0.1:9/no\", \"{}\", ", second.url("base")));
    let head = Head::defining(&table);
    head.ok(&["mirror", "sync", "m"]);
    Dnf::of(&[("base", &head.tree().join("base"), &[&first.keyring()])]).ok(&["install", "app"]);
    assert!(!second.site.asked().is_empty());
}

fn metalink(upstream: &RpmUpstream, digest: &str, size: usize) {
    let text = format!(
        "<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\"><files><file name=\"repomd.xml\"><size>{size}</size><verification>\
         <hash type=\"sha256\">{digest}</hash></verification><resources><url protocol=\"http\" preference=\"100\">{}/repodata/repomd.xml</url>\
         </resources></file></files></metalink>",
        upstream.url("base")
    );
    fs::write(upstream.root().join("metalink"), text).unwrap();
}

#[test]
fn a_metalink_and_a_mirror_list_lead_to_the_repository() {
    let upstream = RpmUpstream::with_packages();
    let repomd = fs::read(upstream.repodata("base").join("repomd.xml")).unwrap();
    metalink(&upstream, &kickctl::domain::checksum::Sha256::of(&repomd).to_string(), repomd.len());
    fs::write(upstream.root().join("list"), format!("# mirrors\n{}/\n", upstream.url("base"))).unwrap();
    for (key, name) in [("metalink", "metalink"), ("mirrorlist", "list")] {
        let baseurl = format!("baseurl = [\"{}\"]", upstream.url("base"));
        let table = upstream.table("base", "").replace(&baseurl, &format!("{key} = \"{}/{name}\"", upstream.site.url));
        let head = Head::defining(&table);
        head.ok(&["mirror", "sync", "m"]);
        Dnf::of(&[("base", &head.tree().join("base"), &[&upstream.keyring()])]).ok(&["install", "app"]);
    }
}

/// A kickstart tree in a repository's folder.
fn kickstart_tree(upstream: &RpmUpstream) {
    let folder = upstream.root().join("base");
    let mut checksums = String::new();
    for (path, bytes) in
        [("images/pxeboot/vmlinuz", &b"a kernel"[..]), ("images/pxeboot/initrd.img", b"an initrd"), ("images/install.img", b"an image")]
    {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), bytes).unwrap();
        checksums += &format!("{path} = sha256:{}\n", kickctl::domain::checksum::Sha256::of(bytes));
    }
    let repomd = kickctl::domain::checksum::Sha256::of(&fs::read(folder.join("repodata/repomd.xml")).unwrap());
    let text = format!(
        "[checksums]\n{checksums}images/boot.iso = sha256:{repomd}\nrepodata/repomd.xml = sha256:{repomd}\n\n[general]\nfamily = Test Linux\n\
         version = 9.9\narch = x86_64\n\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n\n[stage2]\n\
         mainimage = images/install.img\n\n[variant-base]\nid = base\nrepository = .\n\n[variant-more]\nid = more\nrepository = ../more\n"
    );
    fs::write(folder.join(".treeinfo"), text).unwrap();
    fs::write(folder.join("media.repo"), "[InstallMedia]\nname=Test\n").unwrap();
}

#[test]
fn a_kickstart_tree_is_copied_whole_and_told_in_the_record() {
    let upstream = RpmUpstream::with_packages();
    kickstart_tree(&upstream);
    let head = Head::defining(&format!("{}[tree]\n", upstream.table("base", "")));
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(told.contains("images/boot.iso") && told.contains("variant more"), "{told}");
    let base = head.tree().join("base");
    assert_eq!(fs::read(base.join("images/install.img")).unwrap(), b"an image");
    assert_eq!(fs::read(base.join(".treeinfo")).unwrap(), fs::read(upstream.root().join("base/.treeinfo")).unwrap());
    assert!(base.join("media.repo").is_file());
    let installer = &head.show()["published"]["details"]["installers"][0];
    assert_eq!(installer["kernel"], "base/images/pxeboot/vmlinuz");
    assert_eq!((&installer["tree"]["root"], &installer["tree"]["image"]), (&"base".into(), &"base/images/install.img".into()));
    assert_eq!((&installer["tree"]["family"], &installer["tree"]["version"]), (&"Test Linux".into(), &"9.9".into()));
    // `.treeinfo` alone changes: that is a new snapshot.
    let treeinfo = upstream.root().join("base/.treeinfo");
    fs::write(&treeinfo, fs::read_to_string(&treeinfo).unwrap().replace("9.9", "9.10")).unwrap();
    head.ok(&["mirror", "sync", "m"]);
    assert_eq!(head.show()["published"]["details"]["installers"][0]["tree"]["version"], "9.10");
}

#[test]
fn the_tree_of_a_filtered_repository_vouches_for_the_rebuilt_metadata() {
    let upstream = RpmUpstream::with_packages();
    kickstart_tree(&upstream);
    let head = Head::defining(&format!("{}[filter]\nnames = [\"app\"]\n[tree]\n", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    let base = head.tree().join("base");
    let repomd = kickctl::domain::checksum::Sha256::of(&fs::read(base.join("repodata/repomd.xml")).unwrap());
    assert!(fs::read_to_string(base.join(".treeinfo")).unwrap().contains(&format!("repodata/repomd.xml = sha256:{repomd}")));
    assert!(head.ok(&["mirror", "verify", "m"]).contains("all as promised"));
}

/// As trees of ten years ago are: another name, one section, no checksums.
#[test]
fn a_tree_of_the_old_kind_is_copied_too() {
    let upstream = RpmUpstream::with_packages();
    kickstart_tree(&upstream);
    let base = upstream.root().join("base");
    let text = fs::read_to_string(base.join(".treeinfo")).unwrap();
    let images = &text[text.find("[images-x86_64]").unwrap()..text.find("[variant-base]").unwrap()];
    fs::write(base.join("treeinfo"), format!("[general]\nfamily = Test Linux\nversion = 6.10\narch = x86_64\n{images}")).unwrap();
    fs::remove_file(base.join(".treeinfo")).unwrap();
    let head = Head::defining(&format!("{}[tree]\n", upstream.table("base", "")));
    head.ok(&["mirror", "sync", "m"]);
    for file in ["treeinfo", "images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img"] {
        assert_eq!(fs::read(head.tree().join("base").join(file)).unwrap(), fs::read(base.join(file)).unwrap(), "{file}");
    }
    assert_eq!(head.show()["published"]["details"]["installers"][0]["tree"]["version"], "6.10");
}

#[test]
fn a_tree_without_its_image_is_not_published() {
    let upstream = RpmUpstream::with_packages();
    kickstart_tree(&upstream);
    fs::remove_file(upstream.root().join("base/images/install.img")).unwrap();
    let head = Head::defining(&format!("{}[tree]\n", upstream.table("base", "")));
    let told = head.fails(&["mirror", "sync", "m"], 1);
    assert!(told.contains("images/install.img") && told.contains("not complete"), "{told}");
    assert!(head.show()["published"].is_null());
}

#[test]
fn a_mounted_medium_is_a_mirror_by_copies() {
    let upstream = RpmUpstream::with_packages();
    upstream.add("AppStream", "extra", "1.0", &[]);
    upstream.publish("AppStream");
    let medium = upstream.root().join("medium");
    fs::create_dir(&medium).unwrap();
    for (from, to) in [("base", "BaseOS"), ("AppStream", "AppStream")] {
        fs::rename(upstream.root().join(from), medium.join(to)).unwrap();
        // Nobody signs the metadata on a medium.
        fs::remove_file(medium.join(to).join("repodata/repomd.xml.asc")).unwrap();
    }
    let mut checksums = String::new();
    for (path, bytes) in
        [("images/pxeboot/vmlinuz", &b"a kernel"[..]), ("images/pxeboot/initrd.img", b"an initrd"), ("images/install.img", b"an image")]
    {
        fs::create_dir_all(medium.join(path).parent().unwrap()).unwrap();
        fs::write(medium.join(path), bytes).unwrap();
        checksums += &format!("{path} = sha256:{}\n", kickctl::domain::checksum::Sha256::of(bytes));
    }
    let text = format!(
        "[checksums]\n{checksums}[general]\nfamily = Test\nversion = 9\narch = x86_64\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = \
         images/pxeboot/initrd.img\n[stage2]\nmainimage = images/install.img\n[variant-AppStream]\nid = AppStream\nrepository = AppStream\n"
    );
    fs::write(medium.join(".treeinfo"), text).unwrap();
    fs::write(medium.join(".discinfo"), "1700000000.0\nTest 9\nx86_64\n").unwrap();
    let head = Head::new();
    head.ok(&["mirror", "add", "m", "--path", medium.to_str().unwrap()]);
    let told = head.ok(&["mirror", "sync", "m"]);
    assert!(!told.contains("variant"), "{told}");
    let tree = head.tree();
    assert!(tree.join(".discinfo").is_file() && tree.join("images/install.img").is_file());
    let package = tree.join("BaseOS/Packages/app-1.0-1.x86_64.rpm");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    assert_ne!(inode(&package), inode(&medium.join("BaseOS/Packages/app-1.0-1.x86_64.rpm")), "copied, not linked");
    let installer = &head.show()["published"]["details"]["installers"][0];
    assert_eq!((&installer["kernel"], &installer["tree"]["root"]), (&"images/pxeboot/vmlinuz".into(), &"".into()));
    let empty = tempfile::tempdir().unwrap();
    assert!(head.fails(&["mirror", "add", "n", "--path", empty.path().to_str().unwrap()], 2).contains("holds no packages yet"));
}

/// Runs kickctl where these are the machine's `.repo` files: in a mount namespace of its own.
fn on_a_host_with(repositories: &str, head: &Head, args: &[&str]) -> std::process::Output {
    let etc = tempfile::tempdir_in(head.aside()).unwrap();
    for folder in ["upper/yum.repos.d", "upper/dnf/vars", "work"] {
        fs::create_dir_all(etc.path().join(folder)).unwrap();
    }
    fs::write(etc.path().join("upper/yum.repos.d/site.repo"), repositories).unwrap();
    fs::write(etc.path().join("upper/dnf/vars/suffix"), "se\n").unwrap();
    let script = "mount -t overlay -o lowerdir=/etc,upperdir=$0/upper,workdir=$0/work overlay /etc; exec \"$@\"";
    let command = head.command(args);
    let mut host = std::process::Command::new("unshare");
    host.args(["--mount", "sh", "-ec", script]).arg(etc.path()).arg(command.get_program()).args(command.get_args());
    host.output().unwrap()
}

#[test]
fn repositories_and_keys_are_taken_from_the_heads_own_repo_files() {
    let upstream = RpmUpstream::with_packages();
    let (site, key) = (&upstream.site.url, upstream.keyring().display().to_string());
    let repositories = format!(
        "[base]\nname=Base\nbaseurl={site}/ba$suffix\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://{key}\n[off]\nbaseurl=http://127.0.0.1:9/\nenabled=0\n"
    );
    let head = Head::new();
    let added = on_a_host_with(&repositories, &head, &["mirror", "add", "m", "--from-host"]);
    assert!(added.status.success(), "{}", head::text(&added));
    head.ok(&["mirror", "sync", "m"]);
    Dnf::of(&[("base", &head.tree().join("base"), &[&upstream.keyring()])]).ok(&["install", "app"]);
    // Of a shipped definition the repositories of the same name get this machine's addresses and keys.
    let shipped = repositories.replace("[base]", "[baseos]");
    let added = on_a_host_with(&shipped, &head, &["mirror", "add", "rocky-9", "--from-host", "--keyring", &key]);
    assert!(added.status.success(), "{}", head::text(&added));
    assert!(head.ok(&["mirror", "show", "rocky-9", "-o", "json"]).contains(&format!("{site}/base")));
    let refused = on_a_host_with("[else]\nbaseurl=http://127.0.0.1:9/\n", &head, &["mirror", "add", "almalinux-9", "--from-host"]);
    assert!(!refused.status.success() && head::text(&refused).contains("/etc/yum.repos.d"), "{}", head::text(&refused));
}

#[test]
fn shipped_definitions_of_rpm_distributions_are_added_with_the_sites_keys() {
    let upstream = RpmUpstream::new();
    let key = upstream.keyring().display().to_string();
    let head = Head::new();
    for name in ["rocky-9", "almalinux-9", "centos-stream-10", "fedora"] {
        head.ok(&["mirror", "add", name, "--keyring", &key]);
        let shown = head.ok(&["mirror", "show", name, "-o", "json"]);
        assert!(shown.contains("\"format\": \"rpm\"") && shown.contains(&key), "{shown}");
    }
    // The key is not shipped: without it there is nothing to verify with, and that is said.
    let told = Head::new().fails(&["mirror", "add", "rocky-9"], 1);
    assert!(told.contains("RPM-GPG-KEY-Rocky-9") && told.contains("--keyring"), "{told}");
}
