//! The outside world: files, locks, the object store, HTTP fetches.

pub mod data_dir;
