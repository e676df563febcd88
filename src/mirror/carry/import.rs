//! Taking in what another head wrote: all of it is verified before anything of it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::manifest::{Line, MAX_MANIFEST, Manifest, Object};
use super::volumes::{self, Reader};
use super::{KEY, MANIFEST, OBJECTS};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::Snapshot;
use crate::mirror::assemble::{self, Tree};
use crate::mirror::layout::MirrorDir;
use crate::mirror::progress::{Event, Progress};
use crate::mirror::{Error, Result};
use crate::repo::openpgp::{self, Keyring, SigningKey};
use crate::sys::atomic::named;
use crate::sys::hashed::HashedFile;
use crate::sys::join::inside;
use crate::sys::objects::ObjectStore;

/// What is verified lies in a folder of this name until all of it is.
const STAGING: &str = ".import-";

/// A carrier whose manifest was verified.
pub struct Carrier {
    from: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Fingerprints of the keys that signed it.
    pub signers: Vec<String>,
}

/// A refusal: nothing was changed.
fn refused(from: &Path, problem: impl std::fmt::Display) -> Error {
    Error::Refused(format!("{} is refused: {problem}. Nothing was changed", from.display()))
}

/// Reads a manifest without believing it yet: of which mirror it is says whose key is asked for.
///
/// # Errors
/// [`Error::Refused`] if it is none.
pub fn read_manifest(from: &Path) -> Result<Vec<u8>> {
    if from.is_dir() {
        let path = from.join(MANIFEST);
        let file = File::open(&path).map_err(|error| refused(from, format!("{MANIFEST}: {error}")))?;
        return bounded(from, file);
    }
    let mut tar = tar::Archive::new(Reader::open(from)?);
    let first = tar.entries()?.next().ok_or_else(|| refused(from, "it is empty"))?;
    let entry = first.map_err(|error| refused(from, format!("it is no tar: {error}")))?;
    if &*entry.path_bytes() != MANIFEST.as_bytes() {
        return Err(refused(from, format!("it does not begin with `{MANIFEST}`: it is no export of kickctl, or not its first volume")));
    }
    bounded(from, entry)
}

fn bounded(from: &Path, reader: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_MANIFEST + 1).read_to_end(&mut bytes).map_err(|error| refused(from, error))?;
    if bytes.len() as u64 > MAX_MANIFEST { Err(refused(from, "its manifest is too large")) } else { Ok(bytes) }
}

/// What a manifest says, unverified: good for nothing but to find the key.
///
/// # Errors
/// [`Error::Refused`].
pub fn unverified(from: &Path, bytes: &[u8]) -> Result<Manifest> {
    let text = String::from_utf8_lossy(bytes);
    let body = text.split_once("\n\n").map_or("", |(_, body)| body);
    let body = body.split_once("-----BEGIN PGP SIGNATURE-----").map_or(body, |(body, _)| body);
    Manifest::parse(body).map_err(|problem| refused(from, problem))
}

impl Carrier {
    /// Verifies a manifest.
    ///
    /// # Errors
    /// [`Error::Refused`], with whom one would have to trust.
    pub fn verify(from: &Path, bytes: &[u8], ring: &Keyring, now: OffsetDateTime) -> Result<Self> {
        let verified = openpgp::verify_cleartext(bytes, ring, now).map_err(|error| {
            refused(
                from,
                format!("its manifest is not trusted: {error}. If you trust the head that wrote it, name its keys/signing.asc by --key"),
            )
        })?;
        let manifest = Manifest::parse(&verified.text).map_err(|problem| refused(from, problem))?;
        Ok(Self { from: from.to_owned(), manifest, signers: verified.signers })
    }

    fn refuse<T>(&self, problem: impl std::fmt::Display) -> Result<T> {
        Err(refused(&self.from, problem))
    }
}

/// Where a carrier is taken in.
pub struct Import<'a> {
    /// The mirror's folder, locked by the caller.
    pub dir: &'a MirrorDir,
    /// The object store, locked shared by the caller.
    pub store: &'a ObjectStore,
    /// The head's key, which signs anew what the other head had signed: its nodes know this one.
    pub key: &'a SigningKey,
    /// When.
    pub now: OffsetDateTime,
    /// Hears of it.
    pub progress: &'a dyn Progress,
}

/// Verified objects that are not in the store yet.
pub struct Staged {
    folder: tempfile::TempDir,
    objects: BTreeMap<Sha256, u64>,
}

impl Staged {
    /// Bytes together.
    pub fn bytes(&self) -> u64 {
        self.objects.values().sum()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.objects.len()
    }
}

