//! An export, opened: from handles to files and from files to handles, and never out of it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::handle::{Handle, HandleKey};
use super::nodes::Nodes;
use super::status::{Result, Status};
use super::{Access, Export, ExportId, kernel, permit};

/// An object that a client has named, held open.
#[derive(Debug)]
pub(super) struct Node {
    /// Opened with `O_PATH`: it stands for the object and does nothing to it (a device is not opened, a pipe not waited for).
    pub file: OwnedFd,
    pub handle: Handle,
    /// For READ and WRITE of a regular file, opened when first needed.
    reading: OnceLock<OwnedFd>,
    writing: OnceLock<OwnedFd>,
}

impl Node {
    fn new(file: OwnedFd, handle: Handle) -> Self {
        Self { file, handle, reading: OnceLock::new(), writing: OnceLock::new() }
    }

    /// The content, once [`Volume::reading`] has opened it.
    pub(super) fn open_for_reading(&self) -> Option<BorrowedFd<'_>> {
        self.reading.get().map(AsFd::as_fd)
    }

    /// # Errors
    /// [`Status::Stale`] once the last name of the object is gone.
    pub(super) fn stat(&self) -> Result<Stat> {
        let stat = rustix::fs::fstat(&self.file)?;
        if stat.st_nlink == 0 { Err(Status::Stale) } else { Ok(stat) }
    }
}

/// A root directory with everything below it on the same mount.
#[derive(Debug)]
pub(super) struct Volume {
    pub export: Export,
    root: OwnedFd,
    root_handle: Handle,
    mount: i32,
    key: HandleKey,
    nodes: Arc<Nodes>,
}

