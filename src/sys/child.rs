//! Child processes that do not outlive kickctl.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the kernel kill the child (SIGKILL) when the thread that starts it ends, as it does when kickctl is killed. So start it from a thread
/// that waits for it.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: two system calls without pointers; both are safe between fork and exec.
        #[expect(unsafe_code, reason = "no safe wrapper among the crates in use")]
        let (done, parent_now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        // Killed between fork and prctl: the signal has been missed.
        if u32::try_from(parent_now) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: `prepare` allocates nothing and takes no lock.
    #[expect(unsafe_code, reason = "the only way to run something between fork and exec")]
    unsafe {
        command.pre_exec(prepare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let start = || ends_with_us(Command::new("sleep").arg("600")).spawn().unwrap();
        let mut child = std::thread::spawn(start).join().unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(libc::SIGKILL));
    }
}
