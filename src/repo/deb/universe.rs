//! All packages that a selection can choose from, held small.
//!
//! A whole Debian main has 64,000 stanzas in 53 MB. What a closure looks at for every package (name, version, flags, provides) is
//! held unpacked; the stanzas themselves in blocks of zstd, read back when a package is selected.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::OnceLock;

use super::packages::{Package, PackageError};
use super::paragraph::Paragraphs;
use super::version;
use crate::domain::checksum::Sha256;

/// A package's place in its [`Universe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub(super) u32);

/// Where stanzas came from: a number of the caller's choosing (an index file, a local directory). Where two origins offer the same
/// name, version and architecture, the lowest origin is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(pub u16);

/// What is known of a package without unpacking its stanza.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Summary<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub architecture: &'a str,
    pub priority: &'a str,
    pub section: &'a str,
    pub provides: &'a str,
    /// The kernel release that a module udeb is for, else empty.
    pub kernel_version: &'a str,
    pub essential: bool,
    pub origin: Origin,
}

/// All packages that a selection can choose from.
#[derive(Default)]
pub struct Universe {
    records: Vec<Record>,
    /// Name, version and provides of each record, one after another.
    text: String,
    /// The few distinct architectures, priorities, sections and kernel releases.
    words: Vec<String>,
    word_numbers: HashMap<String, u16>,
    blocks: Vec<Block>,
    /// The stanzas of the block that is not full yet.
    open: String,
    by_name: OnceLock<Vec<PackageId>>,
}

/// What is held unpacked of a package; 48 bytes, of which Debian has 64,000.
struct Record {
    text: u32,
    name: u8,
    version: u8,
    essential: bool,
    provides: u32,
    architecture: u16,
    priority: u16,
    section: u16,
    kernel_version: u16,
    origin: Origin,
    block: u32,
    at: u32,
    length: u32,
    /// First bytes of the stanza's SHA-256: makes the choice between equals independent of the order they came in.
    digest: u64,
}

/// Stanzas, compressed by zstd where that makes them smaller.
struct Block {
    bytes: Box<[u8]>,
    unpacked: usize,
}

/// Stanzas a block: large enough to compress, small enough to unpack for one stanza.
const BLOCK: usize = 32 << 10;

/// Why an index could not be taken in.
#[derive(Debug, thiserror::Error)]
#[error("package index, line {line}")]
pub struct IndexError {
    /// The first line of the stanza.
    pub line: u64,
    /// Why.
    #[source]
    pub source: PackageError,
}

impl Universe {
    /// An empty universe.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in every stanza of a decompressed `Packages` file. Returns how many. Each must name a valid file
    /// ([`super::packages::Package::file`]), so that nothing later can be led out of the archive.
    pub fn read_index(&mut self, reader: impl BufRead, origin: Origin) -> Result<usize, IndexError> {
        let mut paragraphs = Paragraphs::new(reader);
        let (mut count, mut line) = (0, 0);
        loop {
            let paragraph = match paragraphs.next() {
                Ok(Some(paragraph)) => paragraph,
                Ok(None) => return Ok(count),
                Err(source) => return Err(IndexError { line: line + 1, source: source.into() }),
            };
            line = paragraph.line();
            self.add(paragraph.text(), origin).map_err(|source| IndexError { line, source })?;
            count += 1;
        }
    }

    /// Takes in one stanza (of a local file: see [`super::control::index_stanza`]).
    pub fn add(&mut self, stanza: &str, origin: Origin) -> Result<PackageId, PackageError> {
        let package = Package::parse(stanza)?;
        package.file()?;
        let record = self.record(&package, origin);
        self.by_name = OnceLock::new();
        self.records.push(record);
        self.open.push_str(stanza);
        if self.open.len() >= BLOCK {
            self.close_block();
        }
        Ok(PackageId(count(self.records.len() - 1)))
    }