impl Volume {
    /// # Errors
    /// The root is no directory, its file system gives no handles, or `CAP_DAC_READ_SEARCH` is missing.
    pub(super) fn open(export: Export, key: &HandleKey, nodes: &Arc<Nodes>) -> io::Result<Self> {
        let root = rustix::fs::open(&export.root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let (named, mount) = kernel::name_to_handle(root.as_fd())?;
        let root_handle = Handle::issue(key, export.id, &named).map_err(|_| io::ErrorKind::Unsupported)?;
        kernel::open_by_handle(root.as_fd(), &named, OFlags::PATH)?;
        Ok(Self { export, root, root_handle, mount, key: key.clone(), nodes: Arc::clone(nodes) })
    }

    pub(super) fn id(&self) -> ExportId {
        self.export.id
    }

    pub(super) fn writable(&self) -> bool {
        self.export.access == Access::ReadWrite
    }

    pub(super) fn root_handle(&self) -> &Handle {
        &self.root_handle
    }

    /// The object that a handle names.
    ///
    /// # Errors
    /// [`Status::BadHandle`] for a handle of another export, or one that this server has never issued; [`Status::Stale`] if the object is gone.
    pub(super) fn node(&self, sent: &[u8]) -> Result<Arc<Node>> {
        let handle = Handle::parse(sent)?;
        if handle.export() != self.id() {
            return Err(Status::BadHandle);
        }
        if let Some(node) = self.nodes.get(&handle) {
            return Ok(node);
        }
        let named = handle.verify(&self.key)?;
        let file = kernel::open_by_handle(self.root.as_fd(), &named, OFlags::PATH)?;
        Ok(self.nodes.put(Node::new(file, handle)))
    }

    /// The object behind a name, which is never a link's target. It is remembered: what was looked up is used next.
    ///
    /// # Errors
    /// [`Status::Access`] where another file system is mounted.
    pub(super) fn child(&self, directory: &Node, name: &[u8]) -> Result<Arc<Node>> {
        let node = match name {
            b"." => return self.node(directory.handle.as_bytes()),
            b".." => self.parent(directory)?,
            name => self.identify(rustix::fs::openat(
                &directory.file,
                component(name)?,
                OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            )?)?,
        };
        Ok(self.nodes.get(&node.handle).unwrap_or_else(|| self.nodes.put(node)))
    }

    /// As [`Volume::child`], for listings: remembered by nobody.
    pub(super) fn passing_child(&self, directory: &Node, name: &[u8]) -> Result<(Handle, Stat)> {
        let file = rustix::fs::openat(&directory.file, component(name)?, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        Ok((self.identify(file)?.handle, stat))
    }

    fn identify(&self, file: OwnedFd) -> Result<Node> {
        let (named, mount) = kernel::name_to_handle(file.as_fd())?;
        if mount != self.mount {
            return Err(Status::Access);
        }
        let handle = Handle::issue(&self.key, self.id(), &named)?;
        Ok(Node::new(file, handle))
    }

    /// The directory above; the root's is the root. A directory may have been moved out of the export, so where the one above lies is looked
    /// up each time.
    fn parent(&self, directory: &Node) -> Result<Node> {
        let here = if directory.handle == self.root_handle { "." } else { ".." };
        let file = rustix::fs::openat(&directory.file, here, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let place = |file: &OwnedFd| std::fs::read_link(descriptor_path(file));
        if place(&file)?.starts_with(place(&self.root)?) { self.identify(file) } else { Err(Status::Stale) }
    }

    /// A descriptor to read a regular file's content by.
    pub(super) fn reading<'a>(&self, node: &'a Node) -> Result<&'a OwnedFd> {
        self.opened(node, &node.reading, OFlags::RDONLY)
    }

    /// A descriptor to write a regular file's content by.
    pub(super) fn writing<'a>(&self, node: &'a Node) -> Result<&'a OwnedFd> {
        self.opened(node, &node.writing, OFlags::WRONLY)
    }

    fn opened<'a>(&self, node: &'a Node, place: &'a OnceLock<OwnedFd>, flags: OFlags) -> Result<&'a OwnedFd> {
        if let Some(file) = place.get() {
            return Ok(file);
        }
        let named = node.handle.verify(&self.key)?;
        let file = kernel::open_by_handle(self.root.as_fd(), &named, flags | OFlags::NOFOLLOW | OFlags::NONBLOCK)?;
        Ok(place.get_or_init(|| file))
    }

    /// The attributes of an object that must be a regular file: nothing else is ever opened for its content.
    pub(super) fn regular(&self, node: &Node) -> Result<Stat> {
        let stat = node.stat()?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(stat),
            FileType::Directory => Err(Status::IsDirectory),
            _ => Err(Status::Invalid),
        }
    }

    /// The attributes of an object that must be a directory.
    pub(super) fn directory(&self, node: &Node) -> Result<Stat> {
        let stat = node.stat()?;
        if permit::is_directory(&stat) { Ok(stat) } else { Err(Status::NotDirectory) }
    }
}

/// A path that leads to an open file whatever its name is by now.
pub(super) fn descriptor_path(file: &OwnedFd) -> PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// A name that can stand in a directory, and leads nowhere else.
pub(super) fn component(name: &[u8]) -> Result<&[u8]> {
    match name {
        _ if name.len() > 255 => Err(Status::NameTooLong),
        b"" | b"." | b".." => Err(Status::Invalid),
        _ if name.contains(&b'/') || name.contains(&0) => Err(Status::Access),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        assert_eq!(component(b"../etc"), Err(Status::Access));
        assert_eq!(component(b"/"), Err(Status::Access));
        assert_eq!(component(b"a\0b"), Err(Status::Access));
        assert_eq!(component(b".."), Err(Status::Invalid));
        assert_eq!(component(b""), Err(Status::Invalid));
        assert_eq!(component(&[b'a'; 256]), Err(Status::NameTooLong));
        assert_eq!(component(b"..."), Ok(&b"..."[..]));
        assert_eq!(component(b"\xff name"), Ok(&b"\xff name"[..]), "names are bytes");
    }
}
