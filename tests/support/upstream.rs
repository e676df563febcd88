//! An archive of a test's own: real packages, real indices, served over HTTP by a server that can be told to misbehave.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "site.rs"]
mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kickctl::repo::compress::{compress_gz, compress_xz};
use kickctl::repo::openpgp::SigningKey;
use time::OffsetDateTime;
use time::macros::format_description;

pub use site::{Fault, Site};

/// An archive and its server.
pub struct Upstream {
    folder: tempfile::TempDir,
    /// Where it is served.
    pub url: String,
    /// Its key.
    pub key: SigningKey,
    /// Its suite.
    pub suite: &'static str,
    site: Site,
}

impl Upstream {
    /// An empty archive with a server on loopback, which ends with the test's process.
    pub fn new() -> Self {
        Self::of_suite("trixie")
    }

    /// The same, of another suite.
    pub fn of_suite(suite: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("pool")).unwrap();
        let key = SigningKey::generate("an archive of a test", OffsetDateTime::now_utc() - Duration::from_secs(90 * 86400)).unwrap();
        fs::write(folder.path().join("archive.gpg"), key.public_bytes().unwrap()).unwrap();
        let site = Site::of(folder.path());
        Self { url: site.url.clone(), folder, key, suite, site }
    }

    /// An archive of some packages: `base` is required; `app` needs `lib`; `lib` has 300 KB; `other` nobody needs.
    pub fn with_packages() -> Self {
        let upstream = Self::new();
        upstream.add("base", "1.0", "Priority: required", 2_000);
        upstream.add("app", "1.0", "Depends: lib (>= 1.0)", 2_000);
        upstream.add("lib", "1.0", "", 300_000);
        upstream.add("other", "1.0", "", 2_000);
        upstream.publish();
        upstream
    }

    /// The archive's root.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The keyring file.
    pub fn keyring(&self) -> PathBuf {
        self.root().join("archive.gpg")
    }

    /// Adds a package; replaces other versions of it. `fields`: further lines of its control file.
    pub fn add(&self, name: &str, version: &str, fields: &str, size: usize) -> PathBuf {
        let file = self.place(name, version);
        build(&file, name, version, fields, size);
        file
    }

    /// The same, with a changelog of its own.
    pub fn add_with_changelog(&self, name: &str, version: &str, fields: &str, changelog: &str) -> PathBuf {
        let file = self.place(name, version);
        build_with(&file, name, version, fields, 2_000, Some(changelog));
        file
    }

    /// Where a package goes; other versions of it are removed.
    fn place(&self, name: &str, version: &str) -> PathBuf {
        for entry in fs::read_dir(self.root().join("pool")).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{name}_")) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        self.root().join(format!("pool/{name}_{version}_amd64.deb"))
    }

    fn dists(&self) -> PathBuf {
        self.root().join("dists").join(self.suite)
    }

    /// Makes indices of the pool and signs them, now.
    pub fn publish(&self) {
        self.publish_dated(OffsetDateTime::now_utc(), None);
    }

    /// Makes indices of the pool and signs them.
    pub fn publish_dated(&self, date: OffsetDateTime, valid_until: Option<OffsetDateTime>) {
        let folder = self.dists().join("main/binary-amd64");
        fs::create_dir_all(&folder).unwrap();
        let packages = run(Command::new("apt-ftparchive").args(["packages", "pool"]).current_dir(self.root()));
        self.write_index(&packages.stdout);
        self.sign(date, valid_until);
    }

    /// Writes an index as it is.
    pub fn write_index(&self, text: &[u8]) {
        let folder = self.dists().join("main/binary-amd64");
        fs::write(folder.join("Packages"), text).unwrap();
        fs::write(folder.join("Packages.gz"), compress_gz(text).unwrap()).unwrap();
        fs::write(folder.join("Packages.xz"), compress_xz(text).unwrap()).unwrap();
    }

    /// Makes the Release file by apt-ftparchive, and signs it.
    pub fn sign(&self, date: OffsetDateTime, valid_until: Option<OffsetDateTime>) {
        self.write_release(date, valid_until, &[]);
    }

    /// As [`Upstream::sign`], naming further files below `dists/trixie`: apt-ftparchive takes in index files only.
    pub fn sign_with(&self, date: OffsetDateTime, further: &[&str]) {
        self.write_release(date, None, further);
    }

    fn write_release(&self, date: OffsetDateTime, valid_until: Option<OffsetDateTime>, further: &[&str]) {
        let dists = self.dists();
        for name in ["Release", "InRelease", "Release.gpg"] {
            let _ = fs::remove_file(dists.join(name));
        }
        let suite = if self.suite == "trixie" { "stable" } else { self.suite };
        let (suite, codename) = (format!("Suite={suite}"), format!("Codename={}", self.suite));
        let options = ["Origin=Debian", "Label=Debian", &suite, &codename, "Components=main", "Architectures=amd64"];
        let mut command = Command::new("apt-ftparchive");
        options.iter().for_each(|option| {
            command.arg("-o").arg(format!("APT::FTPArchive::Release::{option}"));
        });
        let made = String::from_utf8(run(command.args(["release", "."]).current_dir(&dists)).stdout).unwrap();
        let mut text: String = made.lines().filter(|line| !line.starts_with("Date:")).fold(String::new(), |text, line| text + line + "\n");
        let stamp = |date: OffsetDateTime| {
            let format = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] UTC");
            date.to_offset(time::UtcOffset::UTC).format(format).unwrap()
        };
        text.insert_str(0, &format!("Date: {}\n", stamp(date)));
        if let Some(until) = valid_until {
            text.insert_str(0, &format!("Valid-Until: {}\n", stamp(until)));
        }
        for path in further {
            if text.contains(path) {
                continue;
            }
            let bytes = fs::read(dists.join(path)).unwrap();
            let line = format!("SHA256:\n {} {} {path}\n", kickctl::domain::checksum::Sha256::of(&bytes), bytes.len());
            text = text.replace("SHA256:\n", &line);
        }
        // apt-ftparchive writes the fields in its own order; signed at the time of its date, as archives do.
        let now = OffsetDateTime::now_utc();
        fs::write(dists.join("Release"), &text).unwrap();
        fs::write(dists.join("InRelease"), self.key.sign_cleartext(&text, now).unwrap()).unwrap();
        fs::write(dists.join("Release.gpg"), self.key.sign_detached(text.as_bytes(), now).unwrap()).unwrap();
    }

    /// Misbehaves on a path below the archive's root from now on.
    pub fn fail(&self, path: &str, fault: Fault) {
        self.site.fail(path, fault);
    }

    /// Behaves again.
    pub fn heal(&self) {
        self.site.heal();
    }

    /// What was asked since the last call: `GET path` or `GET path bytes=1-`.
    pub fn asked(&self) -> Vec<String> {
        self.site.asked()
    }
}

