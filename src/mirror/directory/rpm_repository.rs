//! The metadata of a directory of RPM packages: `repodata/` with the three listings and repomd.xml.

use std::io::{self, Write};
use std::ops::Range;

use rayon::prelude::*;
use sha2::{Digest, Sha256 as Hasher};
use time::OffsetDateTime;

use super::cache::Cache;
use super::deb_archive::damaged;
use super::kind::Kind;
use super::old::unpack;
use super::rpms::Rpms;
use super::sink::Sink;
use crate::domain::checksum::Sha256;
use crate::mirror::{Error, Result};
use crate::repo::compress::compress;
use crate::repo::openpgp::SigningKey;
use crate::repo::rpm::repomd::{Record, Repomd};
use crate::repo::rpm::write::{Listing, Written};
use crate::sys::hashed::HashedFile;
use crate::sys::in_order::in_order;

/// A listing that was written.
struct Made {
    file: HashedFile,
    open_sha256: Sha256,
    open_size: u64,
}

/// Writes the three listings, and repomd.xml last.
///
/// # Errors
/// If the disk is full or the key cannot sign.
pub fn write(cache: &Cache, key: Option<&SigningKey>, now: OffsetDateTime, sink: &mut dyn Sink) -> Result<()> {
    let made: Vec<Made> = {
        let sink: &dyn Sink = sink;
        Listing::ALL.par_iter().enumerate().map(|(part, listing)| write_listing(*listing, part, cache, sink)).collect::<io::Result<_>>()?
    };
    let timestamp = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let records: Vec<Record> =
        Listing::ALL.iter().zip(made).map(|(listing, made)| put(*listing, made, timestamp, sink)).collect::<Result<_>>()?;
    let repomd = Repomd { revision: timestamp.to_string(), tags: Vec::new(), records }.to_xml();
    sink.put_bytes("repodata/repomd.xml", &repomd)?;
    if let Some(key) = key {
        let failed = |source| Error::SigningKey { path: key.fingerprint().into(), source: Box::new(source) };
        sink.put_bytes("repodata/repomd.xml.asc", key.sign_detached(&repomd, now).map_err(failed)?.as_bytes())?;
        sink.put_bytes("repodata/repomd.xml.key", key.public_armoured().map_err(failed)?.as_bytes())?;
    }
    Ok(())
}

fn put(listing: Listing, made: Made, timestamp: u64, sink: &mut dyn Sink) -> Result<Record> {
    let written = Written {
        name: listing.name().to_owned(),
        file: format!("{}.xml{}", listing.name(), Rpms.compression().suffix()),
        checksum: made.file.sha256(),
        open_checksum: made.open_sha256,
        size: made.file.size(),
        open_size: made.open_size,
        sink: (),
    };
    sink.put(&written.href(), made.file)?;
    Ok(written.record(timestamp))
}

/// One listing: a piece for its beginning, the blocks of the cache as they are, a piece for its end.
fn write_listing(listing: Listing, part: usize, cache: &Cache, sink: &dyn Sink) -> io::Result<Made> {
    let mut file = sink.create()?;
    let (mut open, mut open_size) = (Hasher::new(), 0);
    let mut piece = |text: &[u8], packed: &[u8]| {
        open.update(text);
        open_size += text.len() as u64;
        file.write_all(packed)
    };
    let (head, tail) = (listing.head(cache.entries()), listing.tail());
    piece(head.as_bytes(), &compress(head.as_bytes(), Rpms.compression())?)?;
    let text = |block| cache.text(block, part, |packed| unpack(packed, &Rpms));
    let make = |run: Range<usize>| run.map(text).collect();
    in_order(cache.runs(part), make, |run: Option<Vec<_>>| {
        run.ok_or_else(damaged)?.iter().try_for_each(|text| piece(&text.plain, &text.packed))
    })?;
    piece(tail.as_bytes(), &compress(tail.as_bytes(), Rpms.compression())?)?;
    Ok(Made { file, open_sha256: Sha256::new(open.finalize().into()), open_size })
}
