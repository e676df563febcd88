//! Network namespaces of a test's own, with programs and server threads inside. Needs root and iproute2.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs::File, os::fd::AsRawFd, panic};

/// A network namespace, deleted when dropped (with the interfaces in it).
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, its loopback up. The name is unique on this machine and starts with `tag`.
    pub fn new(tag: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let namespace = Self { name: format!("{tag}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)) };
        run(Command::new("ip").args(["netns", "add", &namespace.name]));
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).stdin(Stdio::null());
        command
    }

    /// Runs `ip ARGUMENTS` (split at blanks) inside; panics if it fails.
    pub fn ip(&self, arguments: &str) {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()));
    }

    /// Runs `work` in a thread inside: sockets that it makes belong to this namespace.
    pub fn spawn<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
        let handle = File::open(format!("/run/netns/{}", self.name)).unwrap();
        std::thread::spawn(move || {
            enter(&handle);
            work()
        })
    }

    /// Runs `work` inside and hands its result back; its panic becomes this thread's.
    pub fn within<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        self.spawn(work).join().unwrap_or_else(|cause| panic::resume_unwind(cause))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A cable: interface `left` in one namespace and `right` in the other, both up.
pub fn cable((one, left): (&Namespace, &str), (other, right): (&Namespace, &str)) {
    run(Command::new("ip").args(["link", "add", left, "netns", &one.name, "type", "veth", "peer", "name", right, "netns", &other.name]));
    one.ip(&format!("link set {left} up"));
    other.ip(&format!("link set {right} up"));
}

/// Runs a command to its end; panics with all it printed unless it succeeds.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|cause| panic!("{command:?} cannot be run: {cause}"));
    assert!(output.status.success(), "{command:?}\n{}", printed(&output));
    printed(&output)
}

/// Everything that a command printed.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Looks until `found` gives something; panics after a time that no healthy machine needs.
#[track_caller]
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come about within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[allow(unsafe_code)]
fn enter(namespace: &File) {
    // SAFETY: setns changes only the calling thread, and the descriptor stays open during the call.
    let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(entered, 0, "setns: {}", std::io::Error::last_os_error());
}
