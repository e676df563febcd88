//! HTTP: boot files, reports from nodes, published mirrors. No logic: each route calls a use case.

pub mod files;
pub mod range;
