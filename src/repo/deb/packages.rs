//! One stanza of a package index, or the control file of one package.

use super::paragraph::{Paragraph, ParagraphError};
use super::path::{ArchivePath, BadPath};
use crate::domain::checksum::Sha256;

/// Why a stanza is not a package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not deb822.
    #[error(transparent)]
    Paragraph(#[from] ParagraphError),
    /// A field that every package has is missing.
    #[error("the stanza of `{package}` has no {field}")]
    Missing {
        /// The package, as far as it is known.
        package: String,
        /// The field.
        field: &'static str,
    },
    /// A value out of its form.
    #[error("the stanza of `{package}` has {field} `{value}`: expected {expected}")]
    Bad {
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
        /// Its value, cut to 80 characters.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A file name that leaves the archive.
    #[error("the stanza of `{package}`")]
    Path {
        /// The package.
        package: String,
        /// Why.
        #[source]
        source: BadPath,
    },
}

/// A package, as slices of its stanza. Relations are kept as text; [`super::relation::parse`] reads them when they are needed.
/// Absent text fields are empty.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The field's own names, as in deb-control(5).
pub struct Package<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub architecture: &'a str,
    pub multi_arch: &'a str,
    pub priority: &'a str,
    pub section: &'a str,
    pub essential: bool,
    /// The source package's name, without the `(version)` that may follow it (the binary's own name if the field is absent).
    pub source: &'a str,
    pub depends: &'a str,
    pub pre_depends: &'a str,
    pub recommends: &'a str,
    pub provides: &'a str,
    /// udebs: the kernel release that modules are for.
    pub kernel_version: &'a str,
    /// udebs: their place in the installer's menu.
    pub installer_menu_item: &'a str,
    filename: &'a str,
    size: &'a str,
    sha256: &'a str,
    /// The stanza, each line ending in `\n`.
    pub stanza: &'a str,
}

/// Where a package's file is and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// Relative to the archive's root.
    pub path: ArchivePath,
    /// Bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

impl<'a> Package<'a> {
    /// Reads a stanza. Name, version and architecture are required and checked for their form.
    pub fn parse(stanza: &'a str) -> Result<Self, PackageError> {
        let mut package = Self { stanza, ..EMPTY };
        for field in Paragraph::of(stanza).fields() {
            let (name, value) = field?;
            if let Some(slot) = package.slot(name) {
                *slot = value;
            } else if name.eq_ignore_ascii_case("Essential") {
                package.essential = value.eq_ignore_ascii_case("yes");
            }
        }
        // `Source: name (version)`
        package.source = package.source.split_whitespace().next().unwrap_or(package.name);
        package.check()?;
        Ok(package)
    }

    fn slot(&mut self, field: &str) -> Option<&mut &'a str> {
        // By length first: this runs for every field of every stanza of an archive.
        let (expected, slot) = match field.len() {
            4 => ("Size", &mut self.size),
            6 if field.as_bytes()[1] | 0x20 == b'h' => ("SHA256", &mut self.sha256),
            6 => ("Source", &mut self.source),
            7 if field.as_bytes()[0] | 0x20 == b'p' => ("Package", &mut self.name),
            7 if field.as_bytes()[0] | 0x20 == b'v' => ("Version", &mut self.version),
            7 if field.as_bytes()[0] | 0x20 == b'd' => ("Depends", &mut self.depends),
            7 => ("Section", &mut self.section),
            8 if field.as_bytes()[1] | 0x20 == b'i' => ("Filename", &mut self.filename),
            8 if field.as_bytes()[3] | 0x20 == b'o' => ("Priority", &mut self.priority),
            8 => ("Provides", &mut self.provides),
            10 if field.as_bytes()[0] | 0x20 == b'r' => ("Recommends", &mut self.recommends),
            10 => ("Multi-Arch", &mut self.multi_arch),
            11 => ("Pre-Depends", &mut self.pre_depends),
            12 => ("Architecture", &mut self.architecture),
            14 => ("Kernel-Version", &mut self.kernel_version),
            19 => ("Installer-Menu-Item", &mut self.installer_menu_item),
            _ => return None,
        };
        field.eq_ignore_ascii_case(expected).then_some(slot)
    }

    fn check(&self) -> Result<(), PackageError> {
        for (field, value) in [("Package", self.name), ("Version", self.version), ("Architecture", self.architecture)] {
            if value.is_empty() {
                return Err(PackageError::Missing { package: self.name.to_owned(), field });
            }
        }
        // Debian Policy 5.6.1, 5.6.12 and 5.6.8, with a little room: upper case and `_` occur outside of Debian.
        self.check_form("Package", self.name, "+-._", "letters, digits and + - . _")?;
        self.check_form("Version", self.version, "+-._:~", "letters, digits and + - . : ~")?;
        self.check_form("Architecture", self.architecture, "-", "an architecture such as amd64")
    }

    fn check_form(&self, field: &'static str, value: &str, signs: &str, expected: &'static str) -> Result<(), PackageError> {
        let good = value.len() <= 255
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || signs.as_bytes().contains(&b))
            && value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if good { Ok(()) } else { Err(self.bad(field, value, expected)) }
    }

    fn bad(&self, field: &'static str, value: &str, expected: &'static str) -> PackageError {
        let cut = |text: &str| text.chars().take(80).flat_map(char::escape_default).collect();
        PackageError::Bad { package: cut(self.name), field, value: cut(value), expected }
    }

    /// `Filename`, `Size` and `SHA256`: required in an index, absent in a control file. The path is checked by
    /// [`super::path::archive_path`].
    pub fn file(&self) -> Result<PackageFile, PackageError> {
        for (field, value) in [("Filename", self.filename), ("Size", self.size), ("SHA256", self.sha256)] {
            if value.is_empty() {
                return Err(PackageError::Missing { package: self.name.to_owned(), field });
            }
        }
        // Flat repositories write `./name.deb`.
        let path = self.filename.strip_prefix("./").unwrap_or(self.filename);
        Ok(PackageFile {
            path: super::path::archive_path(path).map_err(|source| PackageError::Path { package: self.name.to_owned(), source })?,
            size: self.size.parse().map_err(|_| self.bad("Size", self.size, "a number of bytes"))?,
            sha256: self.sha256.parse().map_err(|_| self.bad("SHA256", self.sha256, "64 hexadecimal digits"))?,
        })
    }
}

