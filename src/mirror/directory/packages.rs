//! Which packages a directory holds, and the repository that is made of them.

use std::path::Path;

use time::OffsetDateTime;

use super::cache::Cache;
use super::deb_archive::Archive;
use super::debs::Debs;
use super::kind::Kind;
use super::rpm_repository;
use super::rpms::Rpms;
use super::scan::{self, Found};
use super::sink::Sink;
use crate::domain::mirror::{PackageFormat, PublishedRepository, PublishedSuite};
use crate::mirror::{Error, Result};
use crate::repo::openpgp::SigningKey;

/// The format of what lies in a directory.
///
/// # Errors
/// If there is nothing, or packages of both.
pub fn format_of<'f>(root: &Path, found: impl IntoIterator<Item = &'f Found>) -> Result<PackageFormat> {
    let mut formats = found.into_iter().map(|file| if file.path.ends_with(".rpm") { PackageFormat::Rpm } else { PackageFormat::Deb });
    let refuse = |problem: &str| Err(Error::Usage(format!("{} {problem}", root.display())));
    match formats.next() {
        None => refuse("holds no packages yet: say which they will be with --packages deb or --packages rpm"),
        Some(first) if formats.all(|format| format == first) => Ok(first),
        Some(_) => refuse(
            "holds both .deb and .rpm files: put them into two directories, or say which to take with --packages deb or --packages rpm",
        ),
    }
}

/// Lists the package files below a directory: of one format, or of all.
///
/// # Errors
/// As [`scan::scan`].
pub fn list(root: &Path, format: Option<PackageFormat>) -> Result<Vec<Found>> {
    let is_deb = |name: &str| name.ends_with(".deb") || name.ends_with(".udeb");
    scan::scan(root, &|name| match format {
        Some(PackageFormat::Deb) => is_deb(name),
        Some(PackageFormat::Rpm) => name.ends_with(".rpm"),
        None => is_deb(name) || name.ends_with(".rpm"),
    })
}

/// What a repository is called, and who signs it.
pub struct Terms<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// The suite of a Debian archive.
    pub suite: &'a str,
    /// Who signs; `None`: nobody.
    pub key: Option<&'a SigningKey>,
    /// When.
    pub now: OffsetDateTime,
}

/// The packages of a format, with the folder that they are published in.
pub enum Packages {
    /// Debian packages.
    Deb(Debs),
    /// RPM packages.
    Rpm,
}

/// What a client can name of what was written.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// Suites of a Debian archive.
    pub suites: Vec<PublishedSuite>,
    /// RPM repositories.
    pub repositories: Vec<PublishedRepository>,
}

impl Packages {
    /// Of a format; `pool`: what stands before the paths of Debian packages, `pool/` in a tree of ours and nothing in the directory itself.
    pub fn new(format: PackageFormat, pool: &'static str) -> Self {
        match format {
            PackageFormat::Deb => Self::Deb(Debs { prefix: pool }),
            PackageFormat::Rpm => Self::Rpm,
        }
    }

    /// Their format.
    pub fn format(&self) -> PackageFormat {
        match self {
            Self::Deb(_) => PackageFormat::Deb,
            Self::Rpm => PackageFormat::Rpm,
        }
    }

    /// How they are read.
    pub fn kind(&self) -> &dyn Kind {
        match self {
            Self::Deb(debs) => debs,
            Self::Rpm => &Rpms,
        }
    }

    /// The path that a package is published at.
    pub fn place(&self, path: &str) -> String {
        match self {
            Self::Deb(debs) => format!("{}{path}", debs.prefix),
            Self::Rpm => path.to_owned(),
        }
    }

    /// Writes the metadata.
    ///
    /// # Errors
    /// If the disk is full or the key cannot sign.
    pub fn write(&self, cache: &Cache, terms: &Terms<'_>, sink: &mut dyn Sink) -> Result<Offered> {
        let Terms { name, suite, key, now } = *terms;
        match self {
            Self::Deb(debs) => {
                Archive { suite, label: name, key, now }.write(debs, cache, sink)?;
                let (suite, components) = (suite.to_owned(), vec!["main".to_owned()]);
                let suite = PublishedSuite { codename: suite.clone(), suite, components, rebuilt: true };
                Ok(Offered { suites: vec![suite], ..Offered::default() })
            }
            Self::Rpm => {
                rpm_repository::write(cache, key, now, sink)?;
                let (signed, packages) = (key.is_some(), cache.entries());
                let repository =
                    PublishedRepository { name: name.to_owned(), path: String::new(), packages, rebuilt: true, signed, keys: Vec::new() };
                Ok(Offered { repositories: vec![repository], ..Offered::default() })
            }
        }
    }
}
