//! HTTP as loaders, installers and first-boot scripts speak it: one connection for each request, from the node's own address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::measure::{Kind, Measures};

/// What wget and iPXE wait for an answer.
const WAIT: Duration = Duration::from_secs(30);
/// More is no answer to anything that a node asks.
const MOST: usize = 64 << 20;
const HEAD: usize = 16 << 10;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What it is measured as.
    pub kind: Kind,
    /// `http://HOST:PORT/PATH`.
    pub url: &'a str,
    /// The report token, if one is sent.
    pub token: Option<&'a str>,
    /// What is posted; `None` is a GET.
    pub body: Option<&'a [u8]>,
    /// The request is sent, and the connection cut before an answer can come.
    pub deaf: bool,
}

/// Sends a request from an address and waits for the whole answer; `None` if it was cut, as the request has it.
///
/// # Errors
/// If no whole answer comes in time.
pub async fn send(from: Ipv4Addr, ask: Ask<'_>, measures: &Measures) -> io::Result<Option<Answer>> {
    let wrong = |why: String| io::Error::other(format!("{}: {why}", ask.url));
    match timeout(WAIT, talk(from, ask, measures)).await {
        Ok(done) => done.map_err(|error| wrong(error.to_string())),
        Err(_) => {
            measures.starved(ask.kind);
            Err(wrong(format!("no answer within {} s", WAIT.as_secs())))
        }
    }
}

async fn talk(from: Ipv4Addr, ask: Ask<'_>, measures: &Measures) -> io::Result<Option<Answer>> {
    let (place, path) = split(ask.url).ok_or_else(|| io::Error::other("is no address of a head"))?;
    let begun = Instant::now();
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let mut stream = socket.connect(place.into()).await?;
    let mut request =
        format!("{} {path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n", if ask.body.is_some() { "POST" } else { "GET" });
    if let Some(token) = ask.token {
        request += &format!("Authorization: Bearer {token}\r\n");
    }
    if let Some(body) = ask.body {
        request += &format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    let request = [request.as_bytes(), ask.body.unwrap_or_default()].concat();
    stream.write_all(&request).await?;
    if ask.deaf {
        // The head reads it and answers into the void.
        stream.shutdown().await?;
        return Ok(None);
    }
    let (status, length, mut body) = head(&mut stream).await?;
    measures.took(ask.kind, begun.elapsed());
    match length {
        Some(length) if length > MOST => return Err(io::Error::other(format!("{length} bytes are promised"))),
        Some(length) => {
            let already = body.len().min(length);
            body.resize(length, 0);
            stream.read_exact(&mut body[already..]).await?;
        }
        None => {
            (&mut stream).take(MOST as u64).read_to_end(&mut body).await?;
        }
    }
    measures.bytes(ask.kind, body.len());
    measures.status(ask.kind, status);
    Ok(Some(Answer { status, body }))
}

/// The status, the length that is promised, and what has come of the body with the head.
async fn head(stream: &mut TcpStream) -> io::Result<(u16, Option<usize>, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(4096);
    let end = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD {
            return Err(io::Error::other("is no HTTP"));
        }
    };
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other("is no HTTP"))?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok((status, length, bytes.split_off(end + 4)))
}

/// Host and port, and the path with its query.
fn split(url: &str) -> Option<(SocketAddrV4, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (place, path) = rest.split_at(rest.find('/')?);
    let place = place.parse().ok().or_else(|| Some(SocketAddrV4::new(place.parse().ok()?, 80)))?;
    Some((place, path))
}
