//! A DHCPv4 server (RFC 2131) that asks a [`Handler`] what to answer, and a [`Probe`] for other servers on the segment.
//!
//! Of a reply the handler decides the content ([`Reply`]); the codec decides the shape: OFFER or ACK by what was asked, option order, echoes of
//! what the client sent, and the extras that network-boot firmware wants.
//!
//! Not supported: hardware other than Ethernet, options overloaded into `sname` and `file` by a client (RFC 2131 section 4.1; no boot firmware does it).

pub mod option;
mod probe;
mod reply;
mod request;
mod server;

pub use probe::Probe;
pub use reply::{Boot, Reply};
pub use request::{Malformed, Request, RequestKind};
pub use server::{Config, Counters, Server, serve};

/// Decides what a client is told.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// Answers one message. Called concurrently, for several clients and for repeats of one client; an answer that takes longer than ten seconds
    /// is dropped. Of RELEASE and DECLINE the handler is only told: whatever it answers, nothing is sent.
    async fn answer(&self, request: &Request) -> Answer;
}

/// What to send back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Silence,
    /// An OFFER to a DISCOVER, an ACK to a REQUEST; to an INFORM an ACK without address and lease.
    Reply(Box<Reply>),
    /// A NAK with this text, to a REQUEST only (anything else gets silence): the client starts over.
    Nak(String),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }
}
