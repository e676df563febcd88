//! The ground of a storm: two network namespaces joined by a cable, one for the head and one for the nodes. Both go with whoever made them.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The head's address.
pub const HEAD: Ipv4Addr = Ipv4Addr::new(10, 99, 255, 1);
/// The network that both are in.
pub const SUBNET: &str = "10.99.0.0/16";
/// The half of it that is the nodes'.
const NODES: &str = "10.99.0.0/17";
/// The other half, where the head is.
const OTHERS: &str = "10.99.128.0/17";
/// An address of the nodes' half that no node has.
const WAY: &str = "10.99.127.254";
/// The interface's name on both sides.
pub const INTERFACE: &str = "storm0";

/// Two namespaces and the cable.
#[derive(Debug)]
pub struct Ground {
    name: String,
}

impl Ground {
    /// Makes them. Every address of the nodes' half is at home on the nodes' side, so that a node can speak from the one it is lent and from no other
    /// machine's; the head reaches them by one next hop, for its kernel's table of neighbours (1,024 by default) is not what is measured.
    ///
    /// # Errors
    /// Without root's rights, or iproute2.
    pub fn new() -> io::Result<Self> {
        let ground = Self { name: format!("storm-{}", std::process::id()) };
        let (head, nodes) = (ground.head(), ground.nodes());
        ip(&format!("netns add {head}"))?;
        ip(&format!("netns add {nodes}"))?;
        ip(&format!("link add {INTERFACE} netns {head} type veth peer name {INTERFACE} netns {nodes}"))?;
        for side in [&head, &nodes] {
            ip(&format!("-n {side} link set lo up"))?;
            ip(&format!("-n {side} link set {INTERFACE} txqueuelen 10000 up"))?;
        }
        ip(&format!("-n {head} address add {HEAD}/16 dev {INTERFACE}"))?;
        ip(&format!("-n {head} route add {NODES} via {WAY} dev {INTERFACE} onlink"))?;
        ip(&format!("-n {nodes} route add {OTHERS} dev {INTERFACE}"))?;
        ip(&format!("-n {nodes} route add local {NODES} dev lo"))?;
        Ok(ground)
    }

    fn head(&self) -> String {
        format!("{}-h", self.name)
    }

    fn nodes(&self) -> String {
        format!("{}-n", self.name)
    }

    /// A program that will run on the head's side. It takes the place of `ip`, so that its process is the one that is started.
    pub fn on_head(&self, program: &std::ffi::OsStr) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.head()]).arg(program).stdin(Stdio::null());
        command
    }

    /// Runs `work` in a thread on the nodes' side; threads that it starts are there too.
    ///
    /// # Errors
    /// If the namespace cannot be entered.
    pub fn among_nodes<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> io::Result<JoinHandle<io::Result<R>>> {
        let place = File::open(PathBuf::from("/run/netns").join(self.nodes()))?;
        std::thread::Builder::new().name("nodes".into()).spawn(move || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&place), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for side in [self.head(), self.nodes()] {
            // One that was never made cannot be removed.
            let _ = ip(&format!("netns del {side}"));
        }
    }
}

fn ip(arguments: &str) -> io::Result<()> {
    let start = |error| io::Error::new(error, format!("`ip` could not be started ({error}): install iproute2"));
    let output = Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).output().map_err(|error| start(error.kind()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("`ip {arguments}` failed, which takes root's rights: {said}")))
}
