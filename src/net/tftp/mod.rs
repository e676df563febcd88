//! A read-only TFTP server (RFC 1350) with options (RFC 2347): `blksize` (2348), `tsize` and `timeout` (2349), `windowsize` (7440).
//!
//! A [`Handler`] says what a name stands for and is told how each transfer ended. Every transfer is a task with a socket of its own on the server's
//! address. Files are sent byte for byte whatever the mode: `netascii` is served as `octet`, since no boot loader is text and clients that name it
//! out of habit expect what is on the disk. Requests to write are refused (error 2).

mod packet;
mod server;
mod transfer;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use server::{Config, Server, serve};

/// Decides what is served.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// What `name` stands for when `peer` asks. The name is as the client sent it: at most 255 bytes without NUL, neither cleaned nor resolved, so
    /// `../` may be in it.
    async fn open(&self, peer: SocketAddr, name: &str) -> Result<Content, Refused>;

    /// A transfer has ended, one way or another. Not called for what [`Handler::open`] refused.
    async fn finished(&self, transfer: Finished) {
        let _ = transfer;
    }
}

/// What is sent.
#[derive(Debug)]
pub enum Content {
    /// Bytes in memory, shared by all who fetch them.
    Memory(Arc<[u8]>),
    /// The first `length` bytes of a file. It may be replaced meanwhile (by renaming another over it), not shortened.
    File {
        /// Open for reading.
        file: File,
        /// Its length in bytes.
        length: u64,
    },
}

impl Content {
    /// Bytes to be sent.
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// Why nothing is sent. The text is shown on the client's screen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Error 1.
    #[error("file not found")]
    NotFound,
    /// Error 2, with the reason.
    #[error("{0}")]
    Denied(String),
    /// Error 0: something went wrong here.
    #[error("{0}")]
    Failed(String),
}

/// How a transfer went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The client.
    pub peer: SocketAddr,
    /// What it asked for.
    pub name: String,
    /// Length of the content in bytes.
    pub length: u64,
    /// Bytes that the client acknowledged.
    pub acknowledged: u64,
    /// From the request to the end.
    pub took: Duration,
    /// Its end.
    pub outcome: Outcome,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client has all of it.
    Complete,
    /// The client sent an error: also the regular end of a probe for the size, with `acknowledged` 0.
    Stopped {
        /// TFTP error code.
        code: u16,
        /// The client's text.
        message: String,
    },
    /// The client's port is closed (it was switched off, or its program ended), or it fell silent.
    Lost,
    /// The same client asked anew from the same port.
    Replaced,
    /// The content could not be read, or the network failed.
    Failed(String),
}
