//! One transfer: send a window, wait for its acknowledgement, send again what got lost.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::packet::{self, Packet, Terms};
use super::{Content, Outcome};

/// First wait for an acknowledgement; it doubles with each repetition up to [`LONGEST_WAIT`], unless the client chose its own.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// Repetitions without any progress until the client counts as lost.
const ATTEMPTS: u32 = 6;
/// Files are read in pieces of this size at least.
const READ_AHEAD: usize = 64 << 10;

/// A transfer under way. The socket is connected: what comes from elsewhere is dropped, and a closed port at the client shows as an error.
pub struct Transfer {
    socket: UdpSocket,
    source: Source,
    terms: Terms,
    length: u64,
    /// Blocks acknowledged. The number on the wire is this one modulo 65,536: it rolls over to 0 (32 MiB in blocks of 512 bytes).
    done: u64,
    /// Set at the first acknowledgement.
    begun: Arc<AtomicBool>,
}

/// What came back.
enum Heard {
    /// This many more blocks.
    Progress(u64),
    /// The block before the window again: its beginning was lost.
    Gap,
    Silence,
    End(Outcome),
}

impl Transfer {
    pub fn new(socket: UdpSocket, content: Content, terms: Terms, begun: Arc<AtomicBool>) -> Self {
        Self { socket, length: content.length(), source: Source::new(content), terms, done: 0, begun }
    }

    /// Bytes that the client has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.done.saturating_mul(self.terms.block as u64).min(self.length)
    }

    /// Runs to its end.
    pub async fn run(&mut self) -> Outcome {
        match self.send_all().await {
            Ok(outcome) => outcome,
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => Outcome::Lost,
            Err(cause) => {
                let _ = self.socket.send(&packet::error(packet::code::OTHER, "the server cannot read this file")).await;
                Outcome::Failed(cause.to_string())
            }
        }
    }

    async fn send_all(&mut self) -> io::Result<Outcome> {
        if let Some(offer) = self.terms.acknowledgement()
            && let Some(end) = self.offer(&offer).await?
        {
            return Ok(end);
        }
        // A length that is a multiple of the block size ends with an empty block.
        let blocks = self.length / self.terms.block as u64 + 1;
        let mut silent = 0;
        while self.done < blocks {
            let window = u64::from(self.terms.window).min(blocks - self.done);
            self.send_window(window).await?;
            match self.listen(window, silent).await? {
                Heard::Progress(count) => {
                    self.done += count;
                    silent = 0;
                }
                Heard::Gap | Heard::Silence if silent + 1 < ATTEMPTS => silent += 1,
                Heard::Gap | Heard::Silence => return Ok(Outcome::Lost),
                Heard::End(outcome) => return Ok(outcome),
            }
        }
        Ok(Outcome::Complete)
    }

    /// Sends the OACK until block 0 is acknowledged.
    async fn offer(&mut self, offer: &[u8]) -> io::Result<Option<Outcome>> {
        for silent in 0..ATTEMPTS {
            self.socket.send(offer).await?;
            match self.listen(0, silent).await? {
                Heard::End(outcome) => return Ok(Some(outcome)),
                Heard::Silence => {}
                Heard::Gap | Heard::Progress(_) => return Ok(None),
            }
        }
        Ok(Some(Outcome::Lost))
    }

    async fn send_window(&mut self, window: u64) -> io::Result<()> {
        let block = self.terms.block as u64;
        let start = self.done * block;
        let end = (start + window * block).min(self.length);
        self.source.load(start, end, self.length).await?;
        let mut bytes = Vec::with_capacity(self.terms.block + 4);
        for number in self.done..self.done + window {
            let from = number * block;
            let content = self.source.slice(from, (from + block).min(self.length));
            packet::data(&mut bytes, wire_number(number + 1), content);
            self.socket.send(&bytes).await?;
        }
        Ok(())
    }

    /// Waits for the acknowledgement of up to `window` blocks. A repeated acknowledgement of what came before means a gap if the window is larger
    /// than one block (RFC 7440 section 4); with single blocks answering it would double every packet from then on (RFC 1123 section 4.2.3.1).
    async fn listen(&self, window: u64, silent: u32) -> io::Result<Heard> {
        let wait = self.terms.timeout.unwrap_or_else(|| LONGEST_WAIT.min(FIRST_WAIT * 2_u32.pow(silent.min(8))));
        let until = Instant::now() + wait;
        let mut buffer = [0; 1024];
        loop {
            let Ok(length) = timeout_at(until, self.socket.recv(&mut buffer)).await else { return Ok(Heard::Silence) };
            match packet::parse(&buffer[..length?]) {
                Ok(Packet::Ack(number)) => {
                    self.begun.store(true, Ordering::Relaxed);
                    match u64::from(number.wrapping_sub(wire_number(self.done))) {
                        0 if window == 0 || (self.terms.window > 1 && silent == 0) => return Ok(Heard::Gap),
                        count if (1..=window).contains(&count) => return Ok(Heard::Progress(count)),
                        _ => {}
                    }
                }
                Ok(Packet::Error { code, message }) => return Ok(Heard::End(Outcome::Stopped { code, message })),
                Ok(Packet::Read(_) | Packet::Write) | Err(_) => {}
            }
        }
    }
}

/// The low 16 bits of a block's number.
fn wire_number(block: u64) -> u16 {
    (block & 0xffff) as u16
}

/// The content, with the piece of it that is being sent in memory.
enum Source {
    Memory(Arc<[u8]>),
    File { file: Arc<std::fs::File>, piece: Vec<u8>, start: u64 },
}

