//! kickctl turns one Linux machine (the head) into everything a cluster needs to give its nodes an operating system.
//!
//! The map, from the ground up; each room may use only those above it (a test in `tests/house.rs` holds the code to it):
//!
//! | room | what is in it |
//! |---|---|
//! | [`domain`] | pure types and rules: node, node set, profile, mirror, attempt, disk selection |
//! | [`config`] | what was written in TOML, and what it means |
//! | [`repo`] | repository formats, pure: Debian indices and versions, RPM headers and metadata, OpenPGP |
//! | [`store`] | the state: a trait, and SQLite behind it |
//! | [`sys`] | the outside world: atomic files, locks, the object store, HTTP fetches |
//! | [`provision`] | what to serve: boot decision, loader table, scripts, rendering, tokens |
//! | [`net`] | protocol servers that know no product: DHCP, TFTP, NFS, syslog |
//! | [`mirror`] | a mirror's sync: plan, fetch, assemble, publish, prune |
//! | [`image`] | roots of diskless nodes: built from a snapshot, versioned, published |
//! | [`app`] | the use cases, one verb a file |
//! | [`reconcile`] | small loops without input: overdue attempts |
//! | [`web`] | HTTP: boot files, reports from nodes, published mirrors |
//! | [`daemon`] | `kickctl serve`: wires the servers to the use cases |
//! | [`storm`] | simulated nodes that boot at once, and the ground they do it on: `kickctl bench storm`, and tests |
//! | [`cli`] | the command line: parses, calls a use case, prints |

pub mod app;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod image;
pub mod mirror;
pub mod net;
pub mod provision;
pub mod reconcile;
pub mod repo;
pub mod store;
pub mod storm;
pub mod sys;
pub mod web;
