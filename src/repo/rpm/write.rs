//! Writing primary.xml, filelists.xml and other.xml, package by package, in bounded memory: each file is hashed, compressed and hashed
//! again in a thread of its own while the next packages are prepared.
//!
//! ```
//! # use kickctl::repo::rpm::{fragment::Fragments, repomd::Repomd, write::{MetadataWriter, Packing}};
//! # fn f(fragments: Vec<Fragments>) -> Result<(), Box<dyn std::error::Error>> {
//! let sinks = [Vec::new(), Vec::new(), Vec::new()];                  // or files, renamed to `written.href()` afterwards
//! let mut writer = MetadataWriter::start(fragments.len() as u64, Packing::Zst(3), sinks);
//! for fragment in &fragments {
//!     writer.add(fragment)?;
//! }
//! let written = writer.finish()?;
//! let records = written.iter().map(|one| one.record(1_700_000_000)).collect();
//! let repomd = Repomd { revision: "1700000000".into(), tags: vec![], records };
//! # Ok(()) }
//! ```

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256 as Hasher};

use super::fragment::Fragments;
use super::repomd::Record;
use crate::domain::checksum::Sha256;

/// Fragments are handed to the compressing thread in pieces of at least this size.
const PIECE: usize = 256 << 10;
/// How many pieces may wait for it.
const WAITING: usize = 4;

/// How a metadata file is compressed, with the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, levels 1 to 9: read by every client.
    Gz(u32),
    /// Zstandard, levels 1 to 19: faster and smaller; read by clients of EL 8, Fedora 29 and newer.
    Zst(i32),
}

impl Packing {
    /// The file name's suffix with its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gz(_) => ".gz",
            Self::Zst(_) => ".zst",
        }
    }
}

/// The three files that list packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// What a client needs to resolve dependencies.
    Primary,
    /// All files.
    Filelists,
    /// Changelogs.
    Other,
}

impl Listing {
    /// All three, in the order of repomd.xml.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Filelists, Self::Other];

    /// The record's kind in repomd.xml, and the file name before `.xml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Filelists => "filelists",
            Self::Other => "other",
        }
    }

    /// The text before the packages. `count`: how many there will be.
    pub fn head(self, count: u64) -> String {
        let (root, namespaces) = match self {
            Self::Primary => {
                ("metadata", "xmlns=\"http://linux.duke.edu/metadata/common\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"")
            }
            Self::Filelists => ("filelists", "xmlns=\"http://linux.duke.edu/metadata/filelists\""),
            Self::Other => ("otherdata", "xmlns=\"http://linux.duke.edu/metadata/other\""),
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} {namespaces} packages=\"{count}\">\n")
    }

    /// The text after them.
    pub fn tail(self) -> &'static str {
        match self {
            Self::Primary => "</metadata>\n",
            Self::Filelists => "</filelists>\n",
            Self::Other => "</otherdata>\n",
        }
    }
}

/// A file that was written whole.
#[derive(Debug)]
pub struct Written<W> {
    /// Kind and file name: `primary`, `filelists`, `other`, `updateinfo`, `comps` ...
    pub name: String,
    /// What the file is called after its checksum: `primary.xml.gz`.
    pub file: String,
    /// Digest of the file.
    pub checksum: Sha256,
    /// Digest of what it holds.
    pub open_checksum: Sha256,
    /// Size of the file, bytes.
    pub size: u64,
    /// Size of what it holds, bytes.
    pub open_size: u64,
    /// What was written to.
    pub sink: W,
}

impl<W> Written<W> {
    /// Its path in the repository, with the checksum before the name: no client can take an old file for a new one.
    pub fn href(&self) -> String {
        format!("repodata/{}-{}", self.checksum, self.file)
    }

    /// Its record in repomd.xml. `timestamp`: seconds since 1970.
    pub fn record(&self, timestamp: u64) -> Record {
        Record {
            open_checksum: Some(self.open_checksum.into()),
            timestamp,
            size: Some(self.size),
            open_size: Some(self.open_size),
            ..Record::new(&self.name, &self.href(), self.checksum.into())
        }
    }
}

/// Writes all three listings from fragments in order.
pub struct MetadataWriter<W>([ListingWriter<W>; 3]);

impl<W: Write + Send + 'static> MetadataWriter<W> {
    /// `count`: how many packages will come, which the files say at their beginning. `sinks`: where the files of [`Listing::ALL`] go.
    pub fn start(count: u64, packing: Packing, sinks: [W; 3]) -> Self {
        let [primary, filelists, other] = sinks;
        Self([
            ListingWriter::start(Listing::Primary, count, packing, primary),
            ListingWriter::start(Listing::Filelists, count, packing, filelists),
            ListingWriter::start(Listing::Other, count, packing, other),
        ])
    }

    /// Takes the next package.
    pub fn add(&mut self, fragments: &Fragments) -> io::Result<()> {
        let [primary, filelists, other] = &mut self.0;
        primary.add(&fragments.primary)?;
        filelists.add(&fragments.filelists)?;
        other.add(&fragments.other)
    }

    /// Ends the files. Errors: a sink's, or another number of packages than was said.
    pub fn finish(self) -> io::Result<[Written<W>; 3]> {
        let [primary, filelists, other] = self.0.map(ListingWriter::finish);
        Ok([primary?, filelists?, other?])
    }
}

