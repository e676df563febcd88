//! An NFS client made by hand, whose messages somebody else's crate encodes and decodes, and a head that serves directories to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use kickctl::net::nfs::{Access, Config, Export, ExportId, Exports, HandleKey, Server, Squash, Verdict};
use nfs3_types::mount::{dirpath, mountres3};
use nfs3_types::nfs3::{Nfs3Option, diropargs3, fattr3, nfs_fh3, nfsstat3};
use nfs3_types::rpc::{auth_unix, call_body, msg_type, opaque_auth};
use nfs3_types::xdr_codec::{Opaque, Pack, Unpack};
use socket2::{Domain, Socket, Type};
use tokio_util::sync::CancellationToken;

use crate::netns::{Namespace, cable};

pub const HEAD: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 9);
/// Nobody is assigned to this one.
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 66);
pub const NFS: u32 = 100_003;
pub const MOUNT: u32 = 100_005;

/// Exports by path, to the node only.
#[derive(Default)]
pub struct Site(Mutex<Vec<(String, Export)>>);

impl Site {
    pub fn export(&self, path: &str, export: Export) {
        self.0.lock().unwrap().push((path.to_owned(), export));
    }

    pub fn withdraw(&self, path: &str) {
        self.0.lock().unwrap().retain(|(known, _)| known != path);
    }

    fn find(&self, peer: SocketAddr, fits: impl Fn(&str, &Export) -> bool) -> Verdict {
        let exports = self.0.lock().unwrap();
        let found = exports.iter().find(|(path, export)| fits(path, export) && peer.ip() == IpAddr::V4(NODE));
        found.map_or(Verdict::Refused, |(_, export)| Verdict::Granted(export.clone()))
    }
}

#[async_trait::async_trait]
impl Exports for Site {
    async fn mount(&self, peer: SocketAddr, path: &str) -> Verdict {
        self.find(peer, |known, _| known == path)
    }

    async fn export(&self, peer: SocketAddr, id: ExportId) -> Verdict {
        self.find(peer, |_, export| export.id == id)
    }
}

pub fn export(id: u64, root: &Path, access: Access) -> Export {
    Export { id: ExportId(id), root: root.to_owned(), access, squash: Squash::None }
}

/// A head with a server, and a node, each in a namespace.
pub struct Lab {
    pub node: Namespace,
    pub site: Arc<Site>,
    shutdown: CancellationToken,
    server: Option<JoinHandle<()>>,
    head: Namespace,
}

impl Lab {
    pub fn new() -> Self {
        let (head, node) = (Namespace::new("kfh"), Namespace::new("kfn"));
        cable((&head, "eth0"), (&node, "eth0"));
        head.ip("addr add 10.99.0.1/16 dev eth0");
        node.ip("addr add 10.99.0.9/16 dev eth0");
        node.ip("addr add 10.99.0.66/16 dev eth0");
        let mut lab = Self { node, site: Arc::default(), shutdown: CancellationToken::new(), server: None, head };
        lab.start(7);
        lab
    }

    /// Starts the server, its handles made with this key.
    pub fn start(&mut self, key: u8) {
        let (bound, is_bound) = channel();
        self.shutdown = CancellationToken::new();
        let (shutdown, site) = (self.shutdown.clone(), Arc::clone(&self.site));
        self.server = Some(self.head.spawn(move || {
            let server = Server::bind(Config::new(HEAD.into(), HandleKey::new(&[key; 32]))).unwrap();
            bound.send(()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(server.run(site, shutdown)).unwrap();
        }));
        is_bound.recv().unwrap();
    }

    pub fn stop(&mut self) {
        self.shutdown.cancel();
        let ended = self.server.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking(), "the server's thread panicked");
    }

    /// A client on the node with a reserved port.
    pub fn client(&self, uid: u32, gid: u32, groups: &[u32]) -> Client {
        self.client_at(NODE, 600..1024, (uid, gid, groups.to_vec()))
    }

