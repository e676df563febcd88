//! Pure types and rules of the product: no input, no output, no clock.

pub mod advisory;
pub mod attempt;
pub mod checksum;
pub mod disk;
pub mod facts;
pub mod image;
pub mod lease;
pub mod mac;
pub mod mirror;
pub mod name;
pub mod natural;
pub mod node;
pub mod nodeset;
pub mod occurrence;
pub mod outbox;
pub mod package;
pub mod power;
pub mod profile;
pub mod rollout;
pub mod schedule;
pub mod subnet;
pub mod variables;
