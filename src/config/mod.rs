//! What was written in TOML, and what it means.

pub mod span;

pub use span::{Error, Source};
