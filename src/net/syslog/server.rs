//! The socket loops.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::frame::Frames;
use super::{Handler, parse};
use crate::net::silence;

const RECEIVE_BUFFER: usize = 4 << 20;
const AFTER_ERROR: Duration = Duration::from_millis(200);
/// A connection that says nothing for this long is closed; loggers connect anew.
const IDLE: Duration = Duration::from_secs(3600);
/// A connection whose machine has died keeps its place for so long.
const SILENT: Duration = Duration::from_secs(120);

/// Where to listen, and to how many.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Address and port, for UDP and TCP.
    pub address: SocketAddr,
    /// TCP connections at the same time; more are closed at once.
    pub connections: usize,
    /// Of these, from one address.
    pub connections_per_client: usize,
}

impl Config {
    /// Port 514, 512 connections, 8 from each address.
    pub fn new(address: IpAddr) -> Self {
        Self { address: SocketAddr::new(address, 514), connections: 512, connections_per_client: 8 }
    }
}

/// A bound receiver that does not run yet.
#[derive(Debug)]
pub struct Server {
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
    config: Config,
}

impl Server {
    /// Binds UDP and TCP, which needs `CAP_NET_BIND_SERVICE` below port 1024.
    ///
    /// # Errors
    /// The port is taken, the address is not this machine's, or the privilege is missing.
    pub fn bind(config: Config) -> io::Result<Self> {
        let bind = |kind, protocol| {
            let socket = Socket::new(Domain::for_address(config.address), kind, Some(protocol))?;
            socket.set_nonblocking(true)?;
            if kind == Type::STREAM {
                // Else connections of before a restart keep the port for a minute.
                socket.set_reuse_address(true)?;
            }
            socket.bind(&config.address.into())?;
            Ok(socket)
        };
        let context = |cause: io::Error| io::Error::new(cause.kind(), format!("cannot bind {} for syslog: {cause}", config.address));
        let udp = bind(Type::DGRAM, Protocol::UDP).map_err(context)?;
        udp.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let tcp = bind(Type::STREAM, Protocol::TCP).map_err(context)?;
        tcp.listen(128).map_err(context)?;
        Ok(Self { udp: udp.into(), tcp: tcp.into(), config })
    }

    /// Receives until `shutdown` is cancelled.
    ///
    /// # Errors
    /// The sockets cannot be handed to the runtime. Errors of single connections are logged, never fatal.
    pub async fn run(self, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> io::Result<()> {
        let udp = UdpSocket::from_std(self.udp)?;
        let tcp = TcpListener::from_std(self.tcp)?;
        let both = async { tokio::join!(receive(&udp, &*handler), accept(&tcp, &handler, self.config)) };
        let _ = shutdown.run_until_cancelled(both).await;
        Ok(())
    }
}

/// Binds and receives: [`Server::bind`] and [`Server::run`] in one.
///
/// # Errors
/// As those two.
pub async fn serve(config: Config, handler: Arc<dyn Handler>, shutdown: CancellationToken) -> io::Result<()> {
    Server::bind(config)?.run(handler, shutdown).await
}

async fn receive(socket: &UdpSocket, handler: &dyn Handler) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => handler.line(peer.ip(), parse(&buffer[..length])).await,
            Err(cause) => {
                tracing::warn!(%cause, "syslog socket cannot receive; trying again");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

async fn accept(listener: &TcpListener, handler: &Arc<dyn Handler>, config: Config) {
    let places = Places { config, taken: Arc::default() };
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(cause) => {
                tracing::warn!(%cause, "syslog connection cannot be accepted; trying again");
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Some(place) = places.take(peer.ip()) else {
            tracing::debug!(%peer, "too many syslog connections");
            continue;
        };
        let handler = Arc::clone(handler);
        connections.spawn(async move {
            if let Err(cause) = read_lines(stream, peer.ip(), &*handler).await {
                tracing::debug!(%peer, %cause, "syslog connection broke");
            }
            drop(place);
        });
    }
}

async fn read_lines(mut stream: TcpStream, peer: IpAddr, handler: &dyn Handler) -> io::Result<()> {
    silence::break_after(SockRef::from(&stream), SILENT)?;
    let mut frames = Frames::default();
    let mut buffer = [0; 4096];
    loop {
        let length = tokio::time::timeout(IDLE, stream.read(&mut buffer)).await??;
        if length == 0 {
            break;
        }
        frames.push(&buffer[..length]);
        while let Some(line) = frames.next_line() {
            handler.line(peer, parse(&line)).await;
        }
    }
    if let Some(line) = frames.finish() {
        handler.line(peer, parse(&line)).await;
    }
    Ok(())
}

/// Connections by address.
#[derive(Clone)]
struct Places {
    config: Config,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place, given back when dropped.
struct Place {
    places: Places,
    peer: IpAddr,
}

impl Places {
    fn take(&self, peer: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (taken.values().sum::<usize>(), taken.get(&peer).copied().unwrap_or_default());
        if all >= self.config.connections || own >= self.config.connections_per_client {
            return None;
        }
        taken.insert(peer, own + 1);
        Some(Place { places: self.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.peer) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_capped_for_all_and_for_one_address() {
        let config = Config { connections: 3, connections_per_client: 2, ..Config::new([127, 0, 0, 1].into()) };
        let places = Places { config, taken: Arc::default() };
        let peer = |host: u8| IpAddr::from([10, 0, 0, host]);
        let (first, _second) = (places.take(peer(1)).unwrap(), places.take(peer(1)).unwrap());
        assert!(places.take(peer(1)).is_none());
        let _third = places.take(peer(2)).unwrap();
        assert!(places.take(peer(3)).is_none());
        drop(first);
        assert!(places.take(peer(3)).is_some());
    }
}