/// Builds a package with the real dpkg-deb. Contents do not compress.
pub fn build(file: &Path, name: &str, version: &str, fields: &str, size: usize) {
    build_with(file, name, version, fields, size, None);
}

fn build_with(file: &Path, name: &str, version: &str, fields: &str, size: usize, changelog: Option<&str>) {
    let work = tempfile::tempdir().unwrap();
    let share = work.path().join("usr/share").join(name);
    fs::create_dir_all(work.path().join("DEBIAN")).unwrap();
    fs::create_dir_all(&share).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ name.len() as u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    })
    .take(size)
    .collect();
    fs::write(share.join("data"), noise).unwrap();
    if let Some(text) = changelog {
        let folder = work.path().join("usr/share/doc").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("changelog.Debian.gz"), compress_gz(text.as_bytes()).unwrap()).unwrap();
    }
    let priority = if fields.contains("Priority:") { "" } else { "Priority: optional\n" };
    let architecture = if fields.contains("Architecture:") { "" } else { "Architecture: amd64\n" };
    let fields = if fields.is_empty() { String::new() } else { format!("{fields}\n") };
    let control = format!(
        "Package: {name}\nVersion: {version}\n{architecture}Maintainer: A <a@example.org>\n{priority}{fields}Description: a test's {name}\n"
    );
    fs::write(work.path().join("DEBIAN/control"), control).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "-b"]).arg(work.path()).arg(file));
}

/// Runs a program that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
