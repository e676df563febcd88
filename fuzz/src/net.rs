//! The part of `net` that a target decodes with.

#[path = "../../src/net/nfs/mod.rs"]
pub mod nfs;
#[path = "../../src/net/silence.rs"]
mod silence;