/// Writes one listing, in a thread of its own.
pub struct ListingWriter<W> {
    listing: Listing,
    stream: Stream<W>,
    left: u64,
}

impl<W: Write + Send + 'static> ListingWriter<W> {
    /// `count`: how many packages will come.
    pub fn start(listing: Listing, count: u64, packing: Packing, sink: W) -> Self {
        let mut stream = Stream::start(listing.name(), format!("{}.xml{}", listing.name(), packing.suffix()), packing, sink);
        stream.waiting.extend_from_slice(listing.head(count).as_bytes());
        Self { listing, stream, left: count }
    }

    /// Takes the next `<package>` element. A line feed is added if it has none.
    pub fn add(&mut self, element: &[u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("more packages than the listing's beginning says"))?;
        self.stream.push(element)?;
        if element.ends_with(b"\n") { Ok(()) } else { self.stream.push(b"\n") }
    }

    /// Ends the file. Errors: the sink's, or fewer packages than was said.
    pub fn finish(mut self) -> io::Result<Written<W>> {
        if self.left != 0 {
            return Err(io::Error::other(format!("{} packages fewer than the listing's beginning says", self.left)));
        }
        self.stream.push(self.listing.tail().as_bytes())?;
        self.stream.finish()
    }
}

/// Writes a file that is already whole in memory (updateinfo, comps, modules ...), compressed; `name` is the record's kind, `file` the
/// file's name without the packing's suffix.
pub fn write_whole<W: Write + Send + 'static>(name: &str, file: &str, bytes: &[u8], packing: Packing, sink: W) -> io::Result<Written<W>> {
    let mut stream = Stream::start(name, format!("{file}{}", packing.suffix()), packing, sink);
    stream.push(bytes)?;
    stream.finish()
}

/// A file on its way through two digests and a compressor.
struct Stream<W> {
    waiting: Vec<u8>,
    pieces: SyncSender<Vec<u8>>,
    thread: JoinHandle<io::Result<Written<W>>>,
}

impl<W: Write + Send + 'static> Stream<W> {
    fn start(name: &str, file: String, packing: Packing, sink: W) -> Self {
        let (pieces, arriving) = sync_channel::<Vec<u8>>(WAITING);
        let name = name.to_owned();
        let thread = std::thread::spawn(move || {
            let mut open = Hasher::new();
            let mut open_size = 0;
            let mut packer = Packer::new(packing, Tally { sink, hasher: Hasher::new(), size: 0 })?;
            for piece in arriving {
                open.update(&piece);
                open_size += piece.len() as u64;
                packer.write_all(&piece)?;
            }
            let mut tally = packer.finish()?;
            tally.sink.flush()?;
            Ok(Written {
                name,
                file,
                checksum: Sha256::new(tally.hasher.finalize().into()),
                open_checksum: Sha256::new(open.finalize().into()),
                size: tally.size,
                open_size,
                sink: tally.sink,
            })
        });
        Self { waiting: Vec::with_capacity(PIECE), pieces, thread }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < PIECE {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        // The thread hangs up only when its sink fails; `finish` tells why.
        self.pieces.send(piece).map_err(|_| io::Error::other("the metadata file could not be written"))
    }

    fn finish(self) -> io::Result<Written<W>> {
        let Self { waiting, pieces, thread } = self;
        let _ = pieces.send(waiting);
        drop(pieces);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes the metadata file ended early")))
    }
}

enum Packer<W: Write> {
    Plain(W),
    Gz(flate2::write::GzEncoder<W>),
    Zst(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Packer<W> {
    fn new(packing: Packing, sink: W) -> io::Result<Self> {
        Ok(match packing {
            Packing::Plain => Self::Plain(sink),
            // Without name and time, so that equal packages give equal files.
            Packing::Gz(level) => Self::Gz(flate2::write::GzEncoder::new(sink, flate2::Compression::new(level))),
            Packing::Zst(level) => Self::Zst(zstd::stream::write::Encoder::new(sink, level)?),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.write_all(bytes),
            Self::Gz(encoder) => encoder.write_all(bytes),
            Self::Zst(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(sink) => Ok(sink),
            Self::Gz(encoder) => encoder.finish(),
            Self::Zst(encoder) => encoder.finish(),
        }
    }
}

/// Hashes and counts what passes.
struct Tally<W> {
    sink: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
