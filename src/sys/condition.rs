//! The state of the machine itself: space, clock, rights.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

/// Bytes that an ordinary user may still write to the file system that holds `path`, or the nearest folder above it
/// that exists.
///
/// # Errors
/// The file system cannot be asked.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let told = rustix::fs::statvfs(existing)?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

/// True if the kernel's clock is kept by NTP, whichever program does it (adjtimex(2)).
pub fn clock_synchronised() -> bool {
    // SAFETY: all zeros is a valid `timex`, and with no mode set the kernel only fills it in.
    #[expect(unsafe_code, reason = "no safe wrapper among the crates in use")]
    let state = unsafe { libc::adjtimex(&mut std::mem::zeroed()) };
    state >= 0 && state != libc::TIME_ERROR
}

/// Raises the limit of open files to what the system allows this process (setrlimit(2)).
///
/// # Errors
/// The kernel refuses.
#[expect(unsafe_code, reason = "no safe wrapper among the crates in use")]
pub fn raise_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills in the structure it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel only reads the structure.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// When this program's file was written. A clock that shows an earlier time is wrong.
pub fn program_time() -> Option<SystemTime> {
    std::env::current_exe().ok()?.metadata().ok()?.modified().ok()
}

/// The permission bits of a file or folder; `None` if there is none.
pub fn mode(path: &Path) -> Option<u32> {
    Some(fs::symlink_metadata(path).ok()?.permissions().mode() & 0o7777)
}

/// True if this process may bind ports below 1024: CAP_NET_BIND_SERVICE (bit 10 of capabilities(7)).
pub fn may_bind_low_ports() -> bool {
    has_capability(&fs::read_to_string("/proc/self/status").unwrap_or_default(), 10)
}

fn has_capability(status: &str, bit: u32) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_bit_by_bit() {
        assert!(has_capability("Name:\tx\nCapEff:\t0000000000000400\n", 10));
        assert!(!has_capability("CapEff:\t0000000000000200\n", 10));
        assert!(!has_capability("", 10));
    }

    #[test]
    fn the_space_of_a_folder_that_is_not_there_yet_is_that_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(&folder.path().join("a/b/c")).unwrap() > 0);
    }
}
