//! The outside world: files, locks, the object store, HTTP fetches.

<<<<<<< Updated upstream
pub mod condition;
pub mod data_dir;
pub mod interface;
pub mod port;
=======
pub mod atomic;
pub mod data_dir;
pub mod fetch;
pub mod join;
pub mod lock;
pub mod objects;
>>>>>>> Stashed changes
