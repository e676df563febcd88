//! Reading filelists.xml: the files of one package at a time. [`super::primary::Packages`] cuts the file into packages.

use super::header::FileKind;
use super::primary::{evr, file_kind};
use super::version::Evr;
use super::xml::{Xml, XmlError};

/// A package's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileList {
    /// The identifier: digits of the package's checksum.
    pub pkgid: String,
    /// Name.
    pub name: String,
    /// Architecture.
    pub arch: String,
    /// Epoch, version, release.
    pub evr: Evr,
    /// All files, in the package's order.
    pub files: Vec<(FileKind, String)>,
}

impl FileList {
    /// Reads one `<package>` element of filelists.xml.
    pub fn parse(element: &[u8]) -> Result<Self, XmlError> {
        let (mut xml, tag) = Xml::open(element, "package")?;
        let mut list =
            Self { pkgid: tag.attribute("pkgid")?, name: tag.attribute("name")?, arch: tag.attribute("arch")?, ..Self::default() };
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "version" => list.evr = evr(&tag)?,
                "file" => list.files.push((file_kind(&tag.attribute("type")?), xml.text()?)),
                _ => {}
            }
        }
        xml.end()?;
        if list.pkgid.is_empty() {
            return Err(XmlError::content("package", "it has no pkgid"));
        }
        Ok(list)
    }
}

/// The identifier in the first tag of a `<package>` element of filelists.xml or other.xml, without reading the rest.
pub fn pkgid_of(element: &[u8]) -> Option<&str> {
    let tag = &element[..memchr::memchr(b'>', element)?];
    let value = &tag[memchr::memmem::find(tag, b" pkgid=")? + 7..];
    let (quote, value) = value.split_first()?;
    std::str::from_utf8(&value[..memchr::memchr(*quote, value)?]).ok()
}
