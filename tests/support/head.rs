//! A head of a test's own: the real kickctl with a data folder, and real clients of what it publishes.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kickctl::domain::checksum::Sha256;

use super::upstream::Upstream;

/// The filter of most tests.
pub const FILTER: &str = "[filter]\npriorities = [\"required\"]\nnames = [\"app\"]\n";

/// A data folder.
pub struct Head {
    folder: tempfile::TempDir,
    data: PathBuf,
}

impl Head {
    /// A head without mirrors.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self { folder, data }
    }

    /// A head whose data folder is elsewhere.
    pub fn at(data: PathBuf) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), data }
    }

    /// A head with the mirror `m` of an upstream. `rest`: what follows the source in its definition, such as [`FILTER`].
    pub fn mirroring(upstream: &Upstream, rest: &str) -> Self {
        let head = Self::new();
        head.add(upstream, rest);
        head
    }

    /// A head with the mirror `m` of this definition.
    pub fn defining(text: &str) -> Self {
        let head = Self::new();
        head.define(text);
        head
    }

    /// Adds the mirror `m` by a definition.
    pub fn define(&self, text: &str) {
        let file = self.folder.path().join("m.toml");
        fs::write(&file, text).unwrap();
        self.ok(&["mirror", "add", "m", "--file", file.to_str().unwrap()]);
    }

    /// Adds the mirror `m`.
    pub fn add(&self, upstream: &Upstream, rest: &str) {
        let text = format!(
            "[[source]]\nurl = \"{}\"\nsuites = [\"trixie\"]\ncomponents = [\"main\"]\narchitectures = [\"amd64\"]\nkeyring = [\"{}\"]\n{rest}",
            upstream.url,
            upstream.keyring().display()
        );
        self.define(&text);
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder for the test's own files.
    pub fn aside(&self) -> &Path {
        self.folder.path()
    }

    /// kickctl with this data folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kickctl"));
        command.arg("--data").arg(&self.data).args(args).env_remove("KICKCTL_CONFIG");
        command
    }

    /// Runs kickctl, whatever comes of it.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs kickctl, which must succeed. Returns both outputs.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let told = text(&output);
        assert!(output.status.success(), "{args:?}: {told}");
        told
    }

    /// Runs kickctl, which must refuse or fail with this exit code. Returns what it said.
    pub fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        told
    }

    /// The published tree of `m`.
    pub fn tree(&self) -> PathBuf {
        self.data.join("mirrors/m/current/tree")
    }

    /// Every file of the published tree with its digest.
    pub fn contents(&self) -> BTreeMap<PathBuf, Sha256> {
        contents(&self.tree())
    }

    /// `mirror show -o json`.
    pub fn show(&self) -> serde_json::Value {
        let output = self.run(&["mirror", "show", "m", "-o", "json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The names of the packages that the published index offers.
    pub fn packages(&self) -> Vec<String> {
        let text = fs::read_to_string(self.tree().join("dists/trixie/main/binary-amd64/Packages")).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("Package: ")).map(str::to_owned).collect()
    }

    /// The head's public key.
    pub fn key(&self) -> PathBuf {
        self.data.join("keys/signing.gpg")
    }

    /// The real apt as a client of the published tree, in a folder of its own: update, then download and check these packages.
    pub fn apt_takes(&self, keyring: &Path, packages: &[&str]) {
        let home = tempfile::tempdir().unwrap();
        let told = apt(home.path(), &self.tree(), keyring, "apt-get", &["update"]);
        assert!(told.0 && !told.1.contains("W:") && !told.1.contains("E:"), "apt-get update: {}", told.1);
        let mut args = vec!["install", "-y", "--download-only", "--no-install-recommends"];
        args.extend(packages);
        let told = apt(home.path(), &self.tree(), keyring, "apt-get", &args);
        assert!(told.0 && told.1.contains("Download complete"), "apt-get install: {}", told.1);
    }

    /// What the real apt would upgrade of a system that has these packages: name and version that it has, version that it would get.
    pub fn apt_upgrades(&self, keyring: &Path, installed: &[(&str, &str, &str)]) -> Vec<(String, String)> {
        let home = tempfile::tempdir().unwrap();
        let status: String = installed.iter().map(|(name, version, depends)| status_stanza(name, version, depends)).collect();
        apt_with(home.path(), &self.tree(), keyring, &status, "apt-get", &["update"]);
        let told = apt_with(home.path(), &self.tree(), keyring, &status, "apt", &["list", "--upgradable"]);
        assert!(told.0, "{}", told.1);
        // `app/stable 1.1 amd64 [upgradable from: 1.0]`
        let line = |line: &str| {
            let (name, rest) = line.split_once('/')?;
            Some((name.to_owned(), rest.split(' ').nth(1)?.to_owned()))
        };
        told.1.lines().filter(|line| line.contains("upgradable from")).filter_map(line).collect()
    }
}

/// As dpkg keeps it. With other dependencies than the archive's, apt takes the same version for another package, and for an upgrade.
fn status_stanza(name: &str, version: &str, depends: &str) -> String {
    let depends = if depends.is_empty() { String::new() } else { format!("Depends: {depends}\n") };
    let fields = "Maintainer: A <a@example.org>\nDescription: x";
    format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n{depends}{fields}\n\n")
}

/// Every file below a folder with its digest; of a link to a folder where it leads.
pub fn contents(root: &Path) -> BTreeMap<PathBuf, Sha256> {
    let mut files = BTreeMap::new();
    let Ok(root) = root.canonicalize() else { return files };
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.path().is_dir() {
                files.insert(entry.path(), Sha256::of(fs::read_link(entry.path()).unwrap().as_os_str().as_encoded_bytes()));
            } else {
                files.insert(entry.path(), Sha256::of(&fs::read(entry.path()).unwrap()));
            }
        }
    }
    files
}

/// Both outputs of a program.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn apt(home: &Path, tree: &Path, keyring: &Path, program: &str, args: &[&str]) -> (bool, String) {
    apt_with(home, tree, keyring, "", program, args)
}

fn apt_with(home: &Path, tree: &Path, keyring: &Path, status: &str, program: &str, args: &[&str]) -> (bool, String) {
    for folder in ["state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    fs::write(home.join("status"), status).unwrap();
    fs::write(home.join("sources.list"), format!("deb [signed-by={}] copy:{} trixie main\n", keyring.display(), tree.display())).unwrap();
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
        "-oAcquire::Check-Valid-Until=true".to_owned(),
    ];
    let output = Command::new(program).args(options).args(args).env("LC_ALL", "C").current_dir(home).output().unwrap();
    (output.status.success(), text(&output))
}
