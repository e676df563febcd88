//! From a call to its reply: which program, which export, which procedure.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::AtFlags;

use super::calls::Call as Nfs;
use super::content::Tail;
use super::handle::{Handle, HandleKey};
use super::list::Wanted;
use super::look::Request;
use super::mount::{Asked, Refusal};
use super::nodes::Nodes;
use super::portmap::Ports;
use super::replay::{Begin, Replay};
use super::rpc::{self, Accepted, Call, Caller};
use super::status::{Result, Status};
use super::volume::Volume;
use super::xdr::{Garbage, Write};
use super::{Access, Export, ExportId, Exports, Squash, Verdict, acl, change, content, list, look, make, mount, portmap};

pub(super) const PROGRAM: u32 = 100_003;
pub(super) const VERSION: u32 = 3;
/// How long an answer of [`Exports::export`] holds.
const RECHECK: Duration = Duration::from_secs(1);
/// How long to wait for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Exports that one connection uses at a time.
const VOLUMES: usize = 64;
/// Highest port that only root may use.
const RESERVED: u16 = 1023;

/// What all connections share.
pub(super) struct Shared {
    pub exports: Arc<dyn Exports>,
    pub runtime: tokio::runtime::Handle,
    pub key: HandleKey,
    pub nodes: Arc<Nodes>,
    pub replay: Replay,
    /// Another one tells clients to write again what was not committed: made anew with each start.
    pub verifier: u64,
    pub ports: Ports,
    pub any_port: bool,
    /// Whether the threads have the capabilities for changes.
    pub can_change: bool,
}