impl Import<'_> {
    /// Refuses what is older than what there is, and what builds on something that is not there. `Some`: the snapshot is there already.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn check(&self, carrier: &Carrier) -> Result<Option<Snapshot>> {
        let Manifest { snapshot, since, tree, upstream, objects, .. } = &carrier.manifest;
        if let Some(there) = self.dir.read(&snapshot.id)? {
            return Ok(Some(there));
        }
        if let Some(newest) = self.dir.list()?.last().filter(|newest| newest.id > snapshot.id) {
            return carrier.refuse(format!("its snapshot {} is older than {}, which this head has", snapshot.id, newest.id));
        }
        let id = assemble::snapshot_id(snapshot.made, &self.tree(carrier, tree)?)?;
        if id != snapshot.id {
            return carrier.refuse(format!("its files make snapshot {id}, and it says {}", snapshot.id));
        }
        let carried: BTreeSet<&Object> = objects.iter().collect();
        let is_missing = |line: &&Line| !carried.contains(&Object(line.1, line.2)) && !self.store.contains(line.1, line.2);
        let missing = tree.iter().chain(upstream).filter(is_missing).count();
        if missing > 0 {
            let since = since.as_ref().map_or_else(|| "nothing".to_owned(), |since| format!("snapshot {since}"));
            return carrier.refuse(format!(
                "it was exported since {since}, and this head lacks {missing} of the files that it builds on: take in that snapshot first, or \
                 export without --since"
            ));
        }
        Ok(None)
    }

    /// Reads everything and compares it with the manifest.
    ///
    /// # Errors
    /// [`Error::Refused`]: a byte that is another, a file or volume that is not there.
    pub fn stage(&self, carrier: &Carrier) -> Result<Staged> {
        let root = self.dir.root();
        remove_staged(root)?;
        let folder = tempfile::Builder::new().prefix(STAGING).tempdir_in(root).map_err(|error| named(error, "make a folder in", root))?;
        let mut staged = Staged { folder, objects: BTreeMap::new() };
        let promised: BTreeMap<Sha256, u64> = carrier.manifest.objects.iter().map(|object| (object.0, object.1)).collect();
        self.progress.event(Event::Stage("verifying"));
        self.progress.event(Event::Fetching { files: promised.len() as u64, bytes: carrier.manifest.bytes() });
        if carrier.from.is_dir() {
            for (sha256, size) in &promised {
                let path = carrier.from.join(OBJECTS).join(sha256.to_string());
                let file = File::open(&path).or_else(|error| carrier.refuse(format!("{}: {error}", path.display())))?;
                self.take(carrier, &mut staged, file, *sha256, *size)?;
            }
        } else {
            self.stage_tar(carrier, &mut staged, &promised)?;
        }
        self.progress.event(Event::Fetched);
        match promised.keys().find(|sha256| !staged.objects.contains_key(*sha256)) {
            Some(sha256) => carrier.refuse(format!("object {sha256} is not in it")),
            None => Ok(staged),
        }
    }

    fn stage_tar(&self, carrier: &Carrier, staged: &mut Staged, promised: &BTreeMap<Sha256, u64>) -> Result<()> {
        let reader = Reader::open(&carrier.from)?;
        let (files, length) = (reader.files().len(), reader.length()?);
        let mut tar = tar::Archive::new(reader);
        let mut sizes = (0, 0);
        let cut = |error: io::Error| carrier.refuse(format!("it does not read to its end: {error}"));
        for entry in tar.entries()? {
            let entry = entry.or_else(|error| self.lacking(carrier, files, length, sizes).unwrap_or_else(|| cut(error)))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            match name.as_str() {
                MANIFEST => sizes.0 = entry.size(),
                KEY => sizes.1 = entry.size(),
                name => {
                    let sha256 = name.strip_prefix(OBJECTS).and_then(|rest| rest.strip_prefix('/')).and_then(|name| name.parse().ok());
                    let Some((sha256, size)) = sha256.and_then(|sha256: Sha256| Some((sha256, *promised.get(&sha256)?))) else {
                        return carrier.refuse(format!("it holds `{}`, which its manifest does not name", name.escape_default()));
                    };
                    if let Err(error) = self.take(carrier, staged, entry, sha256, size) {
                        return self.lacking(carrier, files, length, sizes).unwrap_or(Err(error));
                    }
                }
            }
        }
        // A volume that ends with a whole member looks like the end.
        self.lacking(carrier, files, length, sizes).unwrap_or(Ok(()))
    }

    /// The refusal that names the volumes which are not there, if that is what is wrong.
    fn lacking<T>(&self, carrier: &Carrier, files: usize, length: u64, (manifest, key): (u64, u64)) -> Option<Result<T>> {
        let whole = carrier.manifest.tar_length(manifest, key);
        if length >= whole {
            return None;
        }
        let Some(size) = carrier.manifest.volume_size.filter(|size| *size > 0) else {
            return Some(carrier.refuse(format!("it was cut off: {length} of {whole} bytes are there")));
        };
        let base = if carrier.from.extension().is_some_and(|extension| extension == "001") {
            carrier.from.with_extension("")
        } else {
            carrier.from.clone()
        };
        let missing = volumes::volume(&base, files);
        let (missing, count) = (missing.display().to_string(), whole.div_ceil(size));
        Some(carrier.refuse(format!(
            "of its {count} volumes {missing} is not there, or one before it was cut off ({length} of {whole} bytes are there)"
        )))
    }

    fn take(&self, carrier: &Carrier, staged: &mut Staged, reader: impl Read, sha256: Sha256, size: u64) -> Result<()> {
        let mut file = HashedFile::create(staged.folder.path(), "object-")?;
        // One byte more than promised is enough to tell.
        let copied = io::copy(&mut reader.take(size.saturating_add(1)), &mut file);
        if let Err(error) = copied {
            return carrier.refuse(format!("object {sha256}: {error}"));
        }
        let (file, found, read) = file.finish()?;
        if (found, read) != (sha256, size) {
            return carrier.refuse(format!("object {sha256} is damaged: it has {read} bytes with SHA-256 {found} instead of {size}"));
        }
        let place = staged.folder.path().join(sha256.to_string());
        file.persist(&place).map_err(|error| named(error.error, "write", &place))?;
        staged.objects.insert(sha256, size);
        self.progress.event(Event::Received(i64::try_from(size).unwrap_or(i64::MAX)));
        self.progress.event(Event::FileDone);
        Ok(())
    }

    /// Keeps what was verified: the snapshot is there afterwards, whole, and not published yet.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn keep(&self, carrier: &Carrier, staged: &Staged) -> Result<Snapshot> {
        self.progress.event(Event::Stage("writing the snapshot"));
        let Manifest { snapshot, tree, upstream, .. } = &carrier.manifest;
        let (mut tree, upstream) = (self.tree(carrier, tree)?, self.tree(carrier, upstream)?);
        for sha256 in staged.objects.keys() {
            self.store.take_over(&staged.folder.path().join(sha256.to_string()), *sha256)?;
        }
        self.sign(snapshot, &mut tree)?;
        assemble::write(self.dir, self.store, &tree, &upstream, snapshot.clone())
    }

    fn tree(&self, carrier: &Carrier, lines: &[Line]) -> Result<Tree> {
        let mut tree = Tree::default();
        for line in lines {
            if let Err(error) = inside(self.dir.root(), &line.0) {
                return carrier.refuse(error);
            }
            tree.add(line.0.clone(), line.1, line.entry().size);
        }
        Ok(tree)
    }

    /// Puts the head's own signature on what the other head had rebuilt and signed.
    fn sign(&self, snapshot: &Snapshot, tree: &mut Tree) -> Result<()> {
        let failed = |source| Error::SigningKey { path: PathBuf::from(self.key.fingerprint()), source: Box::new(source) };
        for suite in snapshot.suites.iter().filter(|suite| suite.rebuilt) {
            let dists = format!("dists/{}", suite.suite);
            let text = String::from_utf8(self.text(tree, &format!("{dists}/Release"))?).map_err(io::Error::other)?;
            let signed = self.key.sign_cleartext(&text, self.now).map_err(failed)?;
            let detached = self.key.sign_detached(text.as_bytes(), self.now).map_err(failed)?;
            tree.add_bytes(self.store, format!("{dists}/InRelease"), signed.as_bytes())?;
            tree.add_bytes(self.store, format!("{dists}/Release.gpg"), detached.as_bytes())?;
        }
        for repository in snapshot.repositories.iter().filter(|repository| repository.rebuilt) {
            let at = |name: &str| match repository.path.as_str() {
                "" => format!("repodata/{name}"),
                path => format!("{path}/repodata/{name}"),
            };
            let text = self.text(tree, &at("repomd.xml"))?;
            let signature = self.key.sign_detached(&text, self.now).map_err(failed)?;
            let public = self.key.public_armoured().map_err(failed)?;
            tree.add_bytes(self.store, at("repomd.xml.asc"), signature.as_bytes())?;
            tree.add_bytes(self.store, at("repomd.xml.key"), public.as_bytes())?;
        }
        Ok(())
    }

    fn text(&self, tree: &Tree, path: &str) -> Result<Vec<u8>> {
        let entry = tree.files().find(|(name, _)| *name == path).map(|(_, entry)| entry);
        let entry = entry.ok_or_else(|| Error::Refused(format!("the carried snapshot has no {path}, which it says was rebuilt")))?;
        let object = self.store.path(entry.sha256);
        Ok(fs::read(&object).map_err(|error| named(error, "read", &object))?)
    }
}

/// Removes what killed imports left.
fn remove_staged(root: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(root) else { return Ok(()) };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(STAGING)) {
        fs::remove_dir_all(entry.path()).map_err(|error| named(error, "remove", &entry.path()))?;
    }
    Ok(())
}
