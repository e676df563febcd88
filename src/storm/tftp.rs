//! TFTP as a network card's ROM speaks it: one block after the other (RFC 1350), with `blksize` and `tsize` (RFC 2348, 2349).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::measure::{Kind, Measures};

const BLOCK: usize = 1456;
const WAIT: Duration = Duration::from_secs(2);
const TRIES: u32 = 8;
/// More is no loader.
const MOST: usize = 64 << 20;

/// What befalls a transfer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// The link is lost after this many blocks.
    pub blocks: Option<u16>,
    /// Each datagram reaches the server twice.
    pub twice: bool,
}

/// Fetches a file; `None` if the link was lost, as `manner` has it.
///
/// # Errors
/// If the server refuses or falls silent.
pub async fn fetch(from: Ipv4Addr, server: Ipv4Addr, name: &str, manner: Manner, measures: &Measures) -> io::Result<Option<Vec<u8>>> {
    let socket = UdpSocket::bind((from, 0)).await?;
    let begun = Instant::now();
    let mut asked = b"\0\x01".to_vec();
    for word in [name, "octet", "tsize", "0", "blksize", &BLOCK.to_string()] {
        asked.extend(word.as_bytes());
        asked.push(0);
    }
    let (mut content, mut block, mut size) = (Vec::new(), 0_u16, BLOCK);
    let mut to = SocketAddr::from((server, 69));
    let (mut buffer, mut silent) = ([0; 4 + BLOCK], 0);
    loop {
        for _ in 0..=u8::from(manner.twice) {
            socket.send_to(&asked, to).await?;
        }
        let Ok(received) = timeout(WAIT, next(&socket, &mut buffer, block)).await else {
            silent += 1;
            measures.again(Kind::Loader, true);
            if silent == TRIES {
                measures.starved(Kind::Loader);
                return Err(io::Error::other(format!("{name}: no answer by TFTP")));
            }
            continue;
        };
        let (length, peer, what) = received?;
        if content.is_empty() && block == 0 && silent == 0 {
            measures.took(Kind::Loader, begun.elapsed());
        }
        (to, silent) = (peer, 0);
        match what {
            Received::Options => asked = vec![0, 4, 0, 0],
            Received::Error => return Err(io::Error::other(format!("{name}: {}", String::from_utf8_lossy(&buffer[4..length])))),
            Received::Data => {
                // Without an OACK the server does not know of larger blocks.
                size = if block == 0 && asked.first_chunk() == Some(&[0, 1]) { 512 } else { size };
                content.extend_from_slice(&buffer[4..length]);
                if content.len() > MOST {
                    return Err(io::Error::other(format!("{name}: more than {MOST} bytes came by TFTP")));
                }
                block = block.wrapping_add(1);
                asked = [[0, 4], block.to_be_bytes()].concat();
                if manner.blocks.is_some_and(|most| block >= most) {
                    return Ok(None);
                }
                if length - 4 < size {
                    socket.send_to(&asked, to).await?;
                    measures.bytes(Kind::Loader, content.len());
                    return Ok(Some(content));
                }
            }
        }
    }
}

enum Received {
    Options,
    Data,
    Error,
}

/// The next datagram that is not a repetition.
async fn next(socket: &UdpSocket, buffer: &mut [u8], block: u16) -> io::Result<(usize, SocketAddr, Received)> {
    loop {
        let (length, peer) = socket.recv_from(buffer).await?;
        let number = buffer.get(2..4).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes);
        match (buffer.first_chunk(), number) {
            (Some([0, 6]), _) if block == 0 => return Ok((length, peer, Received::Options)),
            (Some([0, 3]), Some(number)) if length >= 4 && number == block.wrapping_add(1) => return Ok((length, peer, Received::Data)),
            (Some([0, 5]), _) if length >= 4 => return Ok((length, peer, Received::Error)),
            _ => {}
        }
    }
}