impl Source {
    fn new(content: Content) -> Self {
        match content {
            Content::Memory(bytes) => Self::Memory(bytes),
            Content::File { file, .. } => Self::File { file: Arc::new(file), piece: Vec::new(), start: 0 },
        }
    }

    /// Makes sure that `from..to` can be had by [`Source::slice`].
    async fn load(&mut self, from: u64, to: u64, length: u64) -> io::Result<()> {
        let Self::File { file, piece, start } = self else { return Ok(()) };
        if from >= *start && to <= *start + piece.len() as u64 {
            return Ok(());
        }
        let end = to.max(from + READ_AHEAD as u64).min(length);
        let mut fresh = std::mem::take(piece);
        fresh.resize(usize::try_from(end - from).map_err(io::Error::other)?, 0);
        let file = Arc::clone(file);
        let read = move || file.read_exact_at(&mut fresh, from).map(|()| fresh);
        *piece = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        *start = from;
        Ok(())
    }

    fn slice(&self, from: u64, to: u64) -> &[u8] {
        let (bytes, start) = match self {
            Self::Memory(bytes) => (&bytes[..], 0),
            Self::File { piece, start, .. } => (piece.as_slice(), *start),
        };
        let index = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
        bytes.get(index(from)..index(to)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const OPTIONS: [(&str, &str); 3] = [("blksize", "512"), ("windowsize", "8"), ("timeout", "1")];

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 512) as u8 ^ at as u8).collect()
    }

    /// A transfer of `bytes` that runs by itself, and the client's end of it.
    async fn start(bytes: &[u8], options: &[(&str, &str)]) -> (tokio::task::JoinHandle<(Outcome, u64)>, UdpSocket) {
        let (server, client) =
            (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        server.connect(client.local_addr().unwrap()).await.unwrap();
        client.connect(server.local_addr().unwrap()).await.unwrap();
        let options: Vec<_> = options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let terms = Terms::agree(&options, bytes.len() as u64);
        let mut transfer = Transfer::new(server, Content::Memory(bytes.into()), terms, Arc::default());
        (tokio::spawn(async move { (transfer.run().await, transfer.acknowledged()) }), client)
    }

    async fn receive(client: &UdpSocket) -> (u16, u16, Vec<u8>) {
        let mut buffer = [0; 2048];
        let length = client.recv(&mut buffer).await.unwrap();
        let word = |at: usize| u16::from_be_bytes([buffer[at], buffer[at + 1]]);
        (word(0), word(2), buffer[4..length].to_vec())
    }

    async fn acknowledge(client: &UdpSocket, block: u16) {
        client.send(&[&[0, 4], &block.to_be_bytes()[..]].concat()).await.unwrap();
    }

    #[tokio::test]
    async fn an_error_in_answer_to_the_size_ends_the_transfer_at_once() {
        let (transfer, client) = start(&pattern(5000), &[("tsize", "0")]).await;
        assert_eq!(receive(&client).await.0, 6, "an OACK");
        client.send(&packet::error(8, "just asking")).await.unwrap();
        let stopped = Outcome::Stopped { code: 8, message: "just asking".into() };
        assert_eq!(transfer.await.unwrap(), (stopped, 0));
        let mut buffer = [0; 16];
        assert!(client.try_recv(&mut buffer).is_err(), "nothing was sent after it");
    }

    #[tokio::test]
    async fn a_client_that_loses_every_fifth_packet_still_gets_every_byte() {
        let bytes = pattern(100 * 512 + 7);
        let (transfer, client) = start(&bytes, &OPTIONS).await;
        let (mut got, mut heard, mut in_window) = (Vec::<u8>::new(), 0_u32, 0);
        assert_eq!(receive(&client).await.0, 6, "an OACK");
        acknowledge(&client, 0).await;
        while got.len() < bytes.len() {
            let next = (got.len() / 512 + 1) as u16;
            let (_, block, data) = receive(&client).await;
            heard += 1;
            if heard % 5 == 0 {
                continue;
            }
            in_window += 1;
            if block == next {
                got.extend(&data);
            }
            let last = block == next && data.len() < 512;
            if block != next || in_window == 8 || last {
                in_window = 0;
                acknowledge(&client, (got.len().div_ceil(512)) as u16).await;
            }
        }
        assert!(got == bytes);
        assert_eq!(transfer.await.unwrap(), (Outcome::Complete, bytes.len() as u64));
    }

    #[tokio::test]
    async fn a_repeated_acknowledgement_of_single_blocks_doubles_nothing() {
        let (transfer, client) = start(&pattern(1024), &[]).await;
        assert_eq!(receive(&client).await.1, 1);
        acknowledge(&client, 1).await;
        acknowledge(&client, 1).await;
        assert_eq!(receive(&client).await.1, 2);
        acknowledge(&client, 2).await;
        assert_eq!(receive(&client).await, (3, 3, vec![]), "an even length ends with an empty block");
        acknowledge(&client, 3).await;
        assert_eq!(transfer.await.unwrap(), (Outcome::Complete, 1024));
    }

    #[tokio::test]
    async fn a_client_whose_port_is_closed_is_lost() {
        let (transfer, client) = start(&pattern(5000), &[("timeout", "1")]).await;
        drop(client);
        assert_eq!(transfer.await.unwrap(), (Outcome::Lost, 0));
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_reported_to_the_client() {
        let (server, client) =
            (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        server.connect(client.local_addr().unwrap()).await.unwrap();
        let content = Content::File { file: tempfile::tempfile().unwrap(), length: 5000 };
        let mut transfer = Transfer::new(server, content, Terms::agree(&[], 5000), Arc::default());
        assert!(matches!(transfer.run().await, Outcome::Failed(_)));
        assert_eq!(receive(&client).await.0, 5, "an ERROR");
    }
}