const EMPTY: Package<'static> = Package {
    name: "",
    version: "",
    architecture: "",
    multi_arch: "",
    priority: "",
    section: "",
    essential: false,
    source: "",
    depends: "",
    pre_depends: "",
    recommends: "",
    provides: "",
    kernel_version: "",
    installer_menu_item: "",
    filename: "",
    size: "",
    sha256: "",
    stanza: "",
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASH: &str = "Package: bash\nSource: bash-src (5.2)\nVersion: 5.2.37-2+b5\nArchitecture: amd64\nEssential: yes\nPriority: required\n\
Section: shells\nMulti-Arch: foreign\nPre-Depends: libc6 (>= 2.38)\nDepends: base-files (>= 2.1.12), debianutils\nRecommends: bash-completion\n\
Provides: sh\nTag: admin::TODO,\n implemented-in::c\nFilename: pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb\nSize: 1500512\n\
SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";

    #[test]
    fn a_stanza_without_md5_and_with_a_folded_tag() {
        let bash = Package::parse(BASH).unwrap();
        assert_eq!((bash.name, bash.version, bash.architecture, bash.source), ("bash", "5.2.37-2+b5", "amd64", "bash-src"));
        assert_eq!((bash.priority, bash.section, bash.multi_arch, bash.provides), ("required", "shells", "foreign", "sh"));
        assert_eq!((bash.pre_depends, bash.recommends), ("libc6 (>= 2.38)", "bash-completion"));
        assert!(bash.essential);
        let file = bash.file().unwrap();
        assert_eq!((file.path.file_name(), file.size), ("bash_5.2.37-2+b5_amd64.deb", 1_500_512));
        assert_eq!(file.sha256, Sha256::of(b""));
    }

    #[test]
    fn every_field_finds_its_slot_whatever_its_case() {
        let text = "PACKAGE: p\nsource: s\nverSion: 1\narchitecture: all\ndepends: d\nsection: c\nfilename: f\npriority: y\nprovides: v\n\
recommends: r\nmulti-arch: same\npre-depends: e\nkernel-version: k\ninstaller-menu-item: 7\nsize: 3\nsha256: h\n";
        let p = Package::parse(text).unwrap();
        assert_eq!((p.name, p.source, p.version, p.depends, p.section), ("p", "s", "1", "d", "c"));
        assert_eq!((p.filename, p.priority, p.provides, p.recommends, p.size, p.sha256), ("f", "y", "v", "r", "3", "h"));
        assert_eq!((p.multi_arch, p.pre_depends, p.kernel_version, p.installer_menu_item), ("same", "e", "k", "7"));
    }

    #[test]
    fn a_file_name_that_leaves_the_archive_is_refused() {
        let evil = BASH.replace("pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb", "../../etc/passwd");
        let error = Package::parse(&evil).unwrap().file().unwrap_err();
        assert!(matches!(&error, PackageError::Path { source, .. } if source.path == "../../etc/passwd"), "{error}");
    }

    #[test]
    fn a_name_or_version_that_could_become_a_path_is_refused() {
        for evil in ["Package: ../bash", "Package: a/b", "Package: -rf", "Package:"] {
            assert!(Package::parse(&BASH.replace("Package: bash", evil)).is_err(), "{evil}");
        }
        assert!(Package::parse(&BASH.replace("Version: 5.2.37-2+b5", "Version: 1 2")).is_err());
        assert!(Package::parse(&BASH.replace("Architecture: amd64\n", "")).is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(Package: [a-zé./]{0,9}\n|Version: 1\n|Architecture: all\n|[A-Za-z-]{1,20}: ?[a-z0-9/.]{0,9}\n){0,8}") {
            if let Ok(package) = Package::parse(&noise) {
                let _ = package.file();
            }
        }
    }
}
