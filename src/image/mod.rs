//! Images: roots of diskless nodes, built from a mirror's snapshot, versioned, published.
//!
//! ```text
//! lay       the files to lay over the root, as one archive       (files)
//! room      where programs work: namespaces of their own         (processes)
//! source    the seam between families: a root from a snapshot    (pure)
//! debian    ... by mmdebstrap                                    (processes)
//! dnf       ... by dnf --installroot                             (processes)
//! steps     users, services, commands as scripts                 (pure)
//! guest     what every image gets to boot over the network       (files of ours)
//! version   finish: initial RAM disk, squashfs, record, name     (processes, files)
//! publish   switch `current`                                     (files)
//! ```
//! [`build`] strings them together; [`change`] does so for work by hand.

pub mod build;
pub mod change;
pub mod compare;
mod debian;
pub mod dnf;
mod error;
#[cfg(test)]
mod fixture;
pub mod guest;
mod installed;
mod lay;
pub mod layout;
mod log;
pub mod manifest;
mod progress;
pub mod prune;
pub mod publish;
mod room;
pub mod shipped;
pub mod source;
mod squash;
mod steps;
pub mod verify;
mod version;

pub use debian::Suites;
pub use error::{Error, Result};
pub use progress::{Progress, Silent};
