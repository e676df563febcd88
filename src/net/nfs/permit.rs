//! Who may do what, by owner, group and mode bits.
//!
//! Reading is decided here. Changes are decided here only as far as NFS differs from the kernel (a file once opened is written without being
//! opened again); for the rest the kernel decides, under the caller's own ids (`identity`). Access control lists count for changes only: here
//! the group bits of such a file are its mask.

use rustix::fs::{FileType, Stat};

use super::rpc::Caller;

pub(super) const READ: u32 = 4;
pub(super) const WRITE: u32 = 2;
pub(super) const EXECUTE: u32 = 1;

/// Bits of the ACCESS procedure (RFC 1813 section 3.3.4).
mod access {
    pub(super) const READ: u32 = 0x01;
    pub(super) const LOOKUP: u32 = 0x02;
    pub(super) const MODIFY: u32 = 0x04;
    pub(super) const EXTEND: u32 = 0x08;
    pub(super) const DELETE: u32 = 0x10;
    pub(super) const EXECUTE: u32 = 0x20;
}

/// The three bits (of [`READ`], [`WRITE`], [`EXECUTE`]) that the caller has on this object.
pub(super) fn bits(stat: &Stat, caller: &Caller) -> u32 {
    let mode = stat.st_mode;
    if caller.uid == 0 {
        // Root executes what anybody may execute, and enters every directory.
        let executable = mode & 0o111 != 0 || is_directory(stat);
        return READ | WRITE | if executable { EXECUTE } else { 0 };
    }
    let class = if caller.uid == stat.st_uid {
        mode >> 6
    } else if caller.is_member(stat.st_gid) {
        mode >> 3
    } else {
        mode
    };
    class & 7
}

/// Whether the caller may read a file's content. Its owner always may: the client has checked when the file was opened, and a program may
/// take its own right away meanwhile. Who may execute may read too, for that is how the client executes.
pub(super) fn may_read(stat: &Stat, caller: &Caller) -> bool {
    caller.uid == stat.st_uid || bits(stat, caller) & (READ | EXECUTE) != 0
}

/// Whether the caller may write to a file: its owner always, as above.
pub(super) fn may_write(stat: &Stat, caller: &Caller) -> bool {
    caller.uid == stat.st_uid || bits(stat, caller) & WRITE != 0
}

/// The answer to ACCESS. `writable`: the export is.
pub(super) fn access(stat: &Stat, caller: &Caller, writable: bool) -> u32 {
    let bits = bits(stat, caller);
    let has = |bit: u32, granted: u32| if bits & bit != 0 { granted } else { 0 };
    let read = has(READ, access::READ);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let change = if writable { has(WRITE, access::MODIFY | access::EXTEND | access::DELETE) } else { 0 };
            read | has(EXECUTE, access::LOOKUP) | change
        }
        FileType::RegularFile | FileType::Symlink => {
            let change = if writable { has(WRITE, access::MODIFY | access::EXTEND) } else { 0 };
            read | has(EXECUTE, access::EXECUTE) | change
        }
        // Devices, pipes and sockets act on the client's machine: /dev/null is writable on a read-only root too.
        _ => read | has(EXECUTE, access::EXECUTE) | has(WRITE, access::MODIFY | access::EXTEND),
    }
}

pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(mode: u32) -> Stat {
        // Root's and of group 50, but for what a test changes.
        let mut stat = rustix::fs::stat("/").unwrap();
        (stat.st_mode, stat.st_uid, stat.st_gid) = (mode, 10, 50);
        stat
    }

    const FILE: u32 = 0o100_000;
    const DIRECTORY: u32 = 0o040_000;

    #[test]
    fn the_first_class_that_fits_decides() {
        let of = |mode, uid, gid, groups: &[u32]| bits(&stat(FILE | mode), &Caller::new(uid, gid, groups));
        assert_eq!(of(0o047, 10, 50, &[]), 0, "the owner is no other");
        assert_eq!(of(0o740, 11, 50, &[]), 4, "the group");
        assert_eq!(of(0o704, 11, 9, &[50]), 0, "a supplementary group is no other either");
        assert_eq!(of(0o704, 11, 9, &[9]), 4, "others");
        assert_eq!(of(0o600, 11, 9, &[]), 0);
    }

    #[test]
    fn root_reads_and_writes_everything_and_executes_what_anybody_may() {
        let root = Caller::new(0, 0, &[]);
        assert_eq!(bits(&stat(FILE), &root), READ | WRITE);
        assert_eq!(bits(&stat(FILE | 0o001), &root), READ | WRITE | EXECUTE);
        assert_eq!(bits(&stat(DIRECTORY), &root), READ | WRITE | EXECUTE);
    }

    #[test]
    fn a_stranger_reads_no_0600_file_but_one_he_may_execute() {
        let stranger = Caller::new(1000, 1000, &[]);
        assert!(!may_read(&stat(FILE | 0o600), &stranger));
        assert!(may_read(&stat(FILE | 0o711), &stranger), "as the client executes it");
        assert!(may_read(&stat(FILE), &Caller::new(10, 1, &[])), "the owner who opened it before");
        assert!(!may_write(&stat(FILE | 0o755), &stranger));
    }

    #[test]
    fn access_to_a_read_only_export_grants_no_change_but_to_devices() {
        let root = Caller::new(0, 0, &[]);
        assert_eq!(access(&stat(FILE | 0o755), &root, false), 0x21);
        assert_eq!(access(&stat(FILE | 0o644), &root, true), 0x0d);
        assert_eq!(access(&stat(DIRECTORY | 0o755), &root, true), 0x1f);
        assert_eq!(access(&stat(DIRECTORY | 0o755), &Caller::new(1, 1, &[]), true), 0x03);
        assert_eq!(access(&stat(0o020_666), &Caller::new(1, 1, &[]), false), 0x0d, "/dev/null");
    }
}
