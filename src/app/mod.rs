//! The use cases, one verb a file. The command line, the web server and the protocol servers all call these.

mod change_attempt;
pub mod doctor;
mod error;
pub mod export_dhcp;
pub mod find_loader;
#[cfg(test)]
mod fixture;
pub mod head_keys;
pub mod init_head;
pub mod place;

pub use change_attempt::{change_attempt, update_attempt};
pub use error::{Error, Result};
