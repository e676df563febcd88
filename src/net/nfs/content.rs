//! The content of files: READ, WRITE, COMMIT.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::calls::{Stable, TRANSFER};
use super::look::Request;
use super::status::{Result, Status};
use super::volume::Node;
use super::xdr::{Write, padding};
use super::{attributes, permit};

/// Up to here, copying is cheaper than a second system call.
const COPIED: usize = 32 << 10;

/// The end of a reply that goes from the file to the socket without passing through memory of ours.
#[derive(Debug)]
pub(super) struct Tail {
    node: Arc<Node>,
    pub offset: u64,
    /// Bytes of the file; should it have become shorter meanwhile, zeros stand for what is gone.
    pub length: usize,
    /// Zeros behind it.
    pub padding: usize,
}

impl Tail {
    pub(super) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.node.open_for_reading()
    }
}

pub(super) fn read(request: &Request, file: &[u8], offset: u64, count: u32, out: &mut Vec<u8>) -> Result<Option<Tail>> {
    let volume = request.volume;
    let node = volume.node(file)?;
    let stat = volume.regular(&node)?;
    if !permit::may_read(&stat, &request.caller) {
        return Err(Status::Access);
    }
    let rest = attributes::size(&stat).saturating_sub(offset);
    let length = (count as usize).min(TRANSFER).min(usize::try_from(rest).unwrap_or(TRANSFER));
    attributes::put_after(out, &stat, volume.id());
    out.u32(length as u32);
    out.bool(rest <= length as u64);
    out.u32(length as u32);
    if length == 0 {
        return Ok(None);
    }
    let content = volume.reading(&node)?;
    if length > COPIED {
        return Ok(Some(Tail { node, offset, length, padding: padding(length) }));
    }
    let start = out.len();
    out.resize(start + length + padding(length), 0);
    read_all(content, &mut out[start..start + length], offset)?;
    Ok(None)
}

/// Fills the buffer from the file; should that have become shorter meanwhile, the rest stays as it is.
fn read_all(content: &OwnedFd, buffer: &mut [u8], offset: u64) -> rustix::io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(content, &mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(length) => done += length,
            Err(rustix::io::Errno::INTR) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

pub(super) fn write(
    request: &Request,
    verifier: u64,
    file: &[u8],
    (offset, stable): (u64, Stable),
    data: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let volume = request.volume;
    let node = volume.node(file)?;
    if !permit::may_write(&volume.regular(&node)?, &request.caller) {
        return Err(Status::Access);
    }
    if offset.checked_add(data.len() as u64).is_none_or(|end| end > i64::MAX.unsigned_abs()) {
        return Err(Status::TooBig);
    }
    let content = volume.writing(&node)?;
    let written = request.as_caller(|| write_all(content, data, offset))?;
    match stable {
        Stable::No => {}
        Stable::Data => rustix::fs::fdatasync(content)?,
        Stable::File => rustix::fs::fsync(content)?,
    }
    attributes::put_change(out, &node.stat()?, volume.id());
    out.u32(written as u32);
    out.u32(stable as u32);
    out.u64(verifier);
    Ok(())
}

/// Writes as much as can be; an error only if that is nothing.
fn write_all(content: &OwnedFd, data: &[u8], offset: u64) -> rustix::io::Result<usize> {
    let mut done = 0;
    while done < data.len() {
        match rustix::io::pwrite(content, &data[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(length) => done += length,
            Err(rustix::io::Errno::INTR) => {}
            Err(cause) if done == 0 => return Err(cause),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Everything of the file, whichever part was asked for.
pub(super) fn commit(request: &Request, verifier: u64, file: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let node = request.volume.node(file)?;
    let stat = request.volume.regular(&node)?;
    if !permit::may_write(&stat, &request.caller) {
        return Err(Status::Access);
    }
    rustix::fs::fsync(request.volume.writing(&node)?)?;
    attributes::put_change(out, &node.stat()?, request.volume.id());
    out.u64(verifier);
    Ok(())
}
