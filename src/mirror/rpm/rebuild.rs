//! A filtered or merged repository: metadata of exactly the packages that are there, signed with the head's key.
//!
//! Upstream's own entries are taken over as they stand, so that nothing is lost that this version does not know.

use std::collections::{BTreeMap, HashMap, HashSet};

use time::OffsetDateTime;

use super::merge;
use super::packages::Item;
use super::published;
use super::records::{self, Held, refused};
use super::root::Root;
use crate::domain::checksum::{FileEntry, Sha256};
use crate::mirror::assemble::Tree;
use crate::mirror::error::chain;
use crate::mirror::{Error, Result};
use crate::repo::openpgp::SigningKey;
use crate::repo::path::ArchivePath;
use crate::repo::rpm::checksum::Checksum;
use crate::repo::rpm::filelists::pkgid_of;
use crate::repo::rpm::primary::{Package, Packages, relocate};
use crate::repo::rpm::repomd::{Record, Repomd};
use crate::repo::rpm::write::{Listing, ListingWriter, Packing, Written, write_whole};
use crate::sys::objects::ObjectStore;

/// Records that are made anew, or left out because they tell the same in another form (databases, zchunk, deltas of what may be gone).
const NOT_CARRIED: [&str; 3] = ["primary", "filelists", "other"];
const NOT_CARRIED_ENDINGS: [&str; 4] = ["_db", "_zck", "deltainfo", "prestodelta"];

/// One upstream repository that goes into a rebuilt one.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Its root.
    pub root: &'a Root,
    /// Its records.
    pub held: &'a [Held],
}

/// What a rebuilt repository is made of.
pub struct Rebuild<'a> {
    /// Its folder within the tree.
    pub path: &'a str,
    /// Where it is from; more than one: merged.
    pub parts: &'a [Part<'a>],
    /// Its packages; `root` counts the parts.
    pub items: &'a [Item],
    /// The head's key.
    pub key: &'a SigningKey,
    /// When.
    pub now: OffsetDateTime,
    /// Where objects are.
    pub store: &'a ObjectStore,
}

