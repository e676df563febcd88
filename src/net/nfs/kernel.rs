//! System calls that no crate here wraps: file handles, and a thread's own file system ids.
#![allow(unsafe_code, reason = "system calls without a safe wrapper")]

use std::ffi::{CStr, c_uint};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// MAX_HANDLE_SZ.
const LARGEST: usize = 128;

#[repr(C)]
struct RawHandle {
    handle_bytes: c_uint,
    handle_type: i32,
    f_handle: [u8; LARGEST],
}

/// A file as the kernel names it within its file system: the inode and its generation, in a form that the file system chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KernelHandle {
    pub kind: i32,
    pub bytes: Vec<u8>,
}

/// The handle of an open file (`O_PATH` is enough) and the id of the mount that it was reached by.
///
/// # Errors
/// `EOPNOTSUPP`: the file system (some overlays, FUSE) has none.
pub(super) fn name_to_handle(file: BorrowedFd) -> io::Result<(KernelHandle, i32)> {
    let mut raw = RawHandle { handle_bytes: LARGEST as c_uint, handle_type: 0, f_handle: [0; LARGEST] };
    let mut mount = 0_i32;
    let empty: &CStr = c"";
    // SAFETY: the kernel writes at most `handle_bytes` bytes into `f_handle`, which is that long; all pointers live through the call.
    let result = unsafe {
        libc::syscall(libc::SYS_name_to_handle_at, file.as_raw_fd(), empty.as_ptr(), &raw mut raw, &raw mut mount, libc::AT_EMPTY_PATH)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = raw.f_handle.get(..raw.handle_bytes as usize).unwrap_or_default().to_vec();
    Ok((KernelHandle { kind: raw.handle_type, bytes }, mount))
}

/// Opens what a handle names, on the file system (and by the mount) of `mount`, which must not be opened with `O_PATH`. Needs
/// `CAP_DAC_READ_SEARCH`.
///
/// # Errors
/// `ESTALE`: there is no such file any more.
pub(super) fn open_by_handle(mount: BorrowedFd, handle: &KernelHandle, flags: rustix::fs::OFlags) -> io::Result<OwnedFd> {
    let mut raw = RawHandle { handle_bytes: 0, handle_type: handle.kind, f_handle: [0; LARGEST] };
    let target = raw.f_handle.get_mut(..handle.bytes.len()).ok_or(io::ErrorKind::InvalidInput)?;
    target.copy_from_slice(&handle.bytes);
    raw.handle_bytes = handle.bytes.len() as c_uint;
    let flags = flags | rustix::fs::OFlags::CLOEXEC;
    // SAFETY: the kernel reads `handle_bytes` bytes of `f_handle`, which is longer; the pointer lives through the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut raw, flags.bits()) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// This thread's file system uid and gid.
pub(super) fn fs_ids() -> (u32, u32) {
    // SAFETY: -1 is never valid, and so changes nothing.
    unsafe { (libc::syscall(libc::SYS_setfsuid, u32::MAX) as u32, libc::syscall(libc::SYS_setfsgid, u32::MAX) as u32) }
}

/// Sets this thread's file system uid; true if it is that now.
pub(super) fn set_fs_uid(uid: u32) -> bool {
    // SAFETY: both calls change or read only this thread's ids; -1 is never valid and so only reads.
    unsafe {
        libc::syscall(libc::SYS_setfsuid, uid);
        libc::syscall(libc::SYS_setfsuid, u32::MAX) as u32 == uid
    }
}

/// Sets this thread's file system gid; true if it is that now.
pub(super) fn set_fs_gid(gid: u32) -> bool {
    // SAFETY: as above.
    unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsgid, u32::MAX) as u32 == gid
    }
}

/// Sets this thread's supplementary groups. (libc's own function would set those of every thread.)
pub(super) fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the kernel reads as many numbers as the slice has.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives this thread a umask of its own, which is 0: clients have applied theirs.
pub(super) fn own_umask() -> io::Result<()> {
    // SAFETY: from here on the thread shares working directory and umask with no other; both calls touch nothing else.
    unsafe {
        if libc::unshare(libc::CLONE_FS) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::umask(0);
    }
    Ok(())
}

/// Most hard links to a file, as the file system says.
pub(super) fn link_limit(file: BorrowedFd) -> u32 {
    // SAFETY: only reads about an open descriptor.
    let limit = unsafe { libc::fpathconf(file.as_raw_fd(), libc::_PC_LINK_MAX) };
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// Raises the soft limit of open files to the hard one, and tells it: a cache of open files is of no use with 1,024 of them.
pub(super) fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write only this structure.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return 1024;
        }
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) == 0 { limit.rlim_max } else { limit.rlim_cur }
    }
}
