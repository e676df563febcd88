//! Carrying a snapshot to a head without a network: written to a directory or to tar files, and taken in again.
//!
//! ```text
//! manifest  what is carried: the snapshot's record, its files by digest; signed by the head that wrote it
//! volumes   one stream in one file or several of a given size
//! export    reads the object store, writes a carrier
//! import    verifies a carrier as a whole, then takes it in
//! ```
//! A carrier is a directory or a tar with `manifest` (a cleartext signature over JSON), `key.asc` (that head's key, for people to look at: nobody
//! trusts it for lying there) and `objects/SHA256`. Volumes are the bytes of one tar cut into pieces: `cat FILE.tar.* | tar t` reads them.

pub mod export;
pub mod import;
pub mod manifest;
pub mod volumes;

/// The name of the signed manifest.
const MANIFEST: &str = "manifest";
/// The name of the key beside it.
const KEY: &str = "key.asc";
/// The folder of objects.
const OBJECTS: &str = "objects";
