//! Writing a snapshot to a carrier.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256 as Hasher};
use time::OffsetDateTime;

use super::manifest::{FORMAT, Line, Manifest, Object};
use super::volumes::Writer;
use super::{KEY, MANIFEST, OBJECTS};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::Snapshot;
use crate::domain::name::SnapshotId;
use crate::mirror::layout::MirrorDir;
use crate::mirror::progress::{Event, Progress};
use crate::mirror::{Error, Result};
use crate::repo::openpgp::SigningKey;
use crate::sys::atomic::{self, named};
use crate::sys::objects::ObjectStore;

/// The least that a volume may have, bytes: fewer would be thousands of files.
pub const LEAST_VOLUME: u64 = 1 << 20;

/// What is exported, and where to.
pub struct Export<'a> {
    /// The mirror.
    pub dir: &'a MirrorDir,
    /// Where its objects are; locked shared by the caller.
    pub store: &'a ObjectStore,
    /// Who vouches for it.
    pub key: &'a SigningKey,
    /// The carrier: a directory, or a file whose name ends in `.tar`.
    pub to: &'a Path,
    /// The most bytes of one volume of a tar.
    pub volume_size: Option<u64>,
    /// When.
    pub now: OffsetDateTime,
    /// Hears of it.
    pub progress: &'a dyn Progress,
}

impl Export<'_> {
    /// What would be carried of a snapshot. `since`: a snapshot that the other side has.
    ///
    /// # Errors
    /// If a file of the snapshot is in no object.
    pub fn plan(&self, snapshot: &Snapshot, since: Option<&SnapshotId>) -> Result<Manifest> {
        let objects: HashMap<u64, Object> =
            self.store.list()?.into_iter().filter_map(|object| Some((object.inode, Object(object.sha256?, object.size)))).collect();
        let tree = lines(&self.dir.tree(&snapshot.id), &objects)?;
        let upstream = lines(&self.dir.upstream(&snapshot.id), &objects)?;
        let mut left_out = BTreeSet::new();
        if let Some(since) = since {
            for folder in [self.dir.tree(since), self.dir.upstream(since)] {
                left_out.extend(lines(&folder, &objects)?.into_iter().map(|line| Object(line.1, line.2)));
            }
        }
        let all: BTreeSet<Object> = tree.iter().chain(&upstream).map(|line| Object(line.1, line.2)).collect();
        let definition = self.dir.definition();
        Ok(Manifest {
            format: FORMAT,
            kickctl: env!("CARGO_PKG_VERSION").to_owned(),
            mirror: self.dir.name().clone(),
            definition: fs::read_to_string(&definition).map_err(|error| named(error, "read", &definition))?,
            snapshot: snapshot.clone(),
            since: since.cloned(),
            volume_size: self.volume_size,
            tree,
            upstream,
            objects: all.difference(&left_out).copied().collect(),
        })
    }

    /// Writes it. Returns the files that it is in.
    ///
    /// # Errors
    /// If the disk is full, an object is damaged, or the carrier is there already.
    pub fn write(&self, manifest: &Manifest) -> Result<Vec<PathBuf>> {
        let failed = |source| Error::SigningKey { path: PathBuf::from(self.key.fingerprint()), source: Box::new(source) };
        let text = serde_json::to_string_pretty(manifest).map_err(io::Error::other)?;
        let signed = self.key.sign_cleartext(&text, self.now).map_err(failed)?;
        let key = self.key.public_armoured().map_err(failed)?;
        self.progress.event(Event::Stage("writing"));
        self.progress.event(Event::Fetching { files: manifest.objects.len() as u64, bytes: manifest.bytes() });
        let files = if is_tar(self.to) {
            self.write_tar(manifest, &signed, &key)?
        } else {
            self.write_folder(manifest, &signed, &key)?;
            vec![self.to.to_owned()]
        };
        self.progress.event(Event::Fetched);
        Ok(files)
    }

    fn write_tar(&self, manifest: &Manifest, signed: &str, key: &str) -> Result<Vec<PathBuf>> {
        let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 18, Writer::new(self.to, self.volume_size)));
        for (name, text) in [(MANIFEST, signed), (KEY, key)] {
            tar.append_data(&mut header(text.len() as u64, self.now), name, text.as_bytes())?;
        }
        for Object(sha256, size) in &manifest.objects {
            let mut reader = self.object(*sha256, *size)?;
            tar.append_data(&mut header(*size, self.now), format!("{OBJECTS}/{sha256}"), &mut reader)?;
            reader.check()?;
        }
        let writer = tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(writer.finish()?)
    }

    /// Objects first: without its manifest a directory is no carrier, and with it a whole one. What is there already stays.
    fn write_folder(&self, manifest: &Manifest, signed: &str, key: &str) -> Result<()> {
        let folder = self.to.join(OBJECTS);
        fs::create_dir_all(&folder).map_err(|error| named(error, "create the folder", &folder))?;
        for Object(sha256, size) in &manifest.objects {
            let path = folder.join(sha256.to_string());
            if fs::metadata(&path).is_ok_and(|there| there.len() == *size) {
                continue;
            }
            let mut reader = self.object(*sha256, *size)?;
            let mut copy = || {
                let mut file = tempfile::NamedTempFile::with_prefix_in(".new-", &folder)?;
                io::copy(&mut reader, file.as_file_mut())?;
                reader.check()?;
                file.persist(&path).map_err(|error| error.error)
            };
            copy().map_err(|error| named(error, "write", &path))?;
        }
        atomic::write(&self.to.join(KEY), key.as_bytes(), 0o644)?;
        atomic::sync_file_system(&folder)?;
        Ok(atomic::write(&self.to.join(MANIFEST), signed.as_bytes(), 0o644)?)
    }

    fn object(&self, sha256: Sha256, size: u64) -> Result<Checked<'_>> {
        let file = self.store.read(sha256)?;
        Ok(Checked { file, hasher: Hasher::new(), read: 0, sha256, size, progress: self.progress })
    }
}

