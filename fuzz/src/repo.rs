//! The formats.

#[path = "../../src/repo/glob.rs"]
pub mod glob;
#[path = "../../src/repo/path.rs"]
pub mod path;
#[path = "../../src/repo/rpm/mod.rs"]
pub mod rpm;
