//! The header of a package file: what `rpm` knows of a package without its payload.
//!
//! A file is a lead (96 bytes), a signature header padded to 8 bytes, the header, and the payload. A header is a preamble of 16 bytes, an
//! index of entries of 16 bytes (tag, type, offset, count; big-endian) and a store of data that they point into (rpm's
//! `docs/manual/format.md`). Only lead, signature and header are read, however large the file is.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use super::tag::{self, DependencyTags, Tag};

const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
const HEADER_MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
const PREAMBLE: usize = 16;
const ENTRY: usize = 16;
/// What rpm itself allows.
const MAX_ENTRIES: u32 = 0xffff;
/// A quarter of what rpm allows; the largest header seen in a distribution has 20 MB.
const MAX_STORE: u32 = 64 << 20;

/// Why a file's header cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// It does not begin like a package.
    #[error("not an RPM package: it does not begin with the lead of one")]
    NotRpm,
    /// The preamble of a header is not where it should be.
    #[error("damaged RPM package: no {0} where it should begin")]
    NoHeader(Part),
    /// A header claims more than is allowed.
    #[error("the {part} has {entries} entries and {store} bytes, more than the {MAX_ENTRIES} and {MAX_STORE} allowed")]
    TooLarge {
        /// Which header.
        part: Part,
        /// Its entries.
        entries: u32,
        /// The bytes of its store.
        store: u32,
    },
    /// An entry points outside the store, or is of an unknown type.
    #[error("damaged RPM package: entry {tag} of the {part} points outside of it")]
    BadEntry {
        /// Which header.
        part: Part,
        /// The entry's tag.
        tag: Tag,
    },
    /// A tag that every package has is missing.
    #[error("damaged RPM package: its header has no {0}")]
    Missing(&'static str),
    /// The file ends within the header.
    #[error("the RPM package ends within its {0}")]
    CutShort(Part),
    /// The file could not be read.
    #[error("cannot read the RPM package")]
    Io(#[from] io::Error),
}

/// Which of a file's two headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The signature header.
    Signature,
    /// The header proper.
    Header,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "signature header",
            Self::Header => "header",
        })
    }
}

/// A package's header, checked: name, version, release and architecture are there, and every entry lies within the store.
#[derive(Clone)]
pub struct Header {
    header: Block,
    range: Range<u64>,
    archive_size: u64,
    is_source: bool,
}

