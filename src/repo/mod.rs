//! Repository formats, pure: bytes in, values out. No files, no network, no clock.

pub mod compress;
pub mod deb;
pub mod glob;
pub mod iso9660;
mod lzma2;
pub mod openpgp;
pub mod path;
pub mod rpm;
pub mod short_xz;
pub mod version;
