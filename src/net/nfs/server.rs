//! Binding, accepting, and ending.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio_util::sync::CancellationToken;

use super::handle::HandleKey;
use super::lookout::Lookout;
use super::nodes::Nodes;
use super::portmap::{self, Ports};
use super::replay::Replay;
use super::session::{Session, Shared};
use super::{Exports, connection, identity, kernel};
use crate::net::silence;

const BACKLOG: i32 = 1024;
const STACK: usize = 256 << 10;
const AFTER_ERROR: Duration = Duration::from_millis(200);
/// What has not been used for between one and two of these is closed.
const SWEEP: Duration = Duration::from_secs(30);
/// A client without a reserved port says what it wants, and goes.
const STRANGER: Duration = Duration::from_secs(30);
/// A client that takes nothing for this long is gone.
const STUCK: Duration = Duration::from_secs(300);
/// A node that was switched off never closes its connections: they are found dead by then.
const SILENT: Duration = Duration::from_secs(120);
/// How long connections may take to end.
const ENDING: Duration = Duration::from_secs(3);
/// A datagram to the portmapper has 56 bytes and credentials.
const DATAGRAM: usize = 1024;

/// Where to serve, and how much.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port for NFS and the mount protocol.
    pub address: SocketAddr,
    /// Address and port of the portmapper, UDP and TCP; none if the system has one, or clients are told the ports.
    pub portmap: Option<SocketAddr>,
    /// Makes handles that nobody can guess.
    pub key: HandleKey,
    /// Connections at the same time; more are closed at once. Each has a thread, and about 60 KiB.
    pub connections: usize,
    /// Of these, from one address.
    pub connections_per_client: usize,
    /// Serves clients on any port, whose users may say to be anybody: for tests.
    pub any_port: bool,
}

impl Config {
    /// Port 2049 and the portmapper on 111; 2,048 connections, 16 for each client; reserved ports only.
    pub fn new(address: IpAddr, key: HandleKey) -> Self {
        Self {
            address: SocketAddr::new(address, 2049),
            portmap: Some(SocketAddr::new(address, 111)),
            key,
            connections: 2048,
            connections_per_client: 16,
            any_port: false,
        }
    }
}

/// A bound server whose threads wait for [`Server::run`].
#[derive(Debug)]
pub struct Server {
    config: Config,
    address: SocketAddr,
    datagrams: Option<UdpSocket>,
    gates: Vec<Gate>,
    can_change: bool,
}

