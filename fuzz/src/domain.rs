//! The one type of `domain` that the formats use.

#[path = "../../src/domain/checksum.rs"]
pub mod checksum;
