//! A syslog receiver over UDP and TCP: RFC 3164 as leniently as programs write it, RFC 5424 without structured data, TCP framing by RFC 6587.

mod frame;
mod line;
mod server;

use std::net::IpAddr;

pub use line::{Line, MAX_LINE, parse};
pub use server::{Config, Server, serve};

/// Takes the lines.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// One line from `peer`. Lines of one TCP connection arrive in order; all of UDP is one queue in order, which a slow handler holds up.
    async fn line(&self, peer: IpAddr, line: Line);
}
