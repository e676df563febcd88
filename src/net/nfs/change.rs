//! The procedures that change what is there: SETATTR, REMOVE, RMDIR, RENAME, LINK.

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid};

use super::calls::{Entry, NewAttributes, SetTime, Time};
use super::look::Request;
use super::status::{Result, Status};
use super::volume::{Node, component, descriptor_path};
use super::{attributes, permit};

pub(super) fn set_attributes(request: &Request, object: &[u8], new: &NewAttributes, guard: Option<Time>, out: &mut Vec<u8>) -> Result<()> {
    let node = request.volume.node(object)?;
    if guard.is_some_and(|guard| node.stat().is_ok_and(|stat| attributes::changed(&stat) != guard)) {
        return Err(Status::NotSync);
    }
    apply(request, &node, new)?;
    attributes::put_change(out, &node.stat()?, request.volume.id());
    Ok(())
}

/// Gives an object new attributes, as the caller. Size and owner come first: both take setuid bits away, which a new mode may bring back.
pub(super) fn apply(request: &Request, node: &Node, new: &NewAttributes) -> Result<()> {
    if let Some(size) = new.size {
        let stat = request.volume.regular(node)?;
        if !permit::may_write(&stat, &request.caller) {
            return Err(Status::Access);
        }
        let content = request.volume.writing(node)?;
        request.as_caller(|| rustix::fs::ftruncate(content, size))?;
    }
    if new.uid.is_some() || new.gid.is_some() {
        let (uid, gid) = (new.uid.map(uid).transpose()?, new.gid.map(gid).transpose()?);
        request.as_caller(|| rustix::fs::chownat(&node.file, "", uid, gid, AtFlags::EMPTY_PATH))?;
    }
    if let Some(mode) = new.mode {
        // A link has no mode of its own, and chmod would look for its target.
        if FileType::from_raw_mode(node.stat()?.st_mode) == FileType::Symlink {
            return Err(Status::NotSupported);
        }
        let path = descriptor_path(&node.file);
        request.as_caller(|| rustix::fs::chmodat(CWD, &path, Mode::from_raw_mode(mode & 0o7777), AtFlags::empty()))?;
    }
    if (new.accessed, new.modified) != (SetTime::Keep, SetTime::Keep) {
        let times = Timestamps { last_access: timespec(new.accessed), last_modification: timespec(new.modified) };
        request.as_caller(|| rustix::fs::utimensat(&node.file, "", &times, AtFlags::EMPTY_PATH))?;
    }
    Ok(())
}

/// The number that means "leave it" to the kernel is nobody's id.
fn uid(raw: u32) -> Result<Uid> {
    if raw == u32::MAX { Err(Status::Invalid) } else { Ok(Uid::from_raw(raw)) }
}

fn gid(raw: u32) -> Result<Gid> {
    if raw == u32::MAX { Err(Status::Invalid) } else { Ok(Gid::from_raw(raw)) }
}

fn timespec(time: SetTime) -> Timespec {
    match time {
        SetTime::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        SetTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        SetTime::To(Time { seconds, nanoseconds }) => Timespec { tv_sec: seconds.into(), tv_nsec: nanoseconds.min(999_999_999).into() },
    }
}

pub(super) fn remove(request: &Request, at: Entry, flags: AtFlags, out: &mut Vec<u8>) -> Result<()> {
    let directory = request.volume.node(at.directory)?;
    request.volume.directory(&directory)?;
    let name = component(at.name)?;
    request.as_caller(|| rustix::fs::unlinkat(&directory.file, name, flags))?;
    attributes::put_change(out, &directory.stat()?, request.volume.id());
    Ok(())
}

pub(super) fn rename(request: &Request, from: Entry, to: Entry, out: &mut Vec<u8>) -> Result<()> {
    let volume = request.volume;
    let (old, new) = (volume.node(from.directory)?, volume.node(to.directory)?);
    volume.directory(&old)?;
    volume.directory(&new)?;
    let (old_name, new_name) = (component(from.name)?, component(to.name)?);
    request.as_caller(|| rustix::fs::renameat(&old.file, old_name, &new.file, new_name))?;
    attributes::put_change(out, &old.stat()?, volume.id());
    attributes::put_change(out, &new.stat()?, volume.id());
    Ok(())
}

pub(super) fn link(request: &Request, file: &[u8], at: Entry, out: &mut Vec<u8>) -> Result<()> {
    let volume = request.volume;
    let (node, directory) = (volume.node(file)?, volume.node(at.directory)?);
    volume.directory(&directory)?;
    let name = component(at.name)?;
    let path = descriptor_path(&node.file);
    // Followed is only the way by /proc to the open file, be that a link itself.
    request.as_caller(|| rustix::fs::linkat(CWD, &path, &directory.file, name, AtFlags::SYMLINK_FOLLOW))?;
    attributes::put_after(out, &node.stat()?, volume.id());
    attributes::put_change(out, &directory.stat()?, volume.id());
    Ok(())
}
