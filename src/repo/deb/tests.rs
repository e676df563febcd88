//! Everything together, with apt at the other end.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use time::OffsetDateTime;

use super::path::archive_path;
use super::release::{FileEntry, Release};
use super::universe::{Origin, Universe};
use super::{closure, control, index};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::Filter;
use crate::repo::compress::{compress_gz, compress_xz};
use crate::repo::openpgp::SigningKey;

fn build(root: &Path, name: &str, depends: &str) {
    let work = root.join("work").join(name);
    fs::create_dir_all(work.join("DEBIAN")).unwrap();
    let control =
        format!("Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: A <a@example.org>\nDepends: {depends}\nDescription: x\n");
    fs::write(work.join("DEBIAN/control"), control.replace("Depends: \n", "")).unwrap();
    let deb = root.join("pool").join(format!("{name}_1.0-1_all.deb"));
    fs::create_dir_all(root.join("pool")).unwrap();
    assert!(Command::new("dpkg-deb").args(["--root-owner-group", "-b"]).args([&work, &deb]).output().unwrap().status.success());
}

/// A signed archive of the packages that a filter for `top` selects out of those in `pool`.
fn publish(root: &Path, key: &SigningKey, now: OffsetDateTime) {
    let mut universe = Universe::new();
    for file in fs::read_dir(root.join("pool")).unwrap().flatten() {
        let bytes = fs::read(file.path()).unwrap();
        let path = archive_path(&format!("pool/{}", file.file_name().to_str().unwrap())).unwrap();
        let stanza = control::index_stanza(&control::control(bytes.as_slice()).unwrap(), &path, bytes.len() as u64, Sha256::of(&bytes));
        universe.add(&stanza.unwrap(), Origin(0)).unwrap();
    }
    let filter = Filter { names: vec!["top".into()], dependencies: true, ..Filter::default() };
    let selection = closure::select(&universe, &filter);
    assert_eq!(selection.missing, []);
    let text = index::packages_text(selection.packages.iter().map(|id| universe.stanza(*id))).unwrap();
    let mut release = Release {
        origin: "kickctl".into(),
        label: "kickctl".into(),
        suite: "stable".into(),
        codename: "trixie".into(),
        version: String::new(),
        description: "A filtered mirror".into(),
        date: now,
        valid_until: None,
        components: vec!["main".into()],
        architectures: vec!["amd64".into()],
        acquire_by_hash: true,
        no_support_for_arch_all: true,
        files: [].into(),
    };
    let folder = root.join("dists/trixie");
    for (suffix, bytes) in
        [("", text.clone().into_bytes()), (".gz", compress_gz(text.as_bytes()).unwrap()), (".xz", compress_xz(text.as_bytes()).unwrap())]
    {
        let path = archive_path(&format!("main/binary-amd64/Packages{suffix}")).unwrap();
        let file = FileEntry { size: bytes.len() as u64, sha256: Sha256::of(&bytes) };
        let by_hash = folder.join("main/binary-amd64/by-hash/SHA256");
        fs::create_dir_all(&by_hash).unwrap();
        fs::write(by_hash.join(file.sha256.to_string()), &bytes).unwrap();
        if suffix == ".xz" {
            // Release names uncompressed indices that need not exist.
            fs::write(folder.join(path.as_str()), &bytes).unwrap();
        }
        release.files.insert(path, file);
    }
    fs::write(folder.join("InRelease"), key.sign_cleartext(&release.to_text(), now).unwrap()).unwrap();
    fs::write(root.join("key.gpg"), key.public_bytes().unwrap()).unwrap();
}

/// apt in a folder of its own, without root.
fn apt(home: &Path, command: &str, args: &[&str]) -> Output {
    for folder in ["state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    fs::write(home.join("status"), "").unwrap();
    let option = |name: &str, path: &str| format!("-o{name}={}", home.join(path).display());
    let options = [
        option("Dir::State", "state"),
        option("Dir::State::status", "status"),
        option("Dir::Cache", "cache"),
        option("Dir::Etc", "etc"),
        option("Dir::Etc::sourcelist", "sources.list"),
        "-oDir::Etc::sourceparts=-".to_owned(),
        "-oAPT::Architecture=amd64".to_owned(),
        "-oAPT::Architectures=amd64".to_owned(),
        "-oAPT::Sandbox::User=root".to_owned(),
        "-oAcquire::Languages=none".to_owned(),
    ];
    Command::new(command).args(options).args(args).current_dir(home).env("LC_ALL", "C").output().unwrap()
}

#[test]
fn apt_believes_a_filtered_archive_and_installs_from_it() {
    let (root, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    build(root.path(), "top", "below (>= 1.0) | nothing");
    build(root.path(), "below", "");
    build(root.path(), "unrelated", "");
    let key = SigningKey::generate("kickctl test", OffsetDateTime::now_utc()).unwrap();
    publish(root.path(), &key, OffsetDateTime::now_utc());
    let source = format!("deb [signed-by={0}/key.gpg] copy:{0} trixie main\n", root.path().display());
    fs::write(home.path().join("sources.list"), source).unwrap();

    let update = apt(home.path(), "apt-get", &["update"]);
    let said = format!("{}{}", String::from_utf8_lossy(&update.stdout), String::from_utf8_lossy(&update.stderr));
    assert!(update.status.success() && !said.contains("W:") && !said.contains("E:"), "{said}");
    let plan = apt(home.path(), "apt-get", &["-s", "install", "top"]);
    let plan = String::from_utf8(plan.stdout).unwrap();
    assert!(plan.contains("Inst top (1.0-1 kickctl:stable") && plan.contains("Inst below (1.0-1"), "{plan}");
    let names = String::from_utf8(apt(home.path(), "apt-cache", &["pkgnames"]).stdout).unwrap();
    assert!(!names.contains("unrelated"), "{names}");
    let fetched = apt(home.path(), "apt-get", &["download", "top"]);
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    assert!(home.path().join("top_1.0-1_all.deb").exists());

    // A key that nobody gave apt is refused: the signature is looked at indeed.
    let other = SigningKey::generate("kickctl other", OffsetDateTime::now_utc()).unwrap();
    fs::write(root.path().join("key.gpg"), other.public_bytes().unwrap()).unwrap();
    let refused = apt(home.path(), "apt-get", &["update"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("NO_PUBKEY"), "{refused:?}");
}
