//! The formats.

#[path = "../../src/repo/glob.rs"]
pub mod glob;
#[path = "../../src/repo/iso9660.rs"]
pub mod iso9660;
#[path = "../../src/repo/lzma2.rs"]
pub mod lzma2;
#[path = "../../src/repo/path.rs"]
pub mod path;
#[path = "../../src/repo/rpm/mod.rs"]
pub mod rpm;
