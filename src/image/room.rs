//! Where programs work on a root: mount and process namespaces of their own, so that nothing of them stays on the head, not even after
//! `kill -9`. `unshare` of util-linux makes them; `room.sh` says what is mounted where.

use std::path::Path;
use std::process::Command;

use crate::sys::child::ends_with_us;

/// The build's folder as programs in the room see it.
pub const BUILD: &str = "/mnt/build";
/// The snapshot's tree as programs outside the image see it.
pub const MIRROR: &str = "/mnt/mirror";
/// The snapshot's tree as programs inside the image see it.
pub const MIRROR_INSIDE: &str = "/run/kickctl/mirror";

const SCRIPT: &str = include_str!("room.sh");
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A build's folder and what may be seen from there.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// The folder of a version that is being made, with `root/` and an empty `room/` in it.
    pub build: &'a Path,
    /// The snapshot's tree, if it is there.
    pub tree: Option<&'a Path>,
    /// The time that reproducible programs write instead of now, seconds since 1970.
    pub epoch: i64,
}

impl Room<'_> {
    /// A program of the head.
    pub fn outside(&self, program: &str) -> Command {
        self.command("outside", program)
    }

    /// A program of the head that works on the image, where programs of the image run too: what `inside` mounts is there.
    pub fn beside(&self, program: &str) -> Command {
        self.command("beside", program)
    }

    /// A program of the image, which has the image for its root.
    pub fn inside(&self, program: &str) -> Command {
        self.command("inside", program)
    }

    /// A shell script inside the image.
    pub fn script(&self, script: &str) -> Command {
        let mut command = self.inside("/bin/sh");
        command.args(["-euc", script, "kickctl"]);
        command
    }

    fn command(&self, how: &str, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["/bin/sh", "-c", SCRIPT, "kickctl", how]);
        command.arg(self.build).arg(self.tree.unwrap_or(Path::new(""))).arg(program);
        command.env_clear().env("PATH", PATH).env("HOME", "/root").env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
        // systemctl only writes links then, and the kernel's package (Debian's, Fedora's) leaves the initial RAM disk to us.
        command
            .env("SYSTEMD_OFFLINE", "1")
            .env("INITRD", "No")
            .env("KERNEL_INSTALL_BYPASS", "1")
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        command.env("TERM", std::env::var_os("TERM").unwrap_or_else(|| "dumb".into()));
        ends_with_us(&mut command);
        command
    }
}
