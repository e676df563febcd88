//! The procedures that make something new: CREATE, MKDIR, SYMLINK, MKNOD.

use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, makedev};
use rustix::io::Errno;

use super::calls::{CreateHow, Entry, NewAttributes, SetTime, Special, Time};
use super::look::Request;
use super::status::{Result, Status};
use super::volume::{Node, component};
use super::xdr::Write;
use super::{attributes, change};

/// A directory that something is made in, and its name there.
struct Place<'a> {
    directory: Arc<Node>,
    name: &'a [u8],
}

impl<'a> Place<'a> {
    fn new(request: &Request, at: Entry<'a>) -> Result<Self> {
        let directory = request.volume.node(at.directory)?;
        request.volume.directory(&directory)?;
        Ok(Self { directory, name: component(at.name)? })
    }

    fn made(&self, request: &Request) -> Result<Arc<Node>> {
        request.volume.child(&self.directory, self.name)
    }

    /// The reply of all of these: handle and attributes of what was made, and those of the directory.
    fn put(&self, request: &Request, made: &Node, out: &mut Vec<u8>) -> Result<()> {
        let export = request.volume.id();
        out.bool(true);
        out.opaque(made.handle.as_bytes());
        attributes::put_after(out, &made.stat()?, export);
        attributes::put_change(out, &self.directory.stat()?, export);
        Ok(())
    }
}

pub(super) fn create(request: &Request, at: Entry, how: CreateHow, out: &mut Vec<u8>) -> Result<()> {
    let place = Place::new(request, at)?;
    let (new, exclusive) = match how {
        CreateHow::Unchecked(new) => (new, false),
        CreateHow::Guarded(new) => (new, true),
        CreateHow::Exclusive(verifier) => (marked(verifier), true),
    };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = match request.as_caller(|| rustix::fs::openat(&place.directory.file, place.name, flags, mode(&new, 0o644))) {
        Ok(_) => {
            let made = place.made(request)?;
            change::apply(request, &made, &rest(new))?;
            made
        }
        Err(Status::Exists) => {
            let there = place.made(request)?;
            existing(request, &there, how, exclusive)?;
            there
        }
        Err(status) => return Err(status),
    };
    place.put(request, &made, out)
}

/// A file of that name is there: an unchecked CREATE takes it (and only its size is changed), an exclusive one if it has made it itself.
fn existing(request: &Request, there: &Node, how: CreateHow, exclusive: bool) -> Result<()> {
    let stat = request.volume.regular(there).map_err(|_| Status::Exists)?;
    match how {
        CreateHow::Unchecked(NewAttributes { size, .. }) => change::apply(request, there, &NewAttributes { size, ..Default::default() }),
        CreateHow::Exclusive(verifier) if exclusive => {
            let NewAttributes { accessed: SetTime::To(accessed), modified: SetTime::To(modified), .. } = marked(verifier) else {
                return Err(Status::Exists);
            };
            let same = (stat.st_atime, stat.st_mtime) == (accessed.seconds.into(), modified.seconds.into());
            if same && stat.st_size == 0 { Ok(()) } else { Err(Status::Exists) }
        }
        _ => Err(Status::Exists),
    }
}

/// The verifier of an exclusive CREATE is kept in the file's times until the client sets its attributes, which it does next (RFC 1813 section
/// 3.3.8). One bit of each half is given up: not every file system has times after 2038.
fn marked(verifier: [u8; 8]) -> NewAttributes {
    let number = u64::from_be_bytes(verifier);
    let time = |half: u32| SetTime::To(Time { seconds: half & 0x7fff_ffff, nanoseconds: 0 });
    NewAttributes { mode: Some(0o600), accessed: time((number >> 32) as u32), modified: time(number as u32), ..Default::default() }
}

fn mode(new: &NewAttributes, usual: u32) -> Mode {
    Mode::from_raw_mode(new.mode.unwrap_or(usual) & 0o7777)
}

/// What is left to be set once the object is made with its mode: the kernel's calls for making ignore some of the upper bits.
fn rest(new: NewAttributes) -> NewAttributes {
    NewAttributes { mode: new.mode.filter(|mode| mode & 0o7000 != 0), ..new }
}

pub(super) fn directory(request: &Request, at: Entry, new: NewAttributes, out: &mut Vec<u8>) -> Result<()> {
    let place = Place::new(request, at)?;
    request.as_caller(|| rustix::fs::mkdirat(&place.directory.file, place.name, mode(&new, 0o755)))?;
    finish(request, &place, NewAttributes { size: None, ..new }, out)
}

pub(super) fn symbolic_link(request: &Request, at: Entry, target: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let place = Place::new(request, at)?;
    if target.is_empty() || target.contains(&0) {
        return Err(Status::Invalid);
    }
    request.as_caller(|| rustix::fs::symlinkat(target, &place.directory.file, place.name))?;
    finish(request, &place, NewAttributes::default(), out)
}

pub(super) fn special(request: &Request, at: Entry, what: Special, out: &mut Vec<u8>) -> Result<()> {
    let place = Place::new(request, at)?;
    let (kind, new, device) = match what {
        Special::Device { character: true, new, major, minor } => (FileType::CharacterDevice, new, makedev(major, minor)),
        Special::Device { character: false, new, major, minor } => (FileType::BlockDevice, new, makedev(major, minor)),
        Special::Socket(new) => (FileType::Socket, new, 0),
        Special::Fifo(new) => (FileType::Fifo, new, 0),
        // NFS3ERR_BADTYPE would be exact, but only for types that exist nowhere.
        Special::Other => return Err(Status::NotSupported),
    };
    request.as_caller(|| {
        rustix::fs::mknodat(&place.directory.file, place.name, kind, mode(&new, 0o644), device).map_err(|cause| match cause {
            Errno::INVAL => Errno::OPNOTSUPP,
            other => other,
        })
    })?;
    finish(request, &place, NewAttributes { size: None, ..new }, out)
}

fn finish(request: &Request, place: &Place, new: NewAttributes, out: &mut Vec<u8>) -> Result<()> {
    let made = place.made(request)?;
    change::apply(request, &made, &rest(new))?;
    place.put(request, &made, out)
}
