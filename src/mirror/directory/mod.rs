//! A plain directory of a site's own packages, made into a repository.
//!
//! ```text
//! add       put packages into it                                 (files)
//! scan      names, sizes, times                                  (files)
//! indexer   read what is new or changed, remember the rest       (files)
//! reader    what one package file is                             (files)
//! cache     what is remembered; its blocks are pieces of the index
//! kind      what a package format adds: debs, rpms               (pure)
//! archive   the metadata, from the cache                         (files)
//! former    what the metadata before lends to it                 (files)
//! ```
//! Packages are read and hashed on all processors, one pass over each file; no more than a buffer of any is in memory, and of the
//! metadata no more than a few blocks.

mod add;
pub mod cache;
pub mod deb_archive;
pub mod debs;
mod format;
mod former;
pub mod in_place;
pub mod indexer;
pub mod kind;
mod old;
pub mod packages;
mod reader;
pub mod rpm_repository;
pub mod rpms;
pub mod scan;
pub mod sink;

pub(super) use format::Directory;
