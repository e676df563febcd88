//! Who else serves DHCP on this segment?

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use dhcproto::v4::borrowed::Message;
use dhcproto::v4::{CLIENT_PORT, Encodable, Encoder, Flags, Message as Writer, SERVER_PORT};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::{option, server};

/// A bound socket that other servers can be asked from.
#[derive(Debug)]
pub struct Probe(std::net::UdpSocket);

impl Probe {
    /// Binds port 68 on the interface, which needs `CAP_NET_BIND_SERVICE`; [`Probe::run`] needs nothing. The interface needs no address.
    ///
    /// # Errors
    /// The port is taken, the interface does not exist, or the privilege is missing.
    pub fn bind(interface: &str) -> io::Result<Self> {
        Ok(Self(server::open(interface, CLIENT_PORT)?.into()))
    }

    /// Sends a DISCOVER and lists the servers (their identifiers, in order) that offer something within `timeout`. Asks twice, since a port that
    /// has just come up may lose the first.
    ///
    /// It asks with a made-up address, so that no lease of this machine is touched; a server that answers only machines it knows stays unseen. A
    /// server on this very interface of this machine is listed too: leave out one's own address.
    ///
    /// # Errors
    /// Nothing can be sent.
    pub async fn run(self, timeout: Duration) -> io::Result<Vec<Ipv4Addr>> {
        let socket = UdpSocket::from_std(self.0)?;
        let xid: u32 = rand::random();
        let discover = discover(xid).map_err(io::Error::other)?;
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        let start = Instant::now();
        let mut servers = BTreeSet::new();
        for until in [start + timeout / 2, start + timeout] {
            socket.send_to(&discover, everybody).await?;
            while let Ok(server) = tokio::time::timeout_at(until, next_server(&socket, xid)).await {
                servers.insert(server?);
            }
        }
        Ok(servers.into_iter().collect())
    }
}

async fn next_server(socket: &UdpSocket, xid: u32) -> io::Result<Ipv4Addr> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        if let Some(server) = offering(&buffer[..length], from, xid) {
            return Ok(server);
        }
    }
}

/// The server behind a reply to us: its identifier, or where the reply came from.
fn offering(bytes: &[u8], from: SocketAddr, xid: u32) -> Option<Ipv4Addr> {
    let message = Message::new(bytes).ok()?;
    if bytes[0] != 2 || message.xid() != xid {
        return None;
    }
    let named = message.opts().find(|entry| u8::from(entry.code()) == option::SERVER);
    let named = named.and_then(|entry| <[u8; 4]>::try_from(entry.data()).ok()).map(Ipv4Addr::from);
    named.or(match from {
        SocketAddr::V4(from) => Some(*from.ip()),
        SocketAddr::V6(_) => None,
    })
}

fn discover(xid: u32) -> Result<Vec<u8>, dhcproto::v4::EncodeError> {
    let mut mac: [u8; 6] = rand::random();
    mac[0] = 0x02; // locally administered, one station
    let mut message = Writer::default();
    message.set_xid(xid).set_chaddr(&mac).set_flags(Flags::default().set_broadcast());
    let mut bytes = Vec::with_capacity(300);
    message.encode(&mut Encoder::new(&mut bytes))?;
    bytes.extend([option::MESSAGE_TYPE, 1, 1, option::PARAMETERS, 2, option::SUBNET_MASK, option::ROUTER, 255]);
    bytes.resize(300, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Request, RequestKind};
    use super::*;

    #[test]
    fn the_probe_asks_as_a_client_does() {
        let request = Request::parse(&discover(7).unwrap()).unwrap();
        assert_eq!((request.kind, request.xid, request.broadcast), (RequestKind::Discover, 7, true));
    }

    #[test]
    fn only_replies_to_this_probe_count() {
        let from: SocketAddr = "10.0.0.2:67".parse().unwrap();
        let mut reply = discover(7).unwrap();
        assert_eq!(offering(&reply, from, 7), None, "a request is no reply");
        reply[0] = 2;
        assert_eq!(offering(&reply, from, 7), Some([10, 0, 0, 2].into()));
        assert_eq!(offering(&reply, from, 8), None);
        reply.splice(240..240, [54, 4, 10, 0, 0, 9]);
        assert_eq!(offering(&reply, from, 7), Some([10, 0, 0, 9].into()));
        assert_eq!(offering(&reply[..100], from, 7), None);
    }
}
