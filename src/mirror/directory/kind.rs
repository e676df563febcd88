//! The seam between what every directory of packages takes (finding, hashing, remembering) and what a package format does.

use std::io::BufRead;

use super::scan::Stamp;
use crate::domain::checksum::Sha256;
use crate::repo::compress::Compression;

/// A package format.
pub trait Kind: Sync {
    /// Names the format and how its texts are made; another recipe's cache is not believed.
    fn recipe(&self) -> String;

    /// How many texts a package has.
    fn parts(&self) -> usize;

    /// How texts are compressed in the published index.
    fn compression(&self) -> Compression;

    /// True if a file of this name is such a package.
    fn takes(&self, name: &str) -> bool;

    /// Reads a package's texts. Errors are words for a person, without the file's name.
    fn read(&self, file: &Read<'_>, package: &mut dyn BufRead) -> Result<Told, String>;
}

/// What is known of a package file before it is read.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// Its path below the directory.
    pub path: &'a str,
    /// Its size and times.
    pub stamp: &'a Stamp,
    /// Its digest.
    pub sha256: Sha256,
}

/// What a package tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its text in each part of the index.
    pub parts: Vec<Vec<u8>>,
    /// What its kind sorts packages by: an architecture.
    pub label: String,
}