impl Rebuild<'_> {
    /// Adds packages, metadata and the signed root to a tree. Returns the checksum of the new repomd.xml.
    ///
    /// # Errors
    /// If the disk is full, the key cannot sign, or upstream's files contradict each other.
    pub fn add_to(&self, tree: &mut Tree) -> Result<Checksum> {
        let places = self.places();
        for (item, place) in self.items.iter().zip(&places) {
            tree.add(published(self.path, place), item.file.sha256, item.file.size);
        }
        let mut records = Vec::new();
        for listing in Listing::ALL {
            let written = self.listing(listing, &places)?;
            records.push(self.keep(tree, written)?);
        }
        records.extend(self.carried(tree)?);
        let first = &self.parts[0].root.repomd;
        let repomd = Repomd { revision: self.now.unix_timestamp().to_string(), tags: first.tags.clone(), records }.to_xml();
        let failed = |source| Error::SigningKey { path: self.key.fingerprint().into(), source: Box::new(source) };
        let signature = self.key.sign_detached(&repomd, self.now).map_err(failed)?;
        let public = self.key.public_armoured().map_err(failed)?;
        for (name, bytes) in [("", repomd.as_slice()), (".asc", signature.as_bytes()), (".key", public.as_bytes())] {
            tree.add_bytes(self.store, published(self.path, &format!("repodata/repomd.xml{name}")), bytes)?;
        }
        Ok(Sha256::of(&repomd).into())
    }

    /// Where each package lies: where upstream has it, unless another file of that name came from another part.
    fn places(&self) -> Vec<String> {
        let mut taken: HashMap<&ArchivePath, Sha256> = HashMap::new();
        let place = |item: &'_ Item, taken: &mut HashMap<_, _>| match taken.get(&item.href) {
            Some(other) if *other != item.file.sha256 => format!("same-name/{}/{}", item.file.sha256, item.href.file_name()),
            _ => item.href.to_string(),
        };
        let mut places = Vec::with_capacity(self.items.len());
        for item in self.items {
            places.push(place(item, &mut taken));
            taken.entry(&item.href).or_insert(item.file.sha256);
        }
        places
    }

    /// Writes one listing from upstream's entries of the chosen packages.
    fn listing(&self, listing: Listing, places: &[String]) -> Result<Written<std::fs::File>> {
        let chosen: HashMap<(usize, &str), &str> =
            self.items.iter().zip(places).map(|(item, place)| ((item.root, item.pkgid.as_str()), place.as_str())).collect();
        let count = chosen.len() as u64;
        let mut writer = ListingWriter::start(listing, count, self.packing(), self.store.scratch()?);
        let mut seen = HashSet::new();
        for (number, part) in self.parts.iter().enumerate() {
            let url = || part.root.address("repodata/repomd.xml");
            let Some(held) = part.held.iter().find(|held| held.record.kind == listing.name()) else {
                return Err(Error::Metadata { url: url(), problem: format!("it names no `{}` record", listing.name()) });
            };
            let wrong = |problem: String| refused(part.root, &held.record, problem);
            let mut packages = Packages::new(records::open(self.store, held)?);
            while let Some(raw) = packages.next_raw().map_err(|error| wrong(chain(&error)))? {
                let (pkgid, href) = match listing {
                    Listing::Primary => {
                        let package = Package::parse(raw).map_err(|error| wrong(chain(&error)))?;
                        (package.checksum.hex().to_owned(), package.href)
                    }
                    _ => (pkgid_of(raw).ok_or_else(|| wrong("a package has no pkgid".to_owned()))?.to_owned(), String::new()),
                };
                let Some(place) = chosen.get(&(number, pkgid.as_str())).filter(|_| seen.insert((number, pkgid.clone()))) else { continue };
                if listing == Listing::Primary && *place != href {
                    let moved = relocate(raw, place).ok_or_else(|| wrong("a package has no location".to_owned()))?;
                    writer.add(&moved)?;
                } else {
                    writer.add(raw)?;
                }
            }
        }
        let missing = || {
            let url = self.parts[0].root.address("repodata/repomd.xml");
            Error::Metadata { url, problem: format!("its `{}` record lacks packages that `primary` has", listing.name()) }
        };
        if (seen.len() as u64) < count { Err(missing()) } else { Ok(writer.finish()?) }
    }

    /// Clients that read upstream's compression read ours.
    fn packing(&self) -> Packing {
        let is_zst = |part: &Part<'_>| part.held.iter().any(|held| held.record.kind == "primary" && held.path.as_str().ends_with(".zst"));
        if self.parts.iter().all(is_zst) { Packing::Zst(3) } else { Packing::Gz(6) }
    }

    /// Stores a written file and adds it to the tree.
    fn keep(&self, tree: &mut Tree, written: Written<std::fs::File>) -> Result<Record> {
        let record = written.record(u64::try_from(self.now.unix_timestamp()).unwrap_or(0));
        let (sha256, size) = self.store.import_scratch(written.sink)?;
        tree.add(published(self.path, &record.href), sha256, size);
        Ok(record)
    }

    /// The other records: as they are from one part; from several merged where their kind is known, else the first.
    fn carried(&self, tree: &mut Tree) -> Result<Vec<Record>> {
        let carried = |held: &&Held| {
            let kind = held.record.kind.as_str();
            !NOT_CARRIED.contains(&kind) && !NOT_CARRIED_ENDINGS.iter().any(|ending| kind.ends_with(ending))
        };
        let mut kinds: BTreeMap<&str, Vec<(&Root, &Held)>> = BTreeMap::new();
        for part in self.parts {
            for held in part.held.iter().filter(carried) {
                kinds.entry(&held.record.kind).or_default().push((part.root, held));
            }
        }
        let mut records = Vec::new();
        for (kind, several) in kinds {
            let bytes = if several.len() == 1 { None } else { merge::of(self.store, kind, &several)? };
            match (bytes, several.first()) {
                (Some(bytes), _) => {
                    let written = write_whole(kind, merge::file_name(kind), &bytes, Packing::Gz(6), self.store.scratch()?)?;
                    records.push(self.keep(tree, written)?);
                }
                (None, Some((_, held))) => {
                    let FileEntry { size, sha256 } = held.file;
                    tree.add(published(self.path, held.path.as_str()), sha256, size);
                    records.push(held.record.clone());
                }
                (None, None) => {}
            }
        }
        Ok(records)
    }
}