/// True if a carrier of this name is a tar.
pub fn is_tar(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

/// The files below a folder, as the objects that they are links to.
fn lines(folder: &Path, objects: &HashMap<u64, Object>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(io::Error::from)?;
        let metadata = entry.metadata().map_err(io::Error::from)?;
        if !metadata.is_file() {
            continue;
        }
        let path = entry.path().strip_prefix(folder).ok().and_then(Path::to_str);
        let found = path.zip(objects.get(&metadata.ino()));
        let Some((path, Object(sha256, size))) = found else {
            let text = format!("{} is no link to an object of the store: sync the mirror again", entry.path().display());
            return Err(Error::Refused(text));
        };
        lines.push(Line(path.to_owned(), *sha256, *size));
    }
    Ok(lines)
}

fn header(size: u64, now: OffsetDateTime) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(u64::try_from(now.unix_timestamp()).unwrap_or(0));
    header
}

/// An object that is read once, and must be what it is called.
struct Checked<'a> {
    file: File,
    hasher: Hasher,
    read: u64,
    sha256: Sha256,
    size: u64,
    progress: &'a dyn Progress,
}

impl Checked<'_> {
    fn check(&mut self) -> io::Result<()> {
        let (found, size) = (Sha256::new(self.hasher.clone().finalize().into()), self.read);
        if (found, size) == (self.sha256, self.size) {
            self.progress.event(Event::FileDone);
            return Ok(());
        }
        let text = format!("object {} is damaged ({size} bytes, SHA-256 {found}): remove it and sync the mirror again", self.sha256);
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        self.hasher.update(&buffer[..got]);
        self.read += got as u64;
        self.progress.event(Event::Received(got as i64));
        Ok(got)
    }
}
