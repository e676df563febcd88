//! Writes a cache.

use std::collections::HashMap;
use std::fs::create_dir_all;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::codec::{digest_of, index_digest, write_entry, write_place};
use super::{Block, Cache, KEPT, Kept, MAGIC, Place, Raw, Section, Text};
use crate::mirror::directory::scan::OURS;

/// Writes a cache, block by block.
pub struct Writer {
    out: BufWriter<NamedTempFile>,
    at: u64,
    places: Vec<Place>,
    kept: HashMap<usize, Kept>,
    /// How much of them there would be, bytes.
    size: usize,
}

impl Writer {
    /// Begins beside `path`.
    ///
    /// # Errors
    /// What the system said.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_dir_all(folder)?;
        let file = NamedTempFile::with_prefix_in(OURS, folder)?;
        Ok(Self { out: BufWriter::with_capacity(1 << 16, file), at: 0, places: Vec::new(), kept: HashMap::new(), size: 0 })
    }

    /// Adds a block.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn push(&mut self, block: Block) -> io::Result<()> {
        let Block { entries, texts } = block;
        let mut table = Vec::new();
        entries.iter().for_each(|entry| write_entry(&mut table, entry));
        let mut sections = vec![self.section(&table, table.len())?];
        for Text { plain, packed } in &texts {
            sections.push(self.section(packed, plain.len())?);
        }
        let size = texts.iter().map(|text| text.plain.len() + text.packed.len()).sum();
        self.keep(Kept::Made(texts), size);
        let labels = entries.iter().map(|entry| entry.label.clone()).collect();
        self.place(Place { at: 0, sections, entries: u32::try_from(entries.len()).unwrap_or(u32::MAX), labels });
        Ok(())
    }

    /// Adds a block of another cache.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn copy(&mut self, raw: Raw) -> io::Result<()> {
        self.out.write_all(&raw.bytes)?;
        let size = raw.bytes.len();
        self.keep(Kept::Carried(raw.bytes), size);
        self.place(raw.place);
        Ok(())
    }

    /// Keeps the block that comes next. Of a listing that becomes too long nothing is kept.
    fn keep(&mut self, block: Kept, size: usize) {
        self.size += size;
        if self.size <= KEPT {
            self.kept.insert(self.places.len(), block);
        } else {
            self.kept = HashMap::new();
        }
    }

    fn section(&mut self, bytes: &[u8], plain: usize) -> io::Result<Section> {
        let length = |length: usize| {
            u32::try_from(length).map_err(|_| io::Error::other("the packages of one block have more than 4 GiB of metadata"))
        };
        self.out.write_all(bytes)?;
        Ok(Section { length: length(bytes.len())?, plain: length(plain)?, digest: digest_of(bytes) })
    }

    /// Notes the block that was just written.
    fn place(&mut self, place: Place) {
        let place = Place { at: self.at, ..place };
        self.at += place.length();
        self.places.push(place);
    }

    /// Gives the file its name and opens it for reading.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn finish(mut self, path: &Path, recipe: &str) -> io::Result<Cache> {
        let mut index = Vec::new();
        self.places.iter().for_each(|place| write_place(&mut index, place));
        self.out.write_all(&index)?;
        for bytes in [&self.at.to_le_bytes()[..], &(index.len() as u64).to_le_bytes(), &index_digest(recipe, &index), MAGIC] {
            self.out.write_all(bytes)?;
        }
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?.persist(path).map_err(|error| error.error)?;
        Ok(Cache { file, places: self.places, kept: self.kept })
    }
}
