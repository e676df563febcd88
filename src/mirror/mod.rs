//! A mirror's sync: what is fetched, how a snapshot is assembled from it, and how it is published.
//!
//! ```text
//! root      fetch and verify a suite's InRelease           (network)
//! indices   fetch the package indices, read them           (network)
//! local     read the site's own package directories        (files)
//! plan      choose packages, say which files that takes    (pure)
//! installer find kernel and initrd, close the udebs        (network, then pure)
//! fetch     fetch what the object store lacks              (network)
//! assemble  a tree of hard links, root metadata last       (files)
//! publish   switch `current`                               (files)
//! ```
//! [`sync`] strings them together; `app::sync_mirror` is the use case around it.

pub mod assemble;
mod error;
pub mod fetch;
pub mod host_sources;
pub mod indices;
pub mod installer;
pub mod keys;
pub mod layout;
pub mod local;
pub mod plan;
mod progress;
pub mod prune;
pub mod publish;
pub mod root;
pub mod shipped;
pub mod sync;
pub mod verify;
pub mod whole;

pub use error::{Error, Result};
pub use progress::{Event, Progress, Silent};
