//! Reading primary.xml: one package at a time.

use std::io::Read;

use super::checksum::Checksum;
use super::depends::Comparison;
use super::elements::{Elements, ElementsError};
use super::header::FileKind;
use super::version::Evr;
use super::xml::{Tag, Xml, XmlError, number};

/// The most bytes of XML that one package may have, in any of the three files: kernel-headers and firmware have 10 MB of file names.
pub const MAX_PACKAGE: usize = 64 << 20;

/// Why a metadata file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// It cannot be cut into packages.
    #[error(transparent)]
    Elements(#[from] ElementsError),
    /// A package cannot be understood.
    #[error("package {nth} of the file")]
    Package {
        /// Which, counted from 1.
        nth: u64,
        /// What is wrong with it.
        #[source]
        source: XmlError,
    },
}

/// The `<package>` elements of primary.xml, filelists.xml or other.xml, decompressed by the caller.
///
/// ```
/// # use kickctl::repo::rpm::primary::{Package, Packages};
/// let xml = br#"<metadata packages="1"><package type="rpm"><name>bash</name><arch>x86_64</arch><version epoch="0" ver="5.2" rel="1"/>
///   <checksum type="sha256" pkgid="YES">e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855</checksum>
///   <location href="bash.rpm"/><format/></package></metadata>"#;
/// let mut packages = Packages::new(&xml[..]);
/// while let Some(raw) = packages.next_raw()? {
///     let package = Package::parse(raw)?;
///     assert_eq!(package.nevra(), "bash-5.2-1.x86_64");
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Packages<R>(Elements<R>, u64);

impl<R: Read> Packages<R> {
    /// Of a document.
    pub fn new(reader: R) -> Self {
        Self(Elements::new(reader, "package", MAX_PACKAGE), 0)
    }

    /// The next `<package>` element as it stands in the file; it can be written again unchanged. `None` at the end.
    pub fn next_raw(&mut self) -> Result<Option<&[u8]>, ElementsError> {
        self.1 += 1;
        self.0.next_element()
    }

    /// How many packages the root says there are, known after the first call of [`Packages::next_raw`].
    pub fn declared(&self) -> Option<u64> {
        let head = std::str::from_utf8(self.0.head()).ok()?;
        let (_, value) = head.split_once(" packages=")?;
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        value[1..].split(quote).next()?.parse().ok()
    }

    /// Calls `visit` with each package of primary.xml: the element as it stands, and what it says.
    pub fn for_each(mut self, mut visit: impl FnMut(&[u8], Package)) -> Result<(), MetadataError> {
        let mut nth = 0;
        while let Some(raw) = self.next_raw()? {
            nth += 1;
            let package = Package::parse(raw).map_err(|source| MetadataError::Package { nth, source })?;
            visit(raw, package);
        }
        Ok(())
    }
}

/// A package as primary.xml tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Architecture: `x86_64`, `noarch`, `src` ...
    pub arch: String,
    /// Epoch, version, release.
    pub evr: Evr,
    /// Of the whole file; its digits are the package's identifier (`pkgid`).
    pub checksum: Checksum,
    /// One line.
    pub summary: String,
    /// Several lines.
    pub description: String,
    /// Packager.
    pub packager: String,
    /// Home page.
    pub url: String,
    /// The file's mtime, seconds since 1970.
    pub time_file: u64,
    /// When it was built, seconds since 1970.
    pub time_build: u64,
    /// Size of the file, bytes.
    pub size_package: u64,
    /// Size when installed, bytes.
    pub size_installed: u64,
    /// Size of the uncompressed payload, bytes.
    pub size_archive: u64,
    /// Where the file is, as written: not to be followed before it passed [`crate::repo::path::archive_path`].
    pub href: String,
    /// `xml:base`: where `href` begins instead of at the repository. Empty: at the repository.
    pub base: String,
    /// Licence.
    pub license: String,
    /// Vendor.
    pub vendor: String,
    /// Group.
    pub group: String,
    /// Host it was built on.
    pub buildhost: String,
    /// Its source package; empty for a source package.
    pub sourcerpm: String,
    /// First byte of the header in the file, and the first behind it.
    pub header_range: (u64, u64),
    /// Dependencies, by kind in the order of [`Kind`].
    pub dependencies: [Vec<Dependency>; 8],
    /// The files that primary.xml lists.
    pub files: Vec<(FileKind, String)>,
}

/// Kinds of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What it offers.
    Provides,
    /// What it needs.
    Requires,
    /// What it cannot stand beside.
    Conflicts,
    /// What it replaces.
    Obsoletes,
    /// Weakest forward.
    Suggests,
    /// Weakest backward.
    Enhances,
    /// Weak forward.
    Recommends,
    /// Weak backward.
    Supplements,
}

impl Kind {
    const NAMES: [(&'static str, Self); 8] = [
        ("provides", Self::Provides),
        ("requires", Self::Requires),
        ("conflicts", Self::Conflicts),
        ("obsoletes", Self::Obsoletes),
        ("suggests", Self::Suggests),
        ("enhances", Self::Enhances),
        ("recommends", Self::Recommends),
        ("supplements", Self::Supplements),
    ];

    fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }
}

/// One dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// A name, a path, or a rich dependency in parentheses.
    pub name: String,
    /// How the version compares, and with what; `None`: any version.
    pub version: Option<(Comparison, Evr)>,
    /// Needed before the package is installed.
    pub pre: bool,
}

impl Package {
    /// Dependencies of one kind.
    pub fn of_kind(&self, kind: Kind) -> &[Dependency] {
        &self.dependencies[kind as usize]
    }

