//! READDIR and READDIRPLUS. Cookies are the file system's own positions: they hold however many clients list, and over restarts.

use std::mem::MaybeUninit;

use rustix::fs::{Mode, OFlags, RawDir, RawDirEntry, SeekFrom};

use super::look::Request;
use super::status::{Result, Status};
use super::volume::Node;
use super::xdr::Write;
use super::{attributes, permit};

/// Largest listing in one reply, in bytes, whatever the client would take.
const LARGEST: u32 = 256 << 10;
const END: usize = 8;

/// What a client asks for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Where the last reply ended; 0 at first.
    pub cookie: u64,
    /// Bytes of the reply.
    pub count: u32,
    /// For READDIRPLUS: bytes of names, ids and cookies alone.
    pub plus: Option<u32>,
}

pub(super) fn read_directory(request: &Request, directory: &[u8], wanted: Wanted, out: &mut Vec<u8>) -> Result<()> {
    let volume = request.volume;
    let node = volume.node(directory)?;
    let stat = volume.directory(&node)?;
    request.need(&stat, permit::READ)?;
    let file = rustix::fs::openat(&node.file, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if wanted.cookie != 0 {
        rustix::fs::seek(&file, SeekFrom::Start(wanted.cookie))?;
    }
    let end = out.len() + wanted.count.min(LARGEST) as usize;
    attributes::put_after(out, &stat, volume.id());
    // The verifier: cookies never become invalid.
    out.u64(0);

    let names_only = wanted.plus.is_none();
    let searchable = permit::bits(&stat, &request.caller) & permit::EXECUTE != 0;
    let (mut names, mut listed, mut complete) = (0, false, true);
    let size = (wanted.count as usize / if names_only { 1 } else { 3 }).clamp(1 << 10, 32 << 10);
    let mut buffer = vec![MaybeUninit::uninit(); size];
    let mut entries = RawDir::new(&file, &mut buffer);
    while let Some(entry) = entries.next() {
        let (entry, mark) = (entry?, out.len());
        put_entry(out, &entry, &node, stat.st_ino, volume);
        names += out.len() - mark;
        if !names_only {
            put_object(out, request, &node, entry.file_name().to_bytes(), searchable);
        }
        if out.len() + END > end || wanted.plus.is_some_and(|limit| listed && names > limit as usize) {
            out.truncate(mark);
            complete = false;
            break;
        }
        listed = true;
    }
    if !listed && !complete {
        return Err(Status::TooSmall);
    }
    out.bool(false);
    out.bool(complete);
    Ok(())
}

fn put_entry(out: &mut Vec<u8>, entry: &RawDirEntry, directory: &Node, inode: u64, volume: &super::volume::Volume) {
    let name = entry.file_name().to_bytes();
    out.bool(true);
    // What lies above an export is nobody's business.
    let above_root = name == b".." && directory.handle == *volume.root_handle();
    out.u64(if above_root { inode } else { entry.ino() });
    out.opaque(name);
    out.u64(entry.next_entry_cookie());
}

/// Attributes and handle, if the caller may look names up and there is still such a file: both are optional, and a client asks for what it lacks.
fn put_object(out: &mut Vec<u8>, request: &Request, directory: &Node, name: &[u8], searchable: bool) {
    let found = if searchable { request.volume.passing_child(directory, name).ok() } else { None };
    match found {
        Some((handle, stat)) => {
            attributes::put_after(out, &stat, request.volume.id());
            out.bool(true);
            out.opaque(handle.as_bytes());
        }
        None => out.u64(0),
    }
}
