//! The outside world: files, locks, the object store, HTTP fetches.

pub mod condition;
pub mod data_dir;
pub mod interface;
pub mod port;
pub mod private_file;