    pub fn client_at(&self, from: Ipv4Addr, ports: std::ops::Range<u16>, who: (u32, u32, Vec<u32>)) -> Client {
        self.node.within(move || Client::connect(from, ports, who))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a call came to.
pub type Outcome<T> = Result<T, nfsstat3>;

pub struct Client {
    pub stream: TcpStream,
    pub xid: u32,
    who: (u32, u32, Vec<u32>),
}

impl Client {
    fn connect(from: Ipv4Addr, ports: std::ops::Range<u16>, who: (u32, u32, Vec<u32>)) -> Self {
        for port in ports {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let bound = socket.bind(&SocketAddr::from((from, port)).into());
            if bound.and_then(|()| socket.connect(&SocketAddr::from((HEAD, 2049)).into())).is_ok() {
                return Self { stream: socket.into(), xid: 1000, who };
            }
        }
        panic!("no port to connect from");
    }

    /// The same connection with other ids: who a caller is, it says with each call.
    pub fn becomes(&mut self, uid: u32, gid: u32, groups: &[u32]) {
        self.who = (uid, gid, groups.to_vec());
    }

    pub fn encode(&self, program: u32, procedure: u32, arguments: &impl Pack) -> Vec<u8> {
        let mut out = vec![0; 4];
        self.xid.pack(&mut out).unwrap();
        msg_type::CALL.pack(&mut out).unwrap();
        let (uid, gid, gids) = self.who.clone();
        let unix = auth_unix { machinename: Opaque::borrowed(b"node07"), uid, gid, gids, ..Default::default() };
        let body = call_body {
            rpcvers: 2,
            prog: program,
            vers: 3,
            proc: procedure,
            cred: opaque_auth::auth_unix(&unix),
            verf: opaque_auth::default(),
        };
        body.pack(&mut out).unwrap();
        arguments.pack(&mut out).unwrap();
        let length = out.len() as u32 - 4;
        out[..4].copy_from_slice(&(length | 1 << 31).to_be_bytes());
        out
    }

    /// The results of an accepted call, or its `accept_stat`.
    pub fn receive(&mut self) -> Result<Vec<u8>, u32> {
        let mut word = [0; 4];
        self.stream.read_exact(&mut word).unwrap();
        let mut message = vec![0; (u32::from_be_bytes(word) & 0x7fff_ffff) as usize];
        self.stream.read_exact(&mut message).unwrap();
        let words: Vec<u32> = message[..24].chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words[..5], [self.xid, 1, 0, 0, 0], "an accepted reply to this call");
        if words[5] == 0 { Ok(message[24..].to_vec()) } else { Err(words[5]) }
    }

    pub fn raw(&mut self, program: u32, procedure: u32, arguments: &impl Pack) -> Result<Vec<u8>, u32> {
        self.xid += 1;
        let message = self.encode(program, procedure, arguments);
        self.stream.write_all(&message).unwrap();
        self.receive()
    }

    /// An NFS call: what follows the status, decoded to the last byte.
    pub fn call<T: Unpack>(&mut self, procedure: u32, arguments: &impl Pack) -> Outcome<T> {
        let reply = self.raw(NFS, procedure, arguments).unwrap();
        let (status, _) = nfsstat3::unpack(&mut &reply[..]).unwrap();
        if status != nfsstat3::NFS3_OK {
            return Err(status);
        }
        let (result, read) = T::unpack(&mut &reply[4..]).unwrap();
        assert_eq!(read, reply.len() - 4, "nothing is left of the reply");
        Ok(result)
    }

    pub fn mount(&mut self, path: &str) -> Result<nfs_fh3, String> {
        let reply = self.raw(MOUNT, 1, &dirpath(Opaque::borrowed(path.as_bytes()))).unwrap();
        match mountres3::unpack(&mut &reply[..]).unwrap().0 {
            mountres3::Ok(root) => Ok(nfs_fh3 { data: Opaque::owned(root.fhandle.0.to_vec()) }),
            mountres3::Err(status) => Err(status.to_string()),
        }
    }
}

pub fn at<'a>(directory: &nfs_fh3, name: &'a str) -> diropargs3<'a> {
    diropargs3 { dir: directory.clone(), name: name.as_bytes().into() }
}

#[track_caller]
pub fn some<T: Pack + Unpack>(option: Nfs3Option<T>) -> T {
    option.unwrap()
}

/// Attributes that a directory listing of the file would show.
pub fn mode_and_owner(attributes: &fattr3) -> (u32, u32, u32) {
    (attributes.mode, attributes.uid, attributes.gid)
}
