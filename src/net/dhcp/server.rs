//! The socket loop.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dhcproto::v4::SERVER_PORT;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Handler, Request, RequestKind, reply};

/// Messages being answered at the same time; more wait in the socket's buffer.
const CONCURRENT: usize = 256;
/// A client has asked again by then.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Holds a few thousand messages while a cluster powers on (the kernel may grant less).
const RECEIVE_BUFFER: usize = 4 << 20;
/// Pause after an error of the socket, such as the interface going down.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// Where to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The interface towards the clients: nothing else is heard or answered.
    pub interface: String,
    /// The server's own address on it, sent as server identifier. The kernel sends from the interface's first address: make them the same.
    pub address: Ipv4Addr,
    /// 67, except in experiments.
    pub port: u16,
}

impl Config {
    /// On the standard port.
    pub fn new(interface: impl Into<String>, address: Ipv4Addr) -> Self {
        Self { interface: interface.into(), address, port: SERVER_PORT }
    }
}

/// What the loop has seen since its start.
#[derive(Debug, Default)]
pub struct Counters {
    received: AtomicU64,
    malformed: AtomicU64,
    sent: AtomicU64,
}

impl Counters {
    /// Datagrams received.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Datagrams that were no request of a client.
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// Replies sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A bound server that does not run yet.
#[derive(Debug)]
pub struct Server {
    socket: std::net::UdpSocket,
    address: Ipv4Addr,
    counters: Arc<Counters>,
}

impl Server {
    /// Binds the port on the interface. Needs `CAP_NET_BIND_SERVICE` and, before Linux 5.7, `CAP_NET_RAW`; [`Server::run`] needs nothing.
    ///
    /// # Errors
    /// The port is taken, the interface does not exist, or the privilege is missing.
    pub fn bind(config: &Config) -> io::Result<Self> {
        let socket = open(&config.interface, config.port)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        Ok(Self { socket: socket.into(), address: config.address, counters: Arc::default() })
    }

    /// Figures that go on counting while the server runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Serves until `shutdown` is cancelled; answers under way are then dropped.
    ///
    /// # Errors
    /// The socket cannot be handed to the runtime. Errors of single messages are logged, never fatal.
    pub async fn run(self, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> io::Result<()> {
        let socket = Arc::new(UdpSocket::from_std(self.socket)?);
        let slots = Arc::new(Semaphore::new(CONCURRENT));
        let mut answers = JoinSet::new();
        let serving = async {
            let mut buffer = [0; 2048];
            loop {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                while answers.try_join_next().is_some() {}
                let Some(request) = receive(&socket, &mut buffer, &self.counters).await else { continue };
                if !is_for(&request, self.address) {
                    continue;
                }
                let (socket, handler, counters) = (Arc::clone(&socket), Arc::clone(&handler), Arc::clone(&self.counters));
                answers.spawn(async move {
                    let answered = tokio::time::timeout(ANSWER_LIMIT, answer(&socket, &*handler, &request, self.address, &counters)).await;
                    if answered.is_err() {
                        tracing::warn!(mac = ?request.mac, "no DHCP answer was found within {ANSWER_LIMIT:?}: is the state's disk overloaded?");
                    }
                    drop(slot);
                });
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
pub async fn serve(config: &Config, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> io::Result<()> {
    Server::bind(config)?.run(handler, shutdown).await
}

/// A broadcasting, non-blocking UDP socket that hears and speaks on one interface only.
pub(super) fn open(interface: &str, port: u16) -> io::Result<Socket> {
    let context =
        |what: &'static str| move |cause: io::Error| io::Error::new(cause.kind(), format!("{what} for DHCP on `{interface}`: {cause}"));
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(context("cannot make a socket"))?;
    socket.bind_device(Some(interface.as_bytes())).map_err(context("cannot bind to the interface"))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.set_nonblocking(true)?;
    let everywhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    socket.bind(&everywhere.into()).map_err(context("cannot bind the port"))?;
    Ok(socket)
}

async fn receive(socket: &UdpSocket, buffer: &mut [u8], counters: &Counters) -> Option<Request> {
    let (length, from) = match socket.recv_from(buffer).await {
        Ok(received) => received,
        Err(cause) => {
            tracing::warn!(%cause, "DHCP socket cannot receive; trying again");
            tokio::time::sleep(AFTER_ERROR).await;
            return None;
        }
    };
    counters.received.fetch_add(1, Ordering::Relaxed);
    match Request::parse(&buffer[..length]) {
        Ok(request) => Some(request),
        Err(cause) => {
            counters.malformed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%from, length, %cause, "not a DHCP request");
            None
        }
    }
}

/// A client that takes another server's offer is none of ours (RFC 2131 section 4.3.2).
fn is_for(request: &Request, address: Ipv4Addr) -> bool {
    !matches!(request.kind, RequestKind::Request { server: Some(server), .. } if server != address)
}

async fn answer(socket: &UdpSocket, handler: &dyn Handler, request: &Request, address: Ipv4Addr, counters: &Counters) {
    let answer = handler.answer(request).await;
    let Some((bytes, to)) = reply::encode(request, &answer, address) else { return };
    match socket.send_to(&bytes, to).await {
        Ok(_) => {
            counters.sent.fetch_add(1, Ordering::Relaxed);
        }
        Err(cause) => tracing::debug!(%to, %cause, "DHCP reply cannot be sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::bytes;
    use super::*;

    #[test]
    fn a_request_that_names_another_server_is_not_ours() {
        let ours = Ipv4Addr::new(10, 0, 0, 1);
        let naming = |options: &[(u8, &[u8])]| is_for(&Request::parse(&bytes(options)).unwrap(), ours);
        assert!(naming(&[(53, &[3]), (54, &[10, 0, 0, 1])]));
        assert!(naming(&[(53, &[3])]));
        assert!(!naming(&[(53, &[3]), (54, &[10, 0, 0, 2])]));
    }

    #[test]
    fn an_interface_that_does_not_exist_is_named() {
        let refused = Server::bind(&Config::new("nosuch0", Ipv4Addr::LOCALHOST)).unwrap_err().to_string();
        assert!(refused.contains("nosuch0"), "{refused}");
    }
}
