//! DHCP as nodes speak it. All clients of a segment share one socket, which hears every broadcast; each finds its own replies by the transaction number.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::measure::{Kind, Measures};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const RECEIVE_BUFFER: usize = 8 << 20;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// The waits for an answer of a PXE ROM (PXE 2.1 section 2.2.4); then it gives up.
const WAITS: [u64; 4] = [4, 8, 16, 32];

/// What kind of program asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The network card's ROM.
    Firmware,
    /// iPXE.
    Loader,
    /// An installer or a running system.
    System,
}

/// A network card, as DHCP sees it.
#[derive(Clone, Copy, Debug)]
pub struct Card {
    /// Its address.
    pub mac: [u8; 6],
    /// The machine's SMBIOS UUID.
    pub uuid: [u8; 16],
}

/// What a client was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The next server, for TFTP.
    pub next_server: Ipv4Addr,
    /// The boot file or URL; empty if there is none.
    pub file: String,
}

/// The segment that all clients are on.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
    clients: Mutex<HashMap<u32, mpsc::UnboundedSender<Reply>>>,
}

/// What a server said.
#[derive(Clone, Debug)]
struct Reply {
    kind: u8,
    server: Ipv4Addr,
    lease: Lease,
}

impl Wire {
    /// Opens the clients' port on an interface, and listens for as long as the runtime runs.
    ///
    /// # Errors
    /// If the interface is not there, or the port is taken.
    pub fn open(interface: &str) -> io::Result<Arc<Self>> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.set_broadcast(true)?;
        socket.set_nonblocking(true)?;
        // Every node's replies come in here; a real node's buffer holds only its own.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into())?;
        let wire = Arc::new(Self { socket: UdpSocket::from_std(socket.into())?, clients: Mutex::default() });
        tokio::spawn(Arc::clone(&wire).listen());
        Ok(wire)
    }

    /// Asks for an address until there is one: DISCOVER, OFFER, REQUEST, ACK. `None` if nobody answers for as long as a ROM waits. `twice`: each
    /// datagram reaches the server twice.
    pub async fn lease(&self, card: &Card, program: Program, xid: u32, twice: bool, measures: &Measures) -> Option<Lease> {
        let (tell, mut heard) = mpsc::unbounded_channel();
        self.lock().insert(xid, tell);
        let lease = async {
            let discover = message(card, program, xid, None);
            let offer = self.exchange(&discover, 2, &mut heard, twice, Kind::Discover, measures).await?;
            let request = message(card, program, xid, Some((offer.lease.address, offer.server)));
            let answer = self.exchange(&request, 5, &mut heard, twice, Kind::Request, measures).await?;
            Some(answer.lease)
        };
        let lease = lease.await;
        self.lock().remove(&xid);
        lease
    }

    async fn exchange(
        &self,
        asked: &[u8],
        wanted: u8,
        heard: &mut mpsc::UnboundedReceiver<Reply>,
        twice: bool,
        kind: Kind,
        measures: &Measures,
    ) -> Option<Reply> {
        let begun = Instant::now();
        for (at, seconds) in WAITS.into_iter().enumerate() {
            for _ in 0..=u8::from(twice) {
                // What cannot be sent is lost, as on any wire.
                let _ = self.socket.send_to(asked, (Ipv4Addr::BROADCAST, SERVER_PORT)).await;
            }
            measures.again(kind, at > 0);
            let answer = async {
                loop {
                    match heard.recv().await {
                        Some(reply) if reply.kind == wanted => return Some(reply),
                        // 6: a NAK. The client has to begin anew.
                        Some(reply) if reply.kind == 6 => return None,
                        Some(_) => {}
                        None => return None,
                    }
                }
            };
            if let Ok(answer) = timeout(Duration::from_secs(seconds), answer).await {
                measures.took(kind, begun.elapsed());
                return answer;
            }
        }
        measures.starved(kind);
        None
    }

    async fn listen(self: Arc<Self>) {
        let mut buffer = [0; 2048];
        loop {
            let Ok(length) = self.socket.recv(&mut buffer).await else { continue };
            let Some((xid, reply)) = read(&buffer[..length]) else { continue };
            if let Some(client) = self.lock().get(&xid) {
                // A client that has what it wants listens no more.
                let _ = client.send(reply);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, mpsc::UnboundedSender<Reply>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A DISCOVER, or a REQUEST that takes an offer (RFC 2131 table 5), as each kind of program fills it in.
fn message(card: &Card, program: Program, xid: u32, takes: Option<(Ipv4Addr, Ipv4Addr)>) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&xid.to_be_bytes());
    // The broadcast flag, as firmware sets it.
    bytes[10] = 0x80;
    bytes[28..34].copy_from_slice(&card.mac);
    bytes.extend(COOKIE);
    let mut put = |code: u8, data: &[u8]| {
        bytes.extend([code, u8::try_from(data.len()).unwrap_or(u8::MAX)]);
        bytes.extend(data);
    };
    put(53, &[if takes.is_some() { 3 } else { 1 }]);
    put(57, &1472_u16.to_be_bytes());
    if let Some((address, server)) = takes {
        put(50, &address.octets());
        put(54, &server.octets());
    }
    match program {
        Program::System => put(60, b"d-i"),
        Program::Firmware | Program::Loader => {
            put(60, b"PXEClient:Arch:00000:UNDI:002001");
            put(93, &[0, 0]);
            put(94, &[1, 2, 1]);
            put(97, &[&[0][..], &card.uuid].concat());
        }
    }
    if program == Program::Loader {
        put(77, b"iPXE");
        // Features: HTTP, TFTP, and a version.
        put(175, &[19, 1, 1, 21, 1, 1, 235, 3, 1, 21, 1]);
    }
    put(55, &[1, 3, 6, 7, 12, 15, 17, 43, 60, 66, 67, 119, 128, 175, 203]);
    bytes.push(255);
    bytes.resize(bytes.len().max(300), 0);
    bytes
}

fn read(bytes: &[u8]) -> Option<(u32, Reply)> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
    if bytes.first() != Some(&2) || bytes.get(236..240) != Some(&COOKIE) {
        return None;
    }
    let xid = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let (mut kind, mut server, mut file) = (0, Ipv4Addr::UNSPECIFIED, text(bytes.get(108..236)?));
    let mut rest = bytes.get(240..)?;
    while let Some((&code, tail)) = rest.split_first().filter(|(code, _)| **code != 255) {
        if code == 0 {
            rest = tail;
            continue;
        }
        let (&length, tail) = tail.split_first()?;
        let (data, tail) = tail.split_at_checked(length.into())?;
        match (code, data) {
            (53, [told]) => kind = *told,
            (54, [a, b, c, d]) => server = Ipv4Addr::new(*a, *b, *c, *d),
            (67, name) => file = text(name),
            _ => {}
        }
        rest = tail;
    }
    Some((xid, Reply { kind, server, lease: Lease { address: address(16)?, next_server: address(20)?, file } }))
}
