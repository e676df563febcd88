//! The procedures that look at one object: GETATTR, LOOKUP, ACCESS, READLINK, FSSTAT, FSINFO, PATHCONF.

use std::os::fd::AsFd;

use super::calls::{Entry, TRANSFER};
use super::rpc::Caller;
use super::status::{Result, Status};
use super::volume::Volume;
use super::xdr::Write;
use super::{attributes, identity, kernel, permit};

/// What a procedure works with: the export, and who asks (already squashed).
pub(super) struct Request<'a> {
    pub volume: &'a Volume,
    pub caller: Caller,
}

impl Request<'_> {
    /// Does something with the caller's rights instead of the server's.
    pub(super) fn as_caller<T>(&self, work: impl FnOnce() -> rustix::io::Result<T>) -> Result<T> {
        Ok(identity::run_as(&self.caller, work)??)
    }

    /// # Errors
    /// [`Status::Access`] unless the caller has one of these bits on the object.
    pub(super) fn need(&self, stat: &rustix::fs::Stat, bits: u32) -> Result<()> {
        if permit::bits(stat, &self.caller) & bits != 0 { Ok(()) } else { Err(Status::Access) }
    }
}

pub(super) fn attributes(request: &Request, object: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let node = request.volume.node(object)?;
    attributes::put(out, &node.stat()?, request.volume.id());
    Ok(())
}

pub(super) fn lookup(request: &Request, at: Entry, out: &mut Vec<u8>) -> Result<()> {
    let volume = request.volume;
    let directory = volume.node(at.directory)?;
    let stat = volume.directory(&directory)?;
    request.need(&stat, permit::EXECUTE)?;
    let child = volume.child(&directory, at.name)?;
    out.opaque(child.handle.as_bytes());
    attributes::put_after(out, &child.stat()?, volume.id());
    attributes::put_after(out, &stat, volume.id());
    Ok(())
}

pub(super) fn access(request: &Request, object: &[u8], wanted: u32, out: &mut Vec<u8>) -> Result<()> {
    let stat = request.volume.node(object)?.stat()?;
    attributes::put_after(out, &stat, request.volume.id());
    out.u32(wanted & permit::access(&stat, &request.caller, request.volume.writable()));
    Ok(())
}

pub(super) fn read_link(request: &Request, link: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let node = request.volume.node(link)?;
    let stat = node.stat()?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Symlink {
        return Err(Status::Invalid);
    }
    let target = rustix::fs::readlinkat(&node.file, "", Vec::new())?;
    attributes::put_after(out, &stat, request.volume.id());
    out.opaque(target.as_bytes());
    Ok(())
}

pub(super) fn file_system_state(request: &Request, root: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let node = request.volume.node(root)?;
    let state = rustix::fs::fstatvfs(&node.file)?;
    attributes::put_after(out, &node.stat()?, request.volume.id());
    for blocks in [state.f_blocks, state.f_bfree, state.f_bavail] {
        out.u64(blocks.saturating_mul(state.f_frsize));
    }
    for files in [state.f_files, state.f_ffree, state.f_favail] {
        out.u64(files);
    }
    // Seconds for which this is expected to hold: none.
    out.u32(0);
    Ok(())
}

/// FSF3_LINK, FSF3_SYMLINK, FSF3_HOMOGENEOUS, FSF3_CANSETTIME.
const PROPERTIES: u32 = 0x01 | 0x02 | 0x08 | 0x10;
const PAGE: u32 = 4096;
/// What listings are best asked for in.
const LISTING: u32 = 64 << 10;

pub(super) fn file_system_info(request: &Request, root: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let stat = request.volume.node(root)?.stat()?;
    attributes::put_after(out, &stat, request.volume.id());
    let transfer = TRANSFER as u32;
    // Reading and writing: largest, preferred, and a multiple; then listings.
    for size in [transfer, transfer, PAGE, transfer, transfer, PAGE, LISTING] {
        out.u32(size);
    }
    out.u64(i64::MAX.unsigned_abs());
    // Times are kept to the nanosecond.
    out.u32(0);
    out.u32(1);
    out.u32(PROPERTIES);
    Ok(())
}

pub(super) fn path_limits(request: &Request, object: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let node = request.volume.node(object)?;
    let longest = rustix::fs::fstatvfs(&node.file)?.f_namemax;
    attributes::put_after(out, &node.stat()?, request.volume.id());
    out.u32(kernel::link_limit(node.file.as_fd()));
    out.u32(u32::try_from(longest).unwrap_or(255));
    // Long names are refused, only root gives files away; case counts, and is kept.
    for truth in [true, true, false, true] {
        out.bool(truth);
    }
    Ok(())
}
