//! RPM packages and repositories: headers, versions, the metadata files and how they are written.
//!
//! Reading a repository: [`repomd::Repomd::parse`] names the files; [`primary::Packages`] cuts primary.xml, filelists.xml and other.xml into
//! packages without holding more than one; [`primary::Package`], [`filelists::FileList`] and [`other::Changelog`] read one.
//!
//! Writing one: [`header::Header::read`] reads a package's header, [`fragment::Fragments::of`] makes its three pieces of XML (or those of
//! upstream are taken as they stand), [`write::MetadataWriter`] joins, compresses and hashes them, [`repomd::Repomd::to_xml`] names them.

pub mod checksum;
pub mod closure;
pub mod comps;
pub mod depends;
pub mod elements;
pub mod filelists;
pub mod fragment;
pub mod header;
pub mod metalink;
pub mod mirrorlist;
pub mod modules;
pub mod other;
pub mod primary;
pub mod repomd;
pub mod rich;
#[cfg(test)]
#[path = "../../../tests/support/rpm_file.rs"]
mod rpm_file;
pub mod signature;
pub mod tag;
#[cfg(test)]
mod tests;
mod text;
pub mod treeinfo;
pub mod universe;
pub mod updateinfo;
pub mod version;
pub mod write;
mod xml;
