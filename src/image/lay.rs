//! The files that are laid over a root, as one tar archive: it is unpacked by tar inside the image, so that links in the image lead nowhere
//! else, and its bytes are part of what identifies a build.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256 as Hasher};
use tar::{Builder, EntryType, Header};

use super::guest::GuestFile;
use super::source::PackageSource;
use super::{Error, Result};
use crate::domain::checksum::Sha256;
use crate::domain::image::{Content, LaidFile, Recipe};
use crate::sys::atomic::named;

/// Writes all files that a build lays over its root: package sources, what every image gets, and those of the recipe, which come last and
/// win. Returns the archive at its start, and its digest. `folder`: where the temporary file lies.
///
/// # Errors
/// If a file of the recipe cannot be read.
pub fn archive(folder: &Path, recipe: &Recipe, source: &PackageSource, guest: &[GuestFile]) -> Result<(File, Sha256)> {
    let file = tempfile::tempfile_in(folder).map_err(|error| named(error, "make a temporary file in", folder))?;
    let mut tar = Laying { tar: Builder::new(Hashed { inner: file, hasher: Hasher::new() }), mtime: source.made.unix_timestamp() };
    for (name, bytes) in &source.keyrings {
        tar.file(&Path::new(source.keys_folder()).join(name), 0o644, bytes)?;
    }
    let sources = source.sources();
    tar.file(Path::new(sources.path), 0o644, sources.text.as_bytes())?;
    for file in guest {
        tar.file(Path::new(file.path), file.mode, file.content)?;
    }
    for file in &recipe.files {
        tar.laid(file)?;
    }
    let hashed = tar.tar.into_inner()?;
    let mut file = hashed.inner;
    file.rewind()?;
    Ok((file, Sha256::new(hashed.hasher.finalize().into())))
}

struct Hashed {
    inner: File,
    hasher: Hasher,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct Laying {
    tar: Builder<Hashed>,
    mtime: i64,
}

impl Laying {
    fn laid(&mut self, file: &LaidFile) -> Result<()> {
        match &file.content {
            Content::Content(text) => self.file(&file.path, file.mode.unwrap_or(0o644), text.as_bytes()),
            Content::Source(source) => self.copy(source, &file.path, file.mode),
        }
    }

    /// Copies a file, a link, or a folder with all below it, in the order of names.
    fn copy(&mut self, source: &Path, target: &Path, mode: Option<u32>) -> Result<()> {
        let io = |error| named(error, "lay over the image the file", source);
        let metadata = fs::symlink_metadata(source).map_err(io)?;
        let own = mode.unwrap_or(metadata.permissions().mode() & 0o7777);
        if metadata.is_symlink() {
            let mut header = self.header(EntryType::Symlink, 0o777, 0);
            return Ok(self.tar.append_link(&mut header, relative(target), fs::read_link(source).map_err(io)?)?);
        }
        if metadata.is_dir() {
            let mut header = self.header(EntryType::Directory, metadata.permissions().mode() & 0o7777, 0);
            self.tar.append_data(&mut header, relative(target), io::empty())?;
            let names = fs::read_dir(source).map_err(io)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
            let mut names = names.map_err(io)?;
            names.sort();
            return names.iter().try_for_each(|name| self.copy(&source.join(name), &target.join(name), mode));
        }
        if !metadata.is_file() {
            return Err(Error::Usage(format!("{} is no file, folder or link: it cannot be laid over an image", source.display())));
        }
        let mut header = self.header(EntryType::Regular, own, metadata.len());
        // Bounded, so that a file that grows meanwhile does not spoil the archive.
        let content = io::Read::take(File::open(source).map_err(io)?, metadata.len());
        Ok(self.tar.append_data(&mut header, relative(target), content).map_err(io)?)
    }

    fn file(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<()> {
        let mut header = self.header(EntryType::Regular, mode, content.len() as u64);
        Ok(self.tar.append_data(&mut header, relative(path), content)?)
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::try_from(self.mtime).unwrap_or(0));
        header
    }
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixture;

    #[test]
    fn the_same_files_make_the_same_archive_and_others_another() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        for name in ["b", "a"] {
            fs::write(tree.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", tree.join("link")).unwrap();
        let mut recipe = fixture::recipe();
        recipe.files.push(LaidFile { path: "/etc/site".into(), content: Content::Source(tree.clone()), mode: None });
        recipe.files.push(LaidFile { path: "/etc/motd".into(), content: Content::Content("hello\n".to_owned()), mode: Some(0o600) });
        let digest = |recipe: &Recipe| archive(folder.path(), recipe, &fixture::source(), &[]).unwrap().1;
        let first = digest(&recipe);
        assert_eq!(digest(&recipe), first);
        let (file, _) = archive(folder.path(), &recipe, &fixture::source(), &[]).unwrap();
        let mut read = tar::Archive::new(file);
        let entries: Vec<String> = read
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                format!("{} {:o} {}", entry.path().unwrap().display(), entry.header().mode().unwrap(), entry.header().uid().unwrap())
            })
            .collect();
        let site: Vec<&String> = entries.iter().filter(|entry| entry.contains("site") || entry.contains("motd")).collect();
        assert_eq!(site[1..], ["etc/site/a 644 0", "etc/site/b 644 0", "etc/site/link 777 0", "etc/motd 600 0"]);
        fs::write(tree.join("a"), "changed").unwrap();
        assert_ne!(digest(&recipe), first);
    }
}
