//! The socket loop: takes requests, starts transfers.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::packet::{self, Packet, Read, Terms, code};
use super::transfer::Transfer;
use super::{Content, Finished, Handler, Outcome, Refused};

/// A client has asked again by then.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
const RECEIVE_BUFFER: usize = 4 << 20;
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// Where to serve, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Address and port of the server. Name the address: answers come from it.
    pub address: SocketAddr,
    /// Transfers at the same time; further requests are passed over, and their clients ask again.
    pub transfers: usize,
    /// Of these, for one client.
    pub transfers_per_client: usize,
}

impl Config {
    /// Port 69, 512 transfers, 16 for each client.
    pub fn new(address: IpAddr) -> Self {
        Self { address: SocketAddr::new(address, 69), transfers: 512, transfers_per_client: 16 }
    }
}

/// A bound server that does not run yet.
#[derive(Debug)]
pub struct Server {
    socket: std::net::UdpSocket,
    config: Config,
}

impl Server {
    /// Binds the port, which needs `CAP_NET_BIND_SERVICE`.
    ///
    /// # Errors
    /// The port is taken, the address is not this machine's, or the privilege is missing.
    pub fn bind(config: Config) -> io::Result<Self> {
        let context = |cause: io::Error| io::Error::new(cause.kind(), format!("cannot bind {} for TFTP: {cause}", config.address));
        let socket = Socket::new(Domain::for_address(config.address), Type::DGRAM, Some(Protocol::UDP)).map_err(context)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        socket.bind(&config.address.into()).map_err(context)?;
        Ok(Self { socket: socket.into(), config })
    }

    /// The address it is bound to, with the port that the kernel chose if none was named.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `shutdown` is cancelled; transfers under way then end at once.
    ///
    /// # Errors
    /// The socket cannot be handed to the runtime. Errors of single transfers reach the handler, never the caller.
    pub async fn run(self, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> io::Result<()> {
        let socket = Arc::new(UdpSocket::from_std(self.socket)?);
        let active = Active::new(self.config);
        let mut transfers = JoinSet::new();
        let serving = async {
            let mut buffer = [0; 2048];
            loop {
                while transfers.try_join_next().is_some() {}
                let Some((request, peer)) = receive(&socket, &mut buffer).await else { continue };
                let Some(entry) = active.enter(peer, &request.name) else { continue };
                transfers.spawn(serve_one(Arc::clone(&socket), Arc::clone(&handler), peer, request, entry));
            }
        };
        let _ = shutdown.run_until_cancelled(serving).await;
        Ok(())
    }
}

/// Binds and serves: [`Server::bind`] and [`Server::run`] in one.
///
/// # Errors
/// As those two.
pub async fn serve(config: Config, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> io::Result<()> {
    Server::bind(config)?.run(handler, shutdown).await
}

async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(Read, SocketAddr)> {
    let (length, peer) = match socket.recv_from(buffer).await {
        Ok(received) => received,
        Err(cause) => {
            tracing::warn!(%cause, "TFTP socket cannot receive; trying again");
            tokio::time::sleep(AFTER_ERROR).await;
            return None;
        }
    };
    let refusal = match packet::parse(&buffer[..length]) {
        Ok(Packet::Read(request)) => return Some((request, peer)),
        Ok(Packet::Write) => packet::error(code::ACCESS, "this server is read-only"),
        // Answering an error with an error could go on for ever.
        Ok(Packet::Ack(_) | Packet::Error { .. }) => return None,
        Err(why) => {
            tracing::debug!(%peer, length, why, "not a TFTP request");
            packet::error(code::ILLEGAL, why)
        }
    };
    let _ = socket.send_to(&refusal, peer).await;
    None
}

async fn serve_one(listener: Arc<UdpSocket>, handler: Arc<dyn Handler>, peer: SocketAddr, request: Read, entry: Entry) {
    let start = Instant::now();
    let opened = tokio::time::timeout(OPEN_LIMIT, handler.open(peer, &request.name)).await;
    let content = match opened.unwrap_or_else(|_| Err(Refused::Failed("the server is overloaded".into()))) {
        Ok(content) => content,
        Err(refused) => {
            let _ = listener.send_to(&refusal(&refused), peer).await;
            return;
        }
    };
    let length = content.length();
    let (acknowledged, outcome) = match connect(&listener, peer).await {
        Ok(socket) => transfer(socket, content, &request, &entry).await,
        Err(cause) => (0, Outcome::Failed(cause.to_string())),
    };
    drop(entry);
    handler.finished(Finished { peer, name: request.name, length, acknowledged, took: start.elapsed(), outcome }).await;
}

async fn transfer(socket: UdpSocket, content: Content, request: &Read, entry: &Entry) -> (u64, Outcome) {
    let terms = Terms::agree(&request.options, content.length());
    let mut transfer = Transfer::new(socket, content, terms, Arc::clone(&entry.begun));
    let outcome = entry.replaced.run_until_cancelled(transfer.run()).await.unwrap_or(Outcome::Replaced);
    (transfer.acknowledged(), outcome)
}

/// A socket of its own for a transfer, on the same address as the listener (RFC 1350 section 4: transfer identifiers are ports).
async fn connect(listener: &UdpSocket, peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::new(listener.local_addr()?.ip(), 0)).await?;
    socket.connect(peer).await?;
    Ok(socket)
}

fn refusal(refused: &Refused) -> Vec<u8> {
    let code = match refused {
        Refused::NotFound => code::NOT_FOUND,
        Refused::Denied(_) => code::ACCESS,
        Refused::Failed(_) => code::OTHER,
    };
    packet::error(code, &refused.to_string())
}

/// Who is being served.
#[derive(Clone)]
struct Active {
    config: Config,
    peers: Arc<Mutex<HashMap<SocketAddr, Underway>>>,
}

struct Underway {
    name: String,
    begun: Arc<AtomicBool>,
    replaced: CancellationToken,
}

/// A place among the active transfers, given back when dropped.
struct Entry {
    active: Active,
    peer: SocketAddr,
    begun: Arc<AtomicBool>,
    replaced: CancellationToken,
}

impl Active {
    fn new(config: Config) -> Self {
        Self { config, peers: Arc::default() }
    }