/// One connection's view.
pub(super) struct Session {
    shared: Arc<Shared>,
    peer: SocketAddr,
    volumes: HashMap<ExportId, (Instant, Result<Arc<Volume>>)>,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, peer: SocketAddr) -> Self {
        Self { shared, peer, volumes: HashMap::new() }
    }

    /// Whether the other end's root user has opened the connection.
    pub(super) fn is_trusted(&self) -> bool {
        self.shared.any_port || self.peer.port() <= RESERVED
    }

    /// Appends the reply, but for a tail; nothing if the message deserves none.
    pub(super) fn answer(&mut self, message: &[u8], out: &mut Vec<u8>) -> Option<Tail> {
        let call = match Call::parse(message) {
            Ok(call) => call,
            Err(why) => {
                rpc::reject(out, why);
                return None;
            }
        };
        match (call.program, call.version) {
            (PROGRAM | acl::PROGRAM, VERSION) => return self.nfs(&call, message, out),
            (mount::PROGRAM, mount::VERSION) => self.mount(&call, out),
            (portmap::PROGRAM, _) => portmap::answer(self.shared.ports, &call, out),
            (PROGRAM | acl::PROGRAM | mount::PROGRAM, _) => rpc::accept(out, call.xid, Accepted::ProgramMismatch(VERSION, VERSION)),
            _ => rpc::accept(out, call.xid, Accepted::ProgramUnavailable),
        }
        None
    }

    // ---- mount

    fn mount(&self, call: &Call, out: &mut Vec<u8>) {
        match mount::decode(call.procedure, call.arguments) {
            Ok(Some(Asked::Mount(path))) => {
                // A client that cannot be answered yet asks again.
                let Some(root) = self.mount_root(path) else { return };
                rpc::accept(out, call.xid, Accepted::Success);
                mount::put(out, root);
            }
            Ok(Some(Asked::Nothing)) => rpc::accept(out, call.xid, Accepted::Success),
            Ok(Some(Asked::List)) => {
                rpc::accept(out, call.xid, Accepted::Success);
                out.bool(false);
            }
            Ok(None) => rpc::accept(out, call.xid, Accepted::ProcedureUnavailable),
            Err(Garbage) => rpc::accept(out, call.xid, Accepted::GarbageArguments),
        }
    }

    fn mount_root(&self, path: &[u8]) -> Option<std::result::Result<Handle, Refusal>> {
        let peer = self.peer;
        let Ok(path) = std::str::from_utf8(path) else { return Some(Err(Refusal::NotThere)) };
        if !self.is_trusted() {
            tracing::warn!(%peer, path, "NFS mount from a port that is not reserved: refused");
            return Some(Err(Refusal::Access));
        }
        match self.ask(self.shared.exports.mount(peer, path)) {
            Verdict::Granted(export) => Some(self.open(export).map(|volume| *volume.root_handle()).map_err(|_| Refusal::ServerFault)),
            Verdict::Refused => {
                tracing::info!(%peer, path, "NFS mount refused");
                Some(Err(Refusal::Access))
            }
            Verdict::Unknown => None,
        }
    }

    fn ask(&self, question: impl Future<Output = Verdict>) -> Verdict {
        // The timer has to be made inside: there is none outside a runtime.
        self.shared.runtime.block_on(async { tokio::time::timeout(PATIENCE, question).await }).unwrap_or(Verdict::Unknown)
    }

    fn open(&self, mut export: Export) -> std::io::Result<Arc<Volume>> {
        let peer = self.peer;
        if export.access == Access::ReadWrite && !self.shared.can_change {
            tracing::warn!(%peer, root = %export.root.display(), "exported read-only: the capabilities for changes are missing");
            export.access = Access::ReadOnly;
        }
        let root = export.root.clone();
        Volume::open(export, &self.shared.key, &self.shared.nodes).map(Arc::new).inspect_err(|cause| {
            tracing::warn!(%peer, root = %root.display(), %cause, "cannot be exported by NFS");
        })
    }

    // ---- NFS

    fn nfs(&mut self, call: &Call, message: &[u8], out: &mut Vec<u8>) -> Option<Tail> {
        if call.procedure == 0 {
            rpc::accept(out, call.xid, Accepted::Success);
            return None;
        }
        let outcome = match Nfs::of(call) {
            Ok(Some(decoded)) => {
                return if decoded.cannot_be_repeated() {
                    self.once(call, &decoded, message, out)
                } else {
                    self.perform(call, &decoded, out)
                };
            }
            Ok(None) => Accepted::ProcedureUnavailable,
            Err(Garbage) => Accepted::GarbageArguments,
        };
        rpc::accept(out, call.xid, outcome);
        None
    }

    fn once(&mut self, call: &Call, decoded: &Nfs, message: &[u8], out: &mut Vec<u8>) -> Option<Tail> {
        let shared = Arc::clone(&self.shared);
        match shared.replay.begin(self.peer.ip(), call.xid, message) {
            Begin::First(turn) => {
                let start = out.len();
                self.perform(call, decoded, out);
                turn.answered(&out[start..]);
            }
            Begin::Again(reply) => out.extend_from_slice(&reply),
            Begin::Busy => {}
        }
        None
    }

    fn perform(&mut self, call: &Call, decoded: &Nfs, out: &mut Vec<u8>) -> Option<Tail> {
        rpc::accept(out, call.xid, Accepted::Success);
        let mark = out.len();
        out.u32(0);
        let status = match self.carry_out(call.caller, decoded, out) {
            Ok(tail) => return tail,
            Err(status) => status,
        };
        out.truncate(mark);
        out.u32(status as u32);
        (0..decoded.attributes_of_failure()).for_each(|_| out.bool(false));
        None
    }

    fn carry_out(&mut self, caller: Caller, call: &Nfs, out: &mut Vec<u8>) -> Result<Option<Tail>> {
        if !self.is_trusted() {
            return Err(Status::NotOwner);
        }
        let volume = self.volume(Handle::parse(call.handle())?.export())?;
        if call.changes() && !volume.writable() {
            return Err(Status::ReadOnly);
        }
        let request = Request { volume: &volume, caller: squashed(caller, volume.export.squash) };
        procedure(&request, self.shared.verifier, call, out)
    }

    /// The export, if the client may use it now.
    fn volume(&mut self, id: ExportId) -> Result<Arc<Volume>> {
        if let Some((when, known)) = self.volumes.get(&id)
            && when.elapsed() < RECHECK
        {
            return known.clone();
        }
        let found = match self.ask(self.shared.exports.export(self.peer, id)) {
            Verdict::Granted(export) if export.id == id => self.open(export).map_err(|cause| match cause.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Status::Stale,
                _ => Status::Later,
            }),
            Verdict::Granted(_) | Verdict::Refused => Err(Status::Stale),
            Verdict::Unknown => Err(Status::Later),
        };
        if self.volumes.len() >= VOLUMES {
            self.volumes.clear();
        }
        self.volumes.insert(id, (Instant::now(), found.clone()));
        found
    }
}