impl Header {
    /// Reads from the beginning of a package file, up to the end of its header and no byte further.
    ///
    /// Memory: at most 64 MiB for each of the two headers, and never more than the reader gave.
    pub fn read(reader: &mut impl Read) -> Result<Self, HeaderError> {
        let mut lead = [0; LEAD];
        reader.read_exact(&mut lead).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => HeaderError::NotRpm,
            _ => HeaderError::Io(error),
        })?;
        if lead[..4] != LEAD_MAGIC {
            return Err(HeaderError::NotRpm);
        }
        let signature = Block::read(reader, Part::Signature)?;
        // The header begins at a multiple of 8; the signature header's own length is not one.
        let mut padding = [0; 8];
        let padding = &mut padding[..signature.len().wrapping_neg() % 8];
        reader.read_exact(padding).map_err(|error| cut_short(error, Part::Signature))?;
        let start = (LEAD + signature.len() + padding.len()) as u64;
        let header = Block::read(reader, Part::Header)?;
        for (tag, name) in [(tag::NAME, "name"), (tag::VERSION, "version"), (tag::RELEASE, "release"), (tag::ARCH, "architecture")] {
            header.text(tag).filter(|text| !text.is_empty()).ok_or(HeaderError::Missing(name))?;
        }
        let archive_size = [tag::LONG_ARCHIVE_SIZE, tag::SIGNATURE_PAYLOAD_SIZE].into_iter().find_map(|tag| signature.number(tag));
        let lead_is_source = u16::from_be_bytes([lead[6], lead[7]]) == 1;
        Ok(Self {
            range: start..start + header.len() as u64,
            archive_size: archive_size
                .or_else(|| header.number(tag::LONG_ARCHIVE_SIZE))
                .or_else(|| header.number(tag::ARCHIVE_SIZE))
                .unwrap_or(0),
            // Source packages older than rpm 4.6 have no tag that says so: no source package's name in them, and the lead tells.
            is_source: header.number(tag::SOURCE_PACKAGE).is_some_and(|flag| flag != 0)
                || (header.entry(tag::SOURCE_RPM).is_none() && lead_is_source),
            header,
        })
    }

    /// Where the header lies in the file, byte offsets: what primary.xml calls `header-range`.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// True for a source package.
    pub fn is_source(&self) -> bool {
        self.is_source
    }

    /// `src` for a source package, else the architecture as written.
    pub fn arch(&self) -> &[u8] {
        if self.is_source { b"src" } else { self.text(tag::ARCH) }
    }

    /// The epoch, 0 if there is none.
    pub fn epoch(&self) -> u64 {
        self.number(tag::EPOCH)
    }

    /// The installed size in bytes.
    pub fn installed_size(&self) -> u64 {
        self.header.number(tag::LONG_SIZE).unwrap_or_else(|| self.number(tag::SIZE))
    }

    /// The size of the payload uncompressed, bytes; 0 if the package does not say.
    pub fn archive_size(&self) -> u64 {
        self.archive_size
    }

    /// A tag's text as written, of several the first; empty if there is none. Not always UTF-8.
    pub fn text(&self, tag: Tag) -> &[u8] {
        self.header.text(tag).unwrap_or_default()
    }

    /// True if the header has the tag.
    pub fn has(&self, tag: Tag) -> bool {
        self.header.entry(tag).is_some()
    }

    /// A tag's number, of several the first; 0 if there is none.
    pub fn number(&self, tag: Tag) -> u64 {
        self.header.number(tag).unwrap_or(0)
    }

    /// A tag's numbers, in order.
    pub fn numbers(&self, tag: Tag) -> Numbers<'_> {
        self.header.numbers(tag)
    }

    /// A tag's texts, in order.
    pub fn texts(&self, tag: Tag) -> Texts<'_> {
        self.header.texts(tag)
    }

    /// One kind of dependencies as `(name, flags, version)`, in order. Nothing if one of the three tags is missing.
    pub fn dependencies(&self, tags: DependencyTags) -> impl Iterator<Item = (&[u8], u64, &[u8])> {
        self.texts(tags.names)
            .zip(self.numbers(tags.flags))
            .zip(self.texts(tags.versions))
            .map(|((name, flags), version)| (name, flags, version))
    }

    /// The files in order, with the folder's path ending in a slash. Empty if the header is at odds with itself.
    pub fn files(&self) -> Vec<File<'_>> {
        let kinds = || self.numbers(tag::FILE_MODES).zip(self.numbers(tag::FILE_FLAGS)).map(|(mode, flags)| FileKind::of(mode, flags));
        if self.has(tag::OLD_FILENAMES) && !self.has(tag::BASE_NAMES) {
            return self
                .texts(tag::OLD_FILENAMES)
                .zip(kinds())
                .map(|(path, kind)| {
                    let split = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                    File { folder: &path[..split], name: &path[split..], kind }
                })
                .collect();
        }
        let folders: Vec<&[u8]> = self.texts(tag::DIR_NAMES).collect();
        self.texts(tag::BASE_NAMES)
            .zip(self.numbers(tag::DIR_INDEXES))
            .zip(kinds())
            .filter_map(|((name, folder), kind)| {
                let folder = folders.get(usize::try_from(folder).ok()?)?;
                Some(File { folder, name, kind })
            })
            .collect()
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |tag| String::from_utf8_lossy(self.text(tag)).into_owned();
        write!(f, "Header({}-{}-{})", part(tag::NAME), part(tag::VERSION), part(tag::RELEASE))
    }
}

/// One file of a package, as its header has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// The folder with its slash at the end.
    pub folder: &'a [u8],
    /// The last segment.
    pub name: &'a [u8],
    /// What it is.
    pub kind: FileKind,
}

/// What metadata tells of a file's nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Anything but the others.
    File,
    /// A directory, even one that is not in the payload.
    Dir,
    /// Owned, but not in the payload.
    Ghost,
}

impl FileKind {
    fn of(mode: u64, flags: u64) -> Self {
        const GHOST: u64 = 1 << 6;
        match mode & 0o170_000 {
            0o040_000 => Self::Dir,
            _ if flags & GHOST != 0 => Self::Ghost,
            _ => Self::File,
        }
    }
}

/// Index and store of one header, every entry checked to lie within the store.
#[derive(Clone)]
struct Block {
    index: Vec<u8>,
    store: Vec<u8>,
}

