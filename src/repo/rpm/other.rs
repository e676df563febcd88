//! Reading other.xml: the changelog of one package at a time. [`super::primary::Packages`] cuts the file into packages.

use super::primary::evr;
use super::version::Evr;
use super::xml::{Xml, XmlError};

/// A package's changelog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changelog {
    /// The identifier: digits of the package's checksum.
    pub pkgid: String,
    /// Name.
    pub name: String,
    /// Architecture.
    pub arch: String,
    /// Epoch, version, release.
    pub evr: Evr,
    /// Entries, oldest first.
    pub entries: Vec<Entry>,
}

/// One entry of a changelog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub author: String,
    /// When, seconds since 1970.
    pub date: u64,
    /// What.
    pub text: String,
}

impl Changelog {
    /// Reads one `<package>` element of other.xml.
    pub fn parse(element: &[u8]) -> Result<Self, XmlError> {
        let (mut xml, tag) = Xml::open(element, "package")?;
        let mut log =
            Self { pkgid: tag.attribute("pkgid")?, name: tag.attribute("name")?, arch: tag.attribute("arch")?, ..Self::default() };
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "version" => log.evr = evr(&tag)?,
                "changelog" => log.entries.push(Entry { author: tag.attribute("author")?, date: tag.number("date")?, text: xml.text()? }),
                _ => {}
            }
        }
        xml.end()?;
        if log.pkgid.is_empty() {
            return Err(XmlError::content("package", "it has no pkgid"));
        }
        Ok(log)
    }
}
