//! NFS version 3 over TCP (RFC 1813), with the mount protocol (version 3) and a portmapper (version 2, UDP and TCP), for nodes whose root is
//! a directory of the head.
//!
//! # What it knows, and what it asks
//! It knows no product. Which directory a path stands for, and whether a client may use it, is asked of an [`Exports`]: at each mount, and of
//! each connection again every second. So access ends within a second of the answer changing, while a server that was restarted goes on with
//! clients that have mounted before: their handles name the export, and the answer names its directory.
//!
//! # What it guarantees
//! - Handles survive renames, and restarts of the server and of the machine; they open nothing that was not shown under the same export
//!   (`handle`). The file system must have handles: ext4, XFS, btrfs, tmpfs do; an overlay usually has none, and a mount of it is refused.
//! - Links are never followed, `..` never leads out, and what is mounted below an export is not entered.
//! - Reading is allowed by owner, group and mode bits (`permit`); changes are made under the caller's own ids (`identity`).
//! - Only reserved ports are served (RFC 1813 asks for nothing better): on a trusted node, that is its root user. [`Config::any_port`] is for
//!   tests.
//! - Everything from the network is bounded: records, names, groups, connections in all and of each client. One call of a connection is
//!   worked on at a time, with one thread each; the others wait in the socket. A READ of more than 32 KiB goes from the page cache to the
//!   socket (`sendfile`) and never through our memory.
//! - A repeated call gets the answer of the first (`replay`), so that a lost reply to a REMOVE is no error.
//!
//! # Privileges
//! [`Server::bind`] starts the threads that will accept connections, before a daemon drops its privileges; they, and they alone, keep
//! - `CAP_DAC_READ_SEARCH`: to open files by handle, and to read those that are not world-readable in a root (`/etc/shadow`);
//!
//! and, without which writable exports do not work (they are then served read-only),
//! - `CAP_SETUID`, `CAP_SETGID`: to act as the caller;
//! - `CAP_CHOWN`, `CAP_DAC_OVERRIDE`, `CAP_FOWNER`, `CAP_FSETID`, `CAP_MKNOD`: what the node's root does to its own root directory (install a
//!   package, say), if the export does not squash it.
//!
//! Binding port 111 needs `CAP_NET_BIND_SERVICE`, which no thread keeps.
//!
//! # How it stands
//! Pure: `xdr`, `record` (framing), `rpc`, `calls` (arguments), `attributes`, `status`, `handle`, `permit`, `portmap`. `acl` is the program of access control lists. On files: `volume` (an
//! export, opened), `nodes` (open files), `look`, `list`, `change`, `content` (the procedures), `identity`, `kernel`. On sockets: `session`
//! (a call to its reply), `lookout` (waiting for a call), `connection`, `server`.

mod acl;
mod attributes;
mod calls;
mod change;
mod connection;
mod content;
mod fuzzing;
mod handle;
mod identity;
mod kernel;
mod list;
mod look;
mod lookout;
mod make;
mod mount;
mod nodes;
mod permit;
mod portmap;
mod record;
mod replay;
mod rpc;
mod server;
mod session;
mod status;
mod volume;
mod xdr;

use std::net::SocketAddr;
use std::path::PathBuf;

#[doc(hidden)]
pub use fuzzing::calls_in;
pub use handle::HandleKey;
pub use server::{Config, Server};

/// Names an export in the handles of its files: it must mean the same tree for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExportId(pub u64);

/// Whether an export can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every change is refused with NFS3ERR_ROFS.
    ReadOnly,
    /// Callers change what their ids allow.
    ReadWrite,
}

/// Whose ids are replaced by those of nobody (65534).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squash {
    /// Nobody's: a root file system is of no use to a root user who cannot read it.
    None,
    /// Those of uid 0 and gid 0.
    Root,
    /// Everybody's.
    All,
}

/// A directory that a client may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Stable over restarts.
    pub id: ExportId,
    /// The directory. Another file system mounted below it is not entered.
    pub root: PathBuf,
    /// Reading, or reading and writing.
    pub access: Access,
    /// Whom to take for nobody.
    pub squash: Squash,
}

/// Whether a client may use an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may use this.
    Granted(Export),
    /// It may not: a mount is refused, and handles are stale.
    Refused,
    /// That cannot be told now (the state is locked, say). The client waits, and asks again.
    Unknown,
}

/// Decides who gets what. Answer soon: the client waits.
#[async_trait::async_trait]
pub trait Exports: Send + Sync {
    /// A client asks for a directory by the path that it knows it by. Paths are not normalised: they are as the client wrote them.
    async fn mount(&self, peer: SocketAddr, path: &str) -> Verdict;

    /// A client uses what it has mounted, before or after this server started. Asked of each connection at most once a second for each export.
    async fn export(&self, peer: SocketAddr, id: ExportId) -> Verdict;
}
