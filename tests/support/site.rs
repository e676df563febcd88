//! A folder served over HTTP by a server that can be told to misbehave.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server misbehaves on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 404.
    Missing,
    /// One byte is another.
    Flip,
    /// The connection is cut in the middle, this many times.
    Cut(u32),
    /// 503, this many times.
    Busy(u32),
    /// Every answer waits.
    Slow(Duration),
    /// Every answer waits for [`Site::release`] or [`Site::heal`], and then for what is there by then.
    Held,
    /// Promises and sends more than there is.
    Longer,
}

/// A served folder. The server ends with the test's process.
pub struct Site {
    /// Its address on loopback, without a trailing slash.
    pub url: String,
    faults: Arc<Mutex<HashMap<String, Fault>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Serves a folder.
    pub fn of(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}/debian", listener.local_addr().unwrap().port());
        let (faults, log) = (Arc::<Mutex<HashMap<_, _>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let server = Server { root: root.to_owned(), faults: Arc::clone(&faults), log: Arc::clone(&log) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.talk(&stream));
            }
        });
        Self { url, faults, log }
    }

    /// Misbehaves on a path below the folder from now on.
    pub fn fail(&self, path: &str, fault: Fault) {
        self.faults.lock().unwrap().insert(path.to_owned(), fault);
    }

    /// Behaves again on one path.
    pub fn release(&self, path: &str) {
        self.faults.lock().unwrap().remove(path);
    }

    /// Behaves again.
    pub fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// What was asked since the last call: `GET path` or `GET path bytes=1-`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

#[derive(Clone)]
struct Server {
    root: PathBuf,
    faults: Arc<Mutex<HashMap<String, Fault>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn talk(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut request, mut range) = (String::new(), None);
            if reader.read_line(&mut request).unwrap_or(0) == 0 {
                return;
            }
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                    range = value.trim().trim_end_matches('-').parse::<usize>().ok();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut words = request.split(' ');
            let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
            if self.answer(stream, &method, &path, range).is_none() {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }

    /// `None`: the connection is to be closed.
    fn answer(&self, mut stream: &TcpStream, method: &str, path: &str, range: Option<usize>) -> Option<()> {
        let path = path.strip_prefix("/debian/")?.replace("%2B", "+").replace("%7E", "~");
        let asked = range.map_or(String::new(), |from| format!(" bytes={from}-"));
        self.log.lock().ok()?.push(format!("{method} {path}{asked}"));
        let fault = self.fault(&path);
        match fault {
            Some(Fault::Slow(time)) => std::thread::sleep(time),
            Some(Fault::Held) => {
                while self.fault(&path) == Some(Fault::Held) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            Some(Fault::Busy(_)) => return stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").ok(),
            _ => {}
        }
        let file = self.root.join(&path);
        let bytes = if fault == Some(Fault::Missing) || !file.is_file() { None } else { fs::read(file).ok() };
        let Some(mut bytes) = bytes else {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok();
        };
        match fault {
            Some(Fault::Flip) => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            Some(Fault::Longer) => bytes.extend(b"more"),
            _ => {}
        }
        let from = range.filter(|from| *from < bytes.len());
        let head = match from {
            Some(from) => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
            None => "200 OK".to_owned(),
        };
        let body = &bytes[from.unwrap_or(0)..];
        stream.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes()).ok()?;
        if method == "HEAD" {
            return Some(());
        }
        if matches!(fault, Some(Fault::Cut(_))) {
            let _ = stream.write_all(&body[..body.len() / 2]);
            return None;
        }
        stream.write_all(body).ok()
    }

    fn fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().ok()?;
        let fault = *faults.get(path)?;
        match fault {
            Fault::Cut(1) | Fault::Busy(1) => faults.remove(path),
            Fault::Cut(left) => faults.insert(path.to_owned(), Fault::Cut(left - 1)),
            Fault::Busy(left) => faults.insert(path.to_owned(), Fault::Busy(left - 1)),
            _ => None,
        };
        Some(fault)
    }
}
