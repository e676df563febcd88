//! Debian archives: Release files, package indices, versions, dependencies, `.deb` files and the installer's initrd.
//!
//! The flow of a sync: [`release`] names the indices, [`universe::Universe`] takes their stanzas in, [`closure::select`] and
//! [`installer::installer_closure`] choose, [`index`] writes the index of what was chosen.

pub mod changelog;
pub mod closure;
pub mod control;
mod early_control;
pub mod index;
pub mod initrd;
pub mod installer;
pub mod packages;
pub mod paragraph;
pub mod relation;
pub mod release;
mod resolve;
#[cfg(test)]
mod tests;
pub mod tracker;
pub mod universe;
pub mod version;

pub use super::path;
