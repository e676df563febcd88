//! A mirror's sync: what is fetched, how a snapshot is assembled from it, and how it is published.
//!
//! ```text
//! sync      asks upstream, has a format gather what that leads to, writes the snapshot
//! format    the seam: what a repository format does for a sync
//! deb       Debian archives
//! rpm       RPM repositories
//! directory a plain directory of packages
//! medium    an installation medium that runs from itself
//! contents  the packages of a snapshot; advisories: what was fixed
//! fetch     fetches what the object store lacks            (network)
//! assemble  a tree of hard links, root metadata last       (files)
//! carry     to and from heads without a network          (files)
//! publish   switches `current`                             (files)
//! ```
//! `app::sync_mirror` is the use case around [`sync`].

pub mod advisories;
pub mod assemble;
pub mod carry;
pub mod contents;
pub mod deb;
pub mod directory;
mod error;
pub mod fetch;
mod format;
pub mod keys;
pub mod layout;
pub mod medium;
mod progress;
pub mod prune;
pub mod publish;
mod record;
pub mod rpm;
pub mod shipped;
pub mod sync;
pub mod verify;

pub use error::{Error, Result};
pub use progress::{Event, Progress, Silent};