/// An entry of the index.
#[derive(Clone, Copy)]
struct Entry {
    tag: Tag,
    kind: u32,
    offset: usize,
    count: usize,
}

impl Block {
    fn read(reader: &mut impl Read, part: Part) -> Result<Self, HeaderError> {
        let mut preamble = [0; PREAMBLE];
        reader.read_exact(&mut preamble).map_err(|error| cut_short(error, part))?;
        if preamble[..4] != HEADER_MAGIC {
            return Err(HeaderError::NoHeader(part));
        }
        let (entries, store) = (be32(&preamble[8..]), be32(&preamble[12..]));
        if entries > MAX_ENTRIES || store > MAX_STORE {
            return Err(HeaderError::TooLarge { part, entries, store });
        }
        let block = Self { index: exactly(reader, entries as usize * ENTRY, part)?, store: exactly(reader, store as usize, part)? };
        let bad = block.entries().find(|entry| !block.holds(entry));
        bad.map_or(Ok(block), |entry| Err(HeaderError::BadEntry { part, tag: entry.tag }))
    }

    /// Length in the file, bytes.
    fn len(&self) -> usize {
        PREAMBLE + self.index.len() + self.store.len()
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.index.chunks_exact(ENTRY).map(|entry| Entry {
            tag: be32(entry),
            kind: be32(&entry[4..]),
            offset: be32(&entry[8..]) as usize,
            count: be32(&entry[12..]) as usize,
        })
    }

    fn entry(&self, tag: Tag) -> Option<Entry> {
        self.entries().find(|entry| entry.tag == tag)
    }

    /// True if the entry's data lie in the store. Texts end where they end: the iterator stops at the store's end.
    fn holds(&self, entry: &Entry) -> bool {
        let width = match entry.kind {
            0 => return true,
            6 | 8 | 9 => return entry.offset <= self.store.len(),
            kind => match width(kind) {
                Some(width) => width,
                None => return false,
            },
        };
        entry.count.checked_mul(width).and_then(|length| length.checked_add(entry.offset)).is_some_and(|end| end <= self.store.len())
    }

    fn text(&self, tag: Tag) -> Option<&[u8]> {
        self.texts(tag).next()
    }

    fn number(&self, tag: Tag) -> Option<u64> {
        self.numbers(tag).next()
    }

    fn texts(&self, tag: Tag) -> Texts<'_> {
        match self.entry(tag) {
            // A plain string is one, whatever its count says.
            Some(entry) if entry.kind == 6 => Texts { rest: &self.store[entry.offset..], left: 1 },
            Some(entry) if matches!(entry.kind, 8 | 9) => Texts { rest: &self.store[entry.offset..], left: entry.count },
            _ => Texts { rest: &[], left: 0 },
        }
    }

    fn numbers(&self, tag: Tag) -> Numbers<'_> {
        match self.entry(tag) {
            Some(Entry { kind, offset, count, .. }) if (1..=5).contains(&kind) => {
                let width = width(kind).unwrap_or(1);
                Numbers { rest: &self.store[offset..offset + count * width], width }
            }
            _ => Numbers { rest: &[], width: 1 },
        }
    }
}

/// Bytes of one item of a type of fixed size: char, int8 .. int64, binary.
fn width(kind: u32) -> Option<usize> {
    match kind {
        1 | 2 | 7 => Some(1),
        3 => Some(2),
        4 => Some(4),
        5 => Some(8),
        _ => None,
    }
}

/// Texts of a tag.
#[derive(Clone)]
pub struct Texts<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Some(text)
    }
}

/// Numbers of a tag.
#[derive(Clone)]
pub struct Numbers<'a> {
    rest: &'a [u8],
    width: usize,
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (number, rest) = self.rest.split_at_checked(self.width).filter(|(number, _)| !number.is_empty())?;
        self.rest = rest;
        Some(number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

/// Reads `length` bytes, allocating no more than arrive.
fn exactly(reader: &mut impl Read, length: usize, part: Part) -> Result<Vec<u8>, HeaderError> {
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    reader.by_ref().take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(HeaderError::CutShort(part));
    }
    Ok(bytes)
}

fn cut_short(error: io::Error, part: Part) -> HeaderError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => HeaderError::CutShort(part),
        _ => HeaderError::Io(error),
    }
}

/// The first four bytes as a big-endian number; the callers have seen to it that there are four.
fn be32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
