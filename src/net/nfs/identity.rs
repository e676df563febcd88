//! Doing something as the caller: the kernel then checks permissions, sticky directories, ownership, lists and quotas by itself.
//!
//! Ids and capabilities are the thread's own. Root of a node keeps the server's capabilities; for anybody else they are put away meanwhile.

use std::cell::OnceCell;
use std::io;

use caps::{CapSet, Capability, CapsHashSet};

use super::kernel;
use super::rpc::Caller;

/// Always: opening files by handle, and reading those that only their owner may.
const READING: [Capability; 1] = [Capability::CAP_DAC_READ_SEARCH];
/// For writable exports. To become the caller: SETUID, SETGID. What root of a node does to its own root: the rest.
const CHANGING: [Capability; 7] = [
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_CHOWN,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_MKNOD,
];

/// Reduces this thread, and those it starts, to what serving files needs and it has. Whether everything for changes is there.
///
/// # Errors
/// If the kernel refuses, or `CAP_DAC_READ_SEARCH` is missing.
pub(super) fn keep_needed() -> io::Result<bool> {
    let has = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    let wanted: CapsHashSet = READING.into_iter().chain(CHANGING).collect();
    let kept: CapsHashSet = has.intersection(&wanted).copied().collect();
    caps::clear(None, CapSet::Ambient).map_err(io::Error::other)?;
    caps::set(None, CapSet::Effective, &kept).map_err(io::Error::other)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new()).map_err(io::Error::other)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(io::Error::other)?;
    if !kept.contains(&READING[0]) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "serving files by NFS needs the capability CAP_DAC_READ_SEARCH"));
    }
    Ok(kept.len() == wanted.len())
}

/// What a thread is when it is nobody else.
struct Own {
    uid: u32,
    gid: u32,
    capabilities: CapsHashSet,
    /// For callers other than root: only what leads back.
    bare: CapsHashSet,
}

impl Own {
    fn read() -> io::Result<Self> {
        let capabilities = caps::read(None, CapSet::Effective).map_err(io::Error::other)?;
        let back = CapsHashSet::from([Capability::CAP_SETUID, Capability::CAP_SETGID]);
        let bare = capabilities.intersection(&back).copied().collect();
        let (uid, gid) = kernel::fs_ids();
        Ok(Self { uid, gid, capabilities, bare })
    }
}

thread_local! {
    static OWN: OnceCell<Own> = const { OnceCell::new() };
}

/// Runs `work` with the caller's user, groups and rights.
///
/// # Errors
/// If the thread cannot become the caller; nothing has been done then.
pub(super) fn run_as<R>(caller: &Caller, work: impl FnOnce() -> R) -> io::Result<R> {
    OWN.with(|cell| {
        let own = match cell.get() {
            Some(own) => own,
            None => cell.get_or_init({
                let own = Own::read()?;
                || own
            }),
        };
        if (caller.uid, caller.gid) == (0, 0) && (own.uid, own.gid) == (0, 0) {
            return Ok(work());
        }
        let back = Back(own);
        become_caller(caller, own)?;
        let result = work();
        drop(back);
        Ok(result)
    })
}

fn become_caller(caller: &Caller, own: &Own) -> io::Result<()> {
    kernel::set_groups(caller.groups())?;
    if !kernel::set_fs_gid(caller.gid) || !kernel::set_fs_uid(caller.uid) {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    if caller.uid != 0 {
        // The kernel does that by itself only when the server's own user is root.
        caps::set(None, CapSet::Effective, &own.bare).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Makes the thread itself again when dropped. Should that fail, the thread is left with less, and what it does next is refused.
struct Back<'a>(&'a Own);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let itself = kernel::set_fs_uid(self.0.uid)
            && kernel::set_fs_gid(self.0.gid)
            && kernel::set_groups(&[]).is_ok()
            && caps::set(None, CapSet::Effective, &self.0.capabilities).is_ok();
        if !itself {
            tracing::error!("an NFS thread could not give back the ids of a caller");
        }
    }
}