/// A listener, and the thread that will accept from it.
#[derive(Debug)]
struct Gate {
    listener: TcpListener,
    start: Sender<(Arc<Shared>, Arc<Connections>)>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Binds the ports and starts the threads that keep privileges (see the module's text).
    ///
    /// # Errors
    /// A port is taken (111: by `rpcbind`), the address is not this machine's, or a privilege is missing.
    pub fn bind(config: Config) -> io::Result<Self> {
        let listener = listen(config.address)?;
        let address = listener.local_addr()?;
        let (gate, can_change) = Gate::open(listener)?;
        let (mut gates, mut datagrams) = (vec![gate], None);
        if let Some(place) = config.portmap {
            gates.push(Gate::open(listen(place)?)?.0);
            let socket = Socket::new(Domain::for_address(place), Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_nonblocking(true)?;
            socket.bind(&place.into()).map_err(|cause| cannot_bind(place, &cause))?;
            datagrams = Some(socket.into());
        }
        Ok(Self { config, address, datagrams, gates, can_change })
    }

    /// The address for NFS, with the port that the kernel chose if none was named.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is cancelled; connections are closed then, and clients come back when there is a server again.
    ///
    /// # Errors
    /// A socket cannot be handed to the runtime. Errors of single connections are logged, never fatal.
    pub async fn run(self, exports: Arc<dyn Exports>, shutdown: CancellationToken) -> io::Result<()> {
        let ports = Ports { nfs: self.address.port(), portmap: self.config.portmap.map(|place| place.port()) };
        // Each open file of the cache has up to three descriptors, and connections and everything else need theirs.
        let nodes = Arc::new(Nodes::new((kernel::raise_open_files() / 8).clamp(64, 8192) as usize));
        let shared = Arc::new(Shared {
            exports,
            runtime: tokio::runtime::Handle::current(),
            key: self.config.key.clone(),
            nodes: Arc::clone(&nodes),
            replay: Replay::default(),
            verifier: rand::random(),
            ports,
            any_port: self.config.any_port,
            can_change: self.can_change,
        });
        let datagrams = self.datagrams.map(tokio::net::UdpSocket::from_std).transpose()?;
        let connections = Arc::new(Connections::new(&self.config));
        let mut ending = Ending { connections: Arc::clone(&connections), gates: vec![] };
        for gate in self.gates {
            let _ = gate.start.send((Arc::clone(&shared), Arc::clone(&connections)));
            ending.gates.push((gate.listener, gate.thread));
        }
        let serving = async { tokio::join!(answer_datagrams(datagrams, ports), sweep(nodes)) };
        let _ = shutdown.run_until_cancelled(serving).await;
        let threads = ending.stop();
        let waited = tokio::time::timeout(ENDING, async {
            while connections.count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        if waited.await.is_err() {
            tracing::warn!(connections = connections.count(), "NFS connections did not end in time");
        }
        for thread in threads {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Else connections of before a restart keep the port for a minute.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into()).map_err(|cause| cannot_bind(address, &cause))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn cannot_bind(address: SocketAddr, cause: &io::Error) -> io::Error {
    io::Error::new(cause.kind(), format!("cannot bind {address} for NFS: {cause}"))
}

impl Gate {
    fn open(listener: TcpListener) -> io::Result<(Self, bool)> {
        let (start, started) = channel();
        let (ready, is_ready) = channel();
        let own = listener.try_clone()?;
        let thread = Builder::new().name("nfs-accept".into()).stack_size(STACK).spawn(move || {
            let kept = identity::keep_needed();
            let go_on = kept.is_ok();
            let _ = ready.send(kept);
            if go_on {
                accept(&own, &started);
            }
        })?;
        let can_change = is_ready.recv().map_err(|_| io::Error::other("an NFS thread ended at once"))??;
        Ok((Self { listener, start, thread }, can_change))
    }
}

fn accept(listener: &TcpListener, started: &Receiver<(Arc<Shared>, Arc<Connections>)>) {
    // An error means that the server was dropped without having run.
    let Ok((shared, connections)) = started.recv() else { return };
    while !connections.stopping.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((stream, peer)) => begin(&shared, &connections, stream, peer),
            Err(_) if connections.stopping.load(Ordering::Acquire) => {}
            Err(cause) => {
                tracing::warn!(%cause, "an NFS connection cannot be accepted; trying again");
                std::thread::sleep(AFTER_ERROR);
            }
        }
    }
}

fn begin(shared: &Arc<Shared>, connections: &Arc<Connections>, stream: TcpStream, peer: SocketAddr) {
    let Some(place) = connections.enter(peer.ip(), stream) else {
        tracing::debug!(%peer, "too many NFS connections");
        return;
    };
    let session = Session::new(Arc::clone(shared), peer);
    let thread = Builder::new().name("nfs".into()).stack_size(STACK).spawn(move || {
        let served = kernel::own_umask()
            .and_then(|()| prepare(&place.stream, session.is_trusted()))
            .and_then(|()| connection::serve(&place.stream, session, &place.connections.lookout));
        if let Err(cause) = served {
            tracing::debug!(%peer, %cause, "NFS connection broke");
        }
    });
    if let Err(cause) = thread {
        tracing::warn!(%peer, %cause, "no thread for an NFS connection");
    }
}

fn prepare(stream: &TcpStream, trusted: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STUCK))?;
    stream.set_read_timeout((!trusted).then_some(STRANGER))?;
    silence::break_after(SockRef::from(stream), SILENT)
}

async fn answer_datagrams(socket: Option<tokio::net::UdpSocket>, ports: Ports) {
    let Some(socket) = socket else { return };
    let mut buffer = [0; DATAGRAM];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => {
                let reply = portmap::answer_datagram(ports, &buffer[..length]);
                if !reply.is_empty() {
                    let _ = socket.send_to(&reply, peer).await;
                }
            }
            Err(cause) => {
                tracing::warn!(%cause, "the portmapper's socket cannot receive; trying again");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

async fn sweep(nodes: Arc<Nodes>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let nodes = Arc::clone(&nodes);
        let _ = tokio::task::spawn_blocking(move || nodes.sweep()).await;
    }
}

/// Who is connected.
#[derive(Debug)]
struct Connections {
    limit: usize,
    limit_per_client: usize,
    stopping: AtomicBool,
    lookout: Lookout,
    open: Mutex<HashMap<u64, (IpAddr, Arc<TcpStream>)>>,
}

/// A place among the connections, given back when dropped.
struct Place {
    connections: Arc<Connections>,
    number: u64,
    stream: Arc<TcpStream>,
}

impl Connections {
    fn new(config: &Config) -> Self {
        Self {
            limit: config.connections,
            limit_per_client: config.connections_per_client,
            stopping: AtomicBool::new(false),
            lookout: Lookout::new(),
            open: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (IpAddr, Arc<TcpStream>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    fn enter(self: &Arc<Self>, peer: IpAddr, stream: TcpStream) -> Option<Place> {
        let mut open = self.lock();
        let of_peer = open.values().filter(|(other, _)| *other == peer).count();
        if open.len() >= self.limit || of_peer >= self.limit_per_client || self.stopping.load(Ordering::Acquire) {
            return None;
        }
        let number = (0..).find(|number| !open.contains_key(number))?;
        let stream = Arc::new(stream);
        open.insert(number, (peer, Arc::clone(&stream)));
        Some(Place { connections: Arc::clone(self), number, stream })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}

/// Ends everything, also when the future that serves is dropped.
struct Ending {
    connections: Arc<Connections>,
    gates: Vec<(TcpListener, JoinHandle<()>)>,
}

impl Ending {
    fn stop(&mut self) -> Vec<JoinHandle<()>> {
        self.connections.stopping.store(true, Ordering::Release);
        for (_, stream) in self.connections.lock().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let wake = |(listener, thread): (TcpListener, JoinHandle<()>)| {
            // On Linux, this ends a waiting accept.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
            thread
        };
        self.gates.drain(..).map(wake).collect()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.stop();
    }
}
