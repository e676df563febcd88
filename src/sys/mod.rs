//! The outside world: files, locks, the object store, HTTP fetches.

pub mod atomic;
pub mod beside;
pub mod child;
pub mod condition;
pub mod data_dir;
pub mod fetch;
pub mod hashed;
pub mod in_order;
pub mod interface;
pub mod join;
pub mod lock;
pub mod objects;
pub mod port;
pub mod power;
pub mod private_file;
pub mod run;
pub mod sha256;
pub mod ssh_keygen;
pub mod webhook;