fn squashed(caller: Caller, squash: Squash) -> Caller {
    match squash {
        Squash::None => caller,
        Squash::Root if caller.uid != 0 && !caller.is_member(0) => caller,
        Squash::Root if caller.uid != 0 => {
            let groups: Vec<u32> = caller.groups().iter().copied().filter(|gid| *gid != 0).collect();
            Caller::new(caller.uid, if caller.gid == 0 { rpc::NOBODY } else { caller.gid }, &groups)
        }
        Squash::Root | Squash::All => Caller::nobody(),
    }
}

fn procedure(request: &Request, verifier: u64, call: &Nfs, out: &mut Vec<u8>) -> Result<Option<Tail>> {
    match *call {
        Nfs::Read { file, offset, count } => return content::read(request, file, offset, count, out),
        Nfs::GetAttributes { object } => look::attributes(request, object, out),
        Nfs::Lookup(at) => look::lookup(request, at, out),
        Nfs::Access { object, wanted } => look::access(request, object, wanted, out),
        Nfs::ReadLink { link } => look::read_link(request, link, out),
        Nfs::FileSystemState { root } => look::file_system_state(request, root, out),
        Nfs::FileSystemInfo { root } => look::file_system_info(request, root, out),
        Nfs::PathLimits { object } => look::path_limits(request, object, out),
        Nfs::ReadDirectory { directory, cookie, count } => {
            list::read_directory(request, directory, Wanted { cookie, count, plus: None }, out)
        }
        Nfs::ReadDirectoryPlus { directory, cookie, names, count } => {
            list::read_directory(request, directory, Wanted { cookie, count, plus: Some(names) }, out)
        }
        Nfs::Write { file, offset, stable, data } => content::write(request, verifier, file, (offset, stable), data, out),
        Nfs::Commit { file } => content::commit(request, verifier, file, out),
        Nfs::SetAttributes { object, ref new, guard } => change::set_attributes(request, object, new, guard, out),
        Nfs::Create { at, how } => make::create(request, at, how, out),
        Nfs::MakeDirectory { at, new } => make::directory(request, at, new, out),
        Nfs::SymbolicLink { at, target } => make::symbolic_link(request, at, target, out),
        Nfs::MakeNode { at, what } => make::special(request, at, what, out),
        Nfs::Remove(at) => change::remove(request, at, AtFlags::empty(), out),
        Nfs::RemoveDirectory(at) => change::remove(request, at, AtFlags::REMOVEDIR, out),
        Nfs::Rename { from, to } => change::rename(request, from, to, out),
        Nfs::Link { file, at } => change::link(request, file, at, out),
        Nfs::GetList { object, mask } => acl::get(request, object, mask, out),
        Nfs::SetList { .. } => acl::set(),
    }?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squashing_takes_roots_ids_away_and_leaves_others() {
        let root = Caller::new(0, 0, &[4]);
        let user = Caller::new(1000, 100, &[0, 27]);
        assert_eq!(squashed(root, Squash::None), root);
        assert_eq!(squashed(root, Squash::Root), Caller::nobody());
        assert_eq!(squashed(user, Squash::Root), Caller::new(1000, 100, &[27]), "nor is anybody in root's group");
        assert_eq!(squashed(user, Squash::All), Caller::nobody());
    }
}