    fn record(&mut self, package: &Package<'_>, origin: Origin) -> Record {
        let text = count(self.text.len());
        for part in [package.name, package.version, package.provides] {
            self.text.push_str(part);
        }
        let [a, b, c, d, e, f, g, h, ..] = *Sha256::of(package.stanza.as_bytes()).bytes();
        Record {
            text,
            // `Package::parse` bounds both to 255 bytes.
            name: u8::try_from(package.name.len()).unwrap_or(u8::MAX),
            version: u8::try_from(package.version.len()).unwrap_or(u8::MAX),
            essential: package.essential,
            provides: count(package.provides.len()),
            architecture: self.word(package.architecture),
            priority: self.word(package.priority),
            section: self.word(package.section),
            kernel_version: self.word(package.kernel_version),
            origin,
            block: count(self.blocks.len()),
            at: count(self.open.len()),
            length: count(package.stanza.len()),
            digest: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        }
    }

    fn word(&mut self, word: &str) -> u16 {
        if let Some(number) = self.word_numbers.get(word) {
            return *number;
        }
        let number = u16::try_from(self.words.len()).unwrap_or(u16::MAX);
        if number < u16::MAX {
            self.words.push(word.to_owned());
            self.word_numbers.insert(word.to_owned(), number);
        }
        number
    }

    fn close_block(&mut self) {
        let stanzas = std::mem::take(&mut self.open);
        let unpacked = stanzas.len();
        let bytes = match zstd::bulk::compress(stanzas.as_bytes(), 1) {
            Ok(packed) if packed.len() < unpacked => packed,
            _ => stanzas.into_bytes(),
        };
        self.blocks.push(Block { bytes: bytes.into_boxed_slice(), unpacked });
    }

    /// How many packages it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All packages, in the order they came in.
    pub fn ids(&self) -> impl Iterator<Item = PackageId> + '_ {
        (0..count(self.records.len())).map(PackageId)
    }

    /// What is known of a package without unpacking. Panics never: an id of another universe gives an empty summary.
    pub fn summary(&self, id: PackageId) -> Summary<'_> {
        let Some(record) = self.records.get(id.0 as usize) else { return Summary::default() };
        let name = record.text as usize;
        let version = name + usize::from(record.name);
        let provides = version + usize::from(record.version);
        let text = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let word = |number: u16| self.words.get(usize::from(number)).map_or("", String::as_str);
        Summary {
            name: text(name, version),
            version: text(version, provides),
            provides: text(provides, provides + record.provides as usize),
            architecture: word(record.architecture),
            priority: word(record.priority),
            section: word(record.section),
            kernel_version: word(record.kernel_version),
            essential: record.essential,
            origin: record.origin,
        }
    }

    /// A package's stanza, verbatim. Read it with [`super::packages::Package::parse`]. For many packages use [`Universe::stanzas`].
    pub fn stanza(&self, id: PackageId) -> String {
        self.stanzas().read(id).to_owned()
    }

    /// Reads stanzas, quickest in the order they came in.
    pub fn stanzas(&self) -> Stanzas<'_> {
        Stanzas { universe: self, unpacked: None }
    }

    /// The packages of that name, any version and architecture, newest version first; equal versions by origin.
    pub fn named(&self, name: &str) -> &[PackageId] {
        let sorted = self.sorted();
        let start = sorted.partition_point(|id| self.summary(*id).name < name);
        let rest = &sorted[start..];
        &rest[..rest.partition_point(|id| self.summary(*id).name == name)]
    }

    /// All packages, by name, then as [`Universe::named`].
    pub fn sorted(&self) -> &[PackageId] {
        self.by_name.get_or_init(|| {
            let mut ids: Vec<PackageId> = self.ids().collect();
            ids.sort_by(|a, b| {
                let (left, right) = (self.summary(*a), self.summary(*b));
                left.name
                    .cmp(right.name)
                    .then_with(|| version::compare(right.version, left.version))
                    .then_with(|| (left.architecture, left.origin).cmp(&(right.architecture, right.origin)))
                    .then_with(|| self.digest(*a).cmp(&self.digest(*b)))
            });
            ids
        })
    }

    fn digest(&self, id: PackageId) -> u64 {
        self.records.get(id.0 as usize).map_or(0, |record| record.digest)
    }
}

