//! A data folder and the real binary on it, whose words are what is looked at.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions only, not in their helpers")]
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use kickctl::store::SqliteStore;
use tempfile::TempDir;

/// A data folder and the binary on it.
pub struct Head(TempDir);

impl Head {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kickctl"));
        command.args(line).env("KICKCTL_DATA", self.path()).env_remove("KICKCTL_CONFIG").stdin(Stdio::null());
        command
    }

    /// What a command told, and how it ended.
    pub fn run(&self, line: &[&str]) -> String {
        told(&self.command(line).output().unwrap())
    }

    /// Standard output of a command that must succeed.
    pub fn good(&self, line: &[&str]) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, line: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.good(&[line, &["-o", "json"]].concat())).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub async fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path().join("state.db")).await.unwrap()
    }

    pub fn three_nodes(&self) {
        let list = self.write("list", "node01 10.0.0.1 52:54:00:00:00:01\nnode02 10.0.0.2 52:54:00:00:00:02\nnode10 - 52:54:00:00:00:10\n");
        self.good(&["node", "import", &list]);
    }
}

/// Exit code, standard output and standard error as one text.
pub fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    [format!("exit {}", output.status.code().unwrap_or(-1)), text(&output.stdout), text(&output.stderr)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}
