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
