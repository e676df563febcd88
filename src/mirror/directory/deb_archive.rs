//! The metadata of a directory of Debian packages, in the shape of an archive: `dists/SUITE/` with its indices and a Release file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Range;

use rayon::prelude::*;
use time::OffsetDateTime;

use super::cache::{Cache, Text};
use super::debs::{Debs, Document};
use super::kind::Kind;
use super::old::{starts, unpack};
use super::sink::Sink;
use crate::domain::checksum::FileEntry;
use crate::mirror::{Error, Result};
use crate::repo::compress::compress;
use crate::repo::deb::release::Release;
use crate::repo::openpgp::SigningKey;
use crate::repo::path::archive_path;
use crate::sys::hashed::HashedFile;
use crate::sys::in_order::in_order;

/// What an archive is called, and who signs it.
pub struct Archive<'a> {
    /// The suite that clients name.
    pub suite: &'a str,
    /// What the Release file says of it.
    pub label: &'a str,
    /// Who signs; `None`: nobody.
    pub key: Option<&'a SigningKey>,
    /// When.
    pub now: OffsetDateTime,
}

impl Archive<'_> {
    /// Writes all indices, and the Release file last. Returns the architectures.
    ///
    /// # Errors
    /// If the disk is full or the key cannot sign.
    pub fn write(&self, kind: &Debs, cache: &Cache, sink: &mut dyn Sink) -> Result<Vec<String>> {
        let dists = format!("dists/{}", self.suite);
        let documents = Document::of(labels(cache), own_architecture());
        let made: Vec<(HashedFile, HashedFile)> = {
            let sink: &dyn Sink = sink;
            documents.par_iter().map(|document| write_document(document, kind, cache, sink)).collect::<io::Result<_>>()?
        };
        let mut files = BTreeMap::new();
        for (document, (plain, packed)) in documents.iter().zip(made) {
            let folder = format!("{}/binary-{}", document.component, document.architecture);
            for (name, file) in [("Packages", plain), ("Packages.gz", packed)] {
                let entry = sink.put_index(&format!("{dists}/{folder}/{name}"), file)?;
                files.insert(archive_path(&format!("{folder}/{name}"))?, entry);
            }
        }
        let architectures: BTreeSet<String> = documents.into_iter().map(|document| document.architecture).collect();
        let architectures: Vec<String> = architectures.into_iter().collect();
        self.write_release(&dists, &architectures, files, sink)?;
        Ok(architectures)
    }

    fn write_release(
        &self,
        dists: &str,
        architectures: &[String],
        files: BTreeMap<crate::repo::path::ArchivePath, FileEntry>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let release = Release {
            origin: "kickctl".to_owned(),
            label: self.label.to_owned(),
            suite: self.suite.to_owned(),
            codename: self.suite.to_owned(),
            version: String::new(),
            description: format!("packages of {}", self.label),
            date: self.now,
            valid_until: None,
            components: vec!["main".to_owned()],
            architectures: architectures.to_vec(),
            acquire_by_hash: true,
            no_support_for_arch_all: true,
            files,
        };
        let text = release.to_text();
        sink.put_bytes(&format!("{dists}/Release"), text.as_bytes())?;
        let Some(key) = self.key else { return Ok(()) };
        let failed = |source| Error::SigningKey { path: key.fingerprint().into(), source: Box::new(source) };
        let (detached, signed) = rayon::join(
            || key.sign_detached(text.as_bytes(), self.now).map_err(failed),
            || key.sign_cleartext(&text, self.now).map_err(failed),
        );
        let (detached, signed) = (detached?, signed?);
        sink.put_bytes(&format!("{dists}/Release.gpg"), detached.as_bytes())?;
        sink.put_bytes(&format!("{dists}/InRelease"), signed.as_bytes())?;
        Ok(())
    }
}

/// One index, plain and compressed. Blocks of which every package belongs to it are copied as they are.
fn write_document(document: &Document, kind: &Debs, cache: &Cache, sink: &dyn Sink) -> io::Result<(HashedFile, HashedFile)> {
    let (mut plain, mut packed) = (sink.create()?, sink.create()?);
    let make = |run: Range<usize>| run.filter_map(|number| piece(number, document, kind, cache).transpose()).collect();
    in_order(cache.runs(0), make, |pieces: io::Result<Vec<Cow<'_, Text>>>| {
        pieces?.iter().try_for_each(|piece| {
            plain.write_all(&piece.plain)?;
            packed.write_all(&piece.packed)
        })
    })?;
    if packed.size() == 0 {
        packed.write_all(&compress(b"", kind.compression())?)?;
    }
    Ok((plain, packed))
}

/// What a block adds to an index, if anything.
fn piece<'a>(number: usize, document: &Document, kind: &Debs, cache: &'a Cache) -> io::Result<Option<Cow<'a, Text>>> {
    if !cache.labels(number).any(|label| document.holds(label)) {
        return Ok(None);
    }
    let text = cache.text(number, 0, |packed| unpack(packed, kind)).ok_or_else(damaged)?;
    if cache.labels(number).all(|label| document.holds(label)) {
        return Ok(Some(text));
    }
    let table = cache.table(number).ok_or_else(damaged)?;
    let mut plain = Vec::new();
    for (entry, start) in table.iter().zip(starts(&table)).filter(|(entry, _)| document.holds(&entry.label)) {
        plain.extend_from_slice(text.plain.get(start[0]..start[0] + entry.lengths[0] as usize).ok_or_else(damaged)?);
    }
    let packed = compress(&plain, kind.compression())?;
    Ok(Some(Cow::Owned(Text { plain, packed })))
}

/// All labels there are.
fn labels(cache: &Cache) -> BTreeSet<String> {
    let labels: BTreeSet<&str> = (0..cache.blocks()).flat_map(|block| cache.labels(block)).collect();
    labels.into_iter().map(str::to_owned).collect()
}

/// The head's own architecture, as Debian calls it.
fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        other => other,
    }
}

/// What was written a moment ago does not read: the disk is failing, or somebody else writes to it.
pub fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the cache of the directory's packages does not read: check the disk, then run the command again",
    )
}
