//! The RPM formats, the readers of ISO 9660 and LZMA2 and the NFS server of kickctl, compiled by themselves for the fuzz targets.

#[path = "domain.rs"]
pub mod domain;
#[path = "net.rs"]
pub mod net;
#[path = "repo.rs"]
pub mod repo;
