//! A storm: many simulated nodes that boot at once, and the ground they do it on.
//!
//! A [`Machine`](machine::Machine) knows what a node's firmware, loader, installer and installed system know, and nothing of how the head decides: it
//! speaks DHCP, TFTP, HTTP and syslog over real sockets, from the address that it was lent. One set of machines serves `kickctl bench storm` and the
//! tests; what can go wrong with a machine is in [`fault`].

pub mod bench;
pub mod dhcp;
pub mod fault;
pub mod fleet;
pub mod ground;
pub mod head;
pub mod http;
mod install;
pub mod machine;
pub mod measure;
pub mod tftp;