/// Lengths and positions fit 32 bits: the callers bound an index far below 4 GiB.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Reads stanzas of a [`Universe`], keeping the block that was unpacked last.
pub struct Stanzas<'a> {
    universe: &'a Universe,
    unpacked: Option<(u32, String)>,
}

impl Stanzas<'_> {
    /// A package's stanza, verbatim.
    pub fn read(&mut self, id: PackageId) -> &str {
        let Some(record) = self.universe.records.get(id.0 as usize) else { return "" };
        let range = record.at as usize..(record.at + record.length) as usize;
        let Some(block) = self.universe.blocks.get(record.block as usize) else {
            return self.universe.open.get(range).unwrap_or_default();
        };
        if self.unpacked.as_ref().is_none_or(|(number, _)| *number != record.block) {
            self.unpacked = Some((record.block, block.unpack()));
        }
        self.unpacked.as_ref().and_then(|(_, text)| text.get(range)).unwrap_or_default()
    }
}

impl Block {
    /// The text that was packed: our own bytes in our own memory, so that this does not fail.
    fn unpack(&self) -> String {
        let bytes = if self.bytes.len() == self.unpacked {
            self.bytes.to_vec()
        } else {
            zstd::bulk::decompress(&self.bytes, self.unpacked).unwrap_or_default()
        };
        String::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A universe of stanzas given as `name version architecture` and further fields.
    pub fn universe(packages: &[(&str, &str)]) -> Universe {
        let mut universe = Universe::new();
        for (head, fields) in packages {
            universe.add(&stanza(head, fields), Origin(0)).unwrap();
        }
        universe
    }

    pub fn stanza(head: &str, fields: &str) -> String {
        let [name, version, architecture] = head.split(' ').collect::<Vec<_>>()[..] else { panic!("{head}") };
        let fields = if fields.is_empty() { String::new() } else { format!("{fields}\n") };
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{fields}Filename: pool/{name}.deb\nSize: 1\nSHA256: {}\n",
            Sha256::of(name.as_bytes())
        )
    }

    #[test]
    fn every_stanza_comes_back_verbatim_from_its_block() {
        let texts: Vec<String> = (0..3000).map(|n| stanza(&format!("p{n} 1.{n} all"), &format!("Description: número {n}"))).collect();
        let mut universe = Universe::new();
        assert_eq!(universe.read_index(texts.join("\n").as_bytes(), Origin(3)).unwrap(), 3000);
        assert!(universe.blocks.len() > 3);
        let mut stanzas = universe.stanzas();
        for (id, text) in universe.ids().zip(&texts) {
            assert_eq!(stanzas.read(id), text);
        }
        assert_eq!(universe.stanza(PackageId(7)), texts[7]);
        let summary = universe.summary(PackageId(2999));
        assert_eq!((summary.name, summary.version, summary.architecture, summary.origin), ("p2999", "1.2999", "all", Origin(3)));
    }

    #[test]
    fn packages_of_a_name_come_newest_first_and_local_ones_before_others() {
        let mut universe = Universe::new();
        let add = |universe: &mut Universe, head: &str, fields: &str, origin| universe.add(&stanza(head, fields), Origin(origin)).unwrap();
        let old = add(&mut universe, "a 1.9 amd64", "", 1);
        let upstream = add(&mut universe, "a 1.10 amd64", "", 1);
        let local = add(&mut universe, "a 1.10 amd64", "X: y", 0);
        let other = add(&mut universe, "b 1 amd64", "", 1);
        assert_eq!(universe.named("a"), [local, upstream, old]);
        assert_eq!(universe.named("b"), [other]);
        assert_eq!(universe.named("c"), []);
        assert_eq!(universe.named("0"), []);
    }

    #[test]
    fn an_index_that_names_a_file_outside_of_the_archive_is_refused_with_its_line() {
        let text = format!("{}\n{}", stanza("a 1 all", ""), stanza("b 1 all", "").replace("pool/b.deb", "../../etc/passwd"));
        let error = Universe::new().read_index(text.as_bytes(), Origin(0)).unwrap_err();
        assert_eq!(error.line, 8);
        assert!(matches!(error.source, PackageError::Path { .. }));
    }
}