    /// `name-[epoch:]version-release.arch`; the epoch only if there is one.
    pub fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr, self.arch)
    }

    /// Reads one `<package>` element.
    ///
    /// Errors: not well-formed; no name, architecture, version, checksum or location; a number that is none.
    pub fn parse(element: &[u8]) -> Result<Self, XmlError> {
        let (mut xml, _) = Xml::open(element, "package")?;
        let mut package = Self::empty();
        let mut checksum = None;
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "version" => package.evr = evr(&tag)?,
                "checksum" => checksum = Some((tag.attribute("type")?, xml.text()?)),
                "time" => (package.time_file, package.time_build) = (tag.number("file")?, tag.number("build")?),
                "size" => {
                    (package.size_package, package.size_installed, package.size_archive) =
                        (tag.number("package")?, tag.number("installed")?, tag.number("archive")?);
                }
                "location" => (package.href, package.base) = (tag.attribute("href")?, tag.attribute("base")?),
                "format" => package.read_format(&mut xml)?,
                name => {
                    if let Some(field) = package.text_of(name) {
                        *field = xml.text()?;
                    }
                }
            }
        }
        xml.end()?;
        let missing = |what: &str| XmlError::content("package", format!("it has no {what}"));
        let (checksum_kind, digits) = checksum.ok_or_else(|| missing("checksum"))?;
        package.checksum =
            Checksum::parse(&checksum_kind, digits.trim()).map_err(|error| XmlError::content("checksum", error.to_string()))?;
        for (what, text) in
            [("name", &package.name), ("arch", &package.arch), ("version", &package.evr.version), ("location", &package.href)]
        {
            if text.is_empty() {
                return Err(missing(what));
            }
        }
        Ok(package)
    }

    fn read_format(&mut self, xml: &mut Xml<'_>) -> Result<(), XmlError> {
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "header-range" => self.header_range = (tag.number("start")?, tag.number("end")?),
                "file" => self.files.push((file_kind(&tag.attribute("type")?), xml.text()?)),
                name => match Kind::of_name(name) {
                    Some(kind) => {
                        let depth = xml.depth();
                        while let Some(entry) = xml.child(depth)? {
                            self.dependencies[kind as usize].push(dependency(&entry)?);
                        }
                    }
                    None => {
                        if let Some(field) = self.text_of(name) {
                            *field = xml.text()?;
                        }
                    }
                },
            }
        }
        Ok(())
    }

    fn empty() -> Self {
        Self {
            name: String::new(),
            arch: String::new(),
            evr: Evr::default(),
            checksum: Checksum::from(crate::domain::checksum::Sha256::new([0; 32])),
            summary: String::new(),
            description: String::new(),
            packager: String::new(),
            url: String::new(),
            time_file: 0,
            time_build: 0,
            size_package: 0,
            size_installed: 0,
            size_archive: 0,
            href: String::new(),
            base: String::new(),
            license: String::new(),
            vendor: String::new(),
            group: String::new(),
            buildhost: String::new(),
            sourcerpm: String::new(),
            header_range: (0, 0),
            dependencies: Default::default(),
            files: vec![],
        }
    }

    fn text_of(&mut self, element: &str) -> Option<&mut String> {
        Some(match element {
            "name" => &mut self.name,
            "arch" => &mut self.arch,
            "summary" => &mut self.summary,
            "description" => &mut self.description,
            "packager" => &mut self.packager,
            "url" => &mut self.url,
            "license" => &mut self.license,
            "vendor" => &mut self.vendor,
            "group" => &mut self.group,
            "buildhost" => &mut self.buildhost,
            "sourcerpm" => &mut self.sourcerpm,
            _ => return None,
        })
    }
}

/// The element with another location, and without `xml:base`: for a package that lies elsewhere in the copy than upstream.
/// The rest stays byte for byte. `None` if the element has no location.
pub fn relocate(element: &[u8], href: &str) -> Option<Vec<u8>> {
    let start = memchr::memmem::find(element, b"<location")?;
    let end = start + memchr::memchr(b'>', &element[start..])?;
    let mut out = Vec::with_capacity(element.len() + href.len());
    out.extend_from_slice(&element[..start]);
    out.extend_from_slice(b"<location href=\"");
    super::text::push_value(&mut out, href.as_bytes());
    out.extend_from_slice(if element[end - 1] == b'/' { b"\"/>" } else { b"\">" });
    out.extend_from_slice(&element[end + 1..]);
    Some(out)
}

pub(super) fn evr(tag: &Tag<'_>) -> Result<Evr, XmlError> {
    let mut evr = Evr::default();
    tag.attributes(|key, value| {
        match key {
            "epoch" => evr.epoch = value.into_owned(),
            "ver" => evr.version = value.into_owned(),
            "rel" => evr.release = value.into_owned(),
            _ => {}
        }
        Ok(())
    })?;
    number("version", &evr.epoch)?;
    Ok(evr)
}

fn dependency(tag: &Tag<'_>) -> Result<Dependency, XmlError> {
    let (mut name, mut comparison, mut pre) = (String::new(), None, false);
    let mut evr = Evr::default();
    tag.attributes(|key, value| {
        match key {
            "name" => name = value.into_owned(),
            "flags" => comparison = Comparison::of_word(&value),
            "epoch" => evr.epoch = value.into_owned(),
            "ver" => evr.version = value.into_owned(),
            "rel" => evr.release = value.into_owned(),
            "pre" => pre = value == "1",
            _ => {}
        }
        Ok(())
    })?;
    Ok(Dependency { name, version: comparison.map(|comparison| (comparison, evr)), pre })
}

pub(super) fn file_kind(word: &str) -> FileKind {
    match word {
        "dir" => FileKind::Dir,
        "ghost" => FileKind::Ghost,
        _ => FileKind::File,
    }
}
