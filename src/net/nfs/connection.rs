//! One connection and its thread: messages in, replies out, one after the other.

use std::io::{self, Read as _, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

use socket2::SockRef;

use super::calls::TRANSFER;
use super::content::Tail;
use super::lookout::{Lookout, Waiter};
use super::record::Records;
use super::session::Session;

/// A WRITE with everything around its data.
const RECORD: usize = TRANSFER + (4 << 10);
/// What a client without a reserved port may say: no more than a question for a port.
const SMALL_RECORD: usize = 4 << 10;
/// Replies are gathered up to here while further calls have already arrived.
const GATHERED: usize = 64 << 10;

/// Serves until the client closes the connection, or the server shuts it down.
///
/// # Errors
/// The network's, and a record that is too long.
pub(super) fn serve(stream: &TcpStream, mut session: Session, lookout: &Lookout) -> io::Result<()> {
    let mut records = Records::new(if session.is_trusted() { RECORD } else { SMALL_RECORD });
    let mut out = Vec::with_capacity(GATHERED / 2);
    let mut waiter = Waiter::default();
    loop {
        while let Some(record) = records.next().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the record is too long"))? {
            let tail = reply(&mut session, records.bytes(record), &mut out);
            if tail.is_some() || out.len() > GATHERED {
                send(stream, &mut out, tail)?;
            }
        }
        if !out.is_empty() {
            send(stream, &mut out, None)?;
        }
        match waiter.read(lookout, stream, records.space()) {
            Ok(0) => return Ok(()),
            Ok(length) => records.received(length),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// Appends one reply as a record.
fn reply(session: &mut Session, message: &[u8], out: &mut Vec<u8>) -> Option<Tail> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let tail = session.answer(message, out);
    let behind = tail.as_ref().map_or(0, |tail| tail.length + tail.padding);
    let length = out.len() - start - 4 + behind;
    if length == 0 {
        out.truncate(start);
    } else {
        // Replies are a megabyte at most: the length leaves the upper bit free, which says that this fragment is the last.
        out[start..start + 4].copy_from_slice(&(length as u32 | 1 << 31).to_be_bytes());
    }
    tail
}

fn send(mut stream: &TcpStream, out: &mut Vec<u8>, tail: Option<Tail>) -> io::Result<()> {
    match tail {
        None => stream.write_all(out)?,
        Some(tail) => {
            send_with_more(stream, out)?;
            send_file(stream, &tail)?;
        }
    }
    out.clear();
    out.shrink_to(GATHERED);
    Ok(())
}

/// Sends, and tells the kernel to wait for what follows before it fills a packet.
fn send_with_more(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let socket = SockRef::from(stream);
    while !bytes.is_empty() {
        match socket.send_with_flags(bytes, libc::MSG_MORE | libc::MSG_NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

fn send_file(mut stream: &TcpStream, tail: &Tail) -> io::Result<()> {
    let (mut offset, mut left) = (tail.offset, tail.length);
    let file = tail.file().ok_or(io::ErrorKind::NotFound)?;
    while left > 0 {
        match rustix::fs::sendfile(stream.as_fd(), file, Some(&mut offset), left) {
            Ok(0) => break,
            Ok(sent) => left -= sent,
            Err(rustix::io::Errno::INTR) => {}
            // The length has been announced: only closing the connection says that the data do not come.
            Err(cause) => return Err(cause.into()),
        }
    }
    io::copy(&mut io::repeat(0).take((left + tail.padding) as u64), &mut stream)?;
    Ok(())
}
