//! The RPM formats of kickctl, compiled by themselves for the fuzz targets.

#[path = "domain.rs"]
pub mod domain;
#[path = "repo.rs"]
pub mod repo;
