//! Protocol servers that take a handler and know no product: each a pure codec and a socket loop.
//!
//! Each server is bound (`bind`, which needs privileges for its port) apart from being run (`run`, which does not), so that a daemon can bind
//! everything, drop its privileges and then serve. Every loop ends when its `CancellationToken` is cancelled.

pub mod dhcp;
pub mod nfs;
mod silence;
pub mod syslog;
pub mod tftp;
