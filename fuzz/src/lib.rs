//! The RPM formats and the NFS server of kickctl, compiled by themselves for the fuzz targets.

#[path = "domain.rs"]
pub mod domain;
#[path = "net.rs"]
pub mod net;
#[path = "repo.rs"]
pub mod repo;
