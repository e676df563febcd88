//! A machine's folders, as far as the boot scripts of a diskless node look at them, and the shells that run these.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in test functions only, not in their helpers")]
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The shells of an initial RAM disk, as commands.
pub const SHELLS: [&[&str]; 2] = [&["busybox", "ash"], &["dash"]];

pub fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/image/guest").join(folder)
}

pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", printed(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A machine's folders, as far as the scripts look at them.
pub struct Machine {
    folder: TempDir,
    shell: &'static [&'static str],
}

impl Machine {
    pub fn new(shell: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for made in ["kickctl", "state", "root", "sys/block", "sys/class/net", "sys/class/block", "dev/disk/by-id", "bin"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        fs::write(folder.path().join("console"), "").unwrap();
        // The initial RAM disk has busybox's.
        symlink(run("sh", &["-c", "command -v busybox"]), folder.path().join("bin/wget")).unwrap();
        Self { folder, shell }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    pub fn programs(&self) -> String {
        format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap())
    }

    /// Runs commands after the boot scripts have been read. Nothing here restarts the machine that the test runs on.
    pub fn command(&self, commands: &str) -> Command {
        let text = format!(
            ". \"$BOOT_SCRIPTS/main.sh\"\nROOT={}\nreboot() {{ echo REBOOT; exit 3; }}\nsleep() {{ command sleep 0.02; }}\n\
             in_root() {{ \"$@\"; }}\n{commands}\n",
            self.path("root").display()
        );
        let mut command = Command::new(self.shell[0]);
        command
            .args(&self.shell[1..])
            .arg("-c")
            .arg(text)
            .env("BOOT_SCRIPTS", source("boot"))
            .env("PATH", self.programs())
            .env("KICKCTL_HERE", self.path("kickctl"))
            .env("KICKCTL_STATE", self.path("state"))
            .env("KICKCTL_CONSOLE", self.path("console"))
            .env("KICKCTL_KMSG", self.path("kmsg"))
            .env("KICKCTL_SYS", self.path("sys"))
            .env("KICKCTL_DEV", self.path("dev"))
            .env("KICKCTL_RUN", self.path("state"))
            .env("KICKCTL_FAILURE_DELAY", "0")
            // As in the two kinds of initial RAM disk.
            .env("HTTP", if self.shell == SHELLS[0] { "wget" } else { "curl" });
        command
    }

    pub fn run(&self, commands: &str) -> Output {
        self.command(commands).output().unwrap()
    }

    /// What commands that succeed print.
    pub fn says(&self, commands: &str) -> String {
        let output = self.run(commands);
        assert!(output.status.success(), "{commands}: {}{}", printed(&output), self.read("console"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commands that end in a reboot: what stands on the console.
    pub fn fails(&self, commands: &str) -> String {
        let output = self.run(commands);
        assert!(output.status.code() == Some(3) && printed(&output).contains("REBOOT"), "{commands}: {}", printed(&output));
        self.read("console")
    }
}
