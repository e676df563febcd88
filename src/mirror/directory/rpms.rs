//! Directories of RPM packages.

use std::io::BufRead;

use super::kind::{Kind, Read, Told};
use crate::mirror::error::chain;
use crate::repo::compress::Compression;
use crate::repo::path::archive_path;
use crate::repo::rpm::fragment::{FileFacts, Fragments};
use crate::repo::rpm::header::Header;

/// RPM packages. Their paths in the index are those in the directory.
#[derive(Clone, Copy, Debug)]
pub struct Rpms;

impl Kind for Rpms {
    fn recipe(&self) -> String {
        "rpm 1".to_owned()
    }

    fn parts(&self) -> usize {
        3
    }

    fn compression(&self) -> Compression {
        Compression::Zst
    }

    fn takes(&self, name: &str) -> bool {
        name.ends_with(".rpm")
    }

    fn read(&self, file: &Read<'_>, mut package: &mut dyn BufRead) -> Result<Told, String> {
        let location = archive_path(file.path).map_err(|error| error.to_string())?;
        let header = Header::read(&mut package).map_err(|error| chain(&error))?;
        let mtime = u64::try_from(file.stamp.mtime / 1_000_000_000).unwrap_or(0);
        let facts = FileFacts { size: file.stamp.size, mtime, sha256: file.sha256, location: location.as_str() };
        let Fragments { primary, filelists, other, .. } = Fragments::of(&header, &facts);
        Ok(Told { parts: vec![primary, filelists, other], label: String::new() })
    }
}