    /// None if the request is to be passed over: the server is full, or the client merely repeats itself because our first packet is late or lost
    /// (the transfer sends it again by itself). A client that has begun a transfer and asks anew from the same port was reset: the old one ends.
    fn enter(&self, peer: SocketAddr, name: &str) -> Option<Entry> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = peers.get(&peer) {
            if old.name == name && !old.begun.load(Ordering::Relaxed) {
                return None;
            }
            old.replaced.cancel();
        } else if peers.len() >= self.config.transfers
            || peers.keys().filter(|other| other.ip() == peer.ip()).count() >= self.config.transfers_per_client
        {
            tracing::debug!(%peer, name, "too many TFTP transfers; the client will ask again");
            return None;
        }
        let entry = Entry { active: self.clone(), peer, begun: Arc::default(), replaced: CancellationToken::new() };
        peers.insert(peer, Underway { name: name.to_owned(), begun: Arc::clone(&entry.begun), replaced: entry.replaced.clone() });
        Some(entry)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut peers = self.active.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // A replaced transfer leaves the place to its successor.
        if !self.replaced.is_cancelled() {
            peers.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_is_passed_over_and_a_new_one_from_the_same_port_replaces_the_old() {
        let active = Active::new(Config::new([127, 0, 0, 1].into()));
        let peer = SocketAddr::from(([10, 0, 0, 7], 2070));
        let first = active.enter(peer, "a").unwrap();
        assert!(active.enter(peer, "a").is_none(), "merely a repetition");
        first.begun.store(true, Ordering::Relaxed);
        let second = active.enter(peer, "a").unwrap();
        assert!(first.replaced.is_cancelled());
        drop(first);
        assert!(active.enter(peer, "a").is_none(), "the successor still has its place");
        drop(second);
        assert!(active.peers.lock().unwrap().is_empty());
    }

    #[test]
    fn transfers_are_capped_for_all_and_for_one_client() {
        let active = Active::new(Config { transfers: 3, transfers_per_client: 2, ..Config::new([127, 0, 0, 1].into()) });
        let peer = |host, port| SocketAddr::from(([10, 0, 0, host], port));
        let entries: Vec<_> = [peer(1, 1), peer(1, 2)].into_iter().map(|peer| active.enter(peer, "a").unwrap()).collect();
        assert!(active.enter(peer(1, 3), "a").is_none());
        let third = active.enter(peer(2, 1), "a").unwrap();
        assert!(active.enter(peer(3, 1), "a").is_none());
        drop((entries, third));
        assert!(active.enter(peer(3, 1), "a").is_some());
    }
}
