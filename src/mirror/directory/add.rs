//! Puts packages into a directory: each is checked before any is copied.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::packages::Packages;
use super::reader::{Reader, Trouble};
use super::scan::{Found, OURS, Stamp};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::PackageFormat;
use crate::mirror::{Error, Result};
use crate::sys::atomic::named;
use crate::sys::objects::digest_of_file;

/// A package that is to be put into a directory.
pub struct Addition {
    file: PathBuf,
    sha256: Sha256,
    /// What it will be there; its stamp is still that of the file itself.
    pub found: Found,
}

/// Reads a package that is to be added.
///
/// # Errors
/// [`Error::Usage`] if it is none of this format, or if the directory has another one of that name.
pub fn check(root: &Path, format: Option<PackageFormat>, file: &Path) -> Result<Addition> {
    let refuse = |problem: &str| Error::Usage(format!("{}: {problem}; nothing was added", file.display()));
    let (Some(name), Some(folder)) = (file.file_name().and_then(|name| name.to_str()), file.parent()) else {
        return Err(refuse("its name is not UTF-8, or it has none"));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let packages = Packages::new(if name.ends_with(".rpm") { PackageFormat::Rpm } else { PackageFormat::Deb }, "");
    if format.is_some_and(|format| packages.format() != format) || !packages.kind().takes(name) {
        return Err(refuse("its name does not end as those of packages that are indexed here"));
    }
    let stamp = File::open(file).and_then(|opened| Stamp::of(&opened)).map_err(|error| named(error, "read the package", file))?;
    let found = Found { path: name.to_owned(), stamp };
    let told = Reader::new(folder, packages.kind(), None)?.read(&[&found]).pop();
    let (entry, _) = match told.unwrap_or_else(|| Err(Trouble::Bad("is not there".to_owned()))) {
        Ok(package) => package,
        Err(Trouble::Bad(problem)) => return Err(refuse(&problem)),
        Err(Trouble::Disk(error)) => return Err(error.into()),
    };
    let addition = Addition { file: file.to_owned(), sha256: entry.sha256, found };
    if let Ok(there) = File::open(root.join(name))
        && digest_of_file(&there)?.0 != addition.sha256
    {
        return Err(refuse("the directory has another package under that name, which clients may know by its digest: rename one of them"));
    }
    Ok(addition)
}

impl Addition {
    /// Copies it. `None` if it is there already; otherwise what it is now, and the file, which is not yet waited for.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn copy(self, root: &Path) -> Result<Option<(Found, File)>> {
        let place = root.join(&self.found.path);
        if place.exists() {
            return Ok(None);
        }
        let copy = || -> io::Result<File> {
            let new = NamedTempFile::with_prefix_in(format!("{OURS}add-"), root)?;
            io::copy(&mut File::open(&self.file)?, &mut new.as_file())?;
            new.as_file().set_permissions(Permissions::from_mode(0o644))?;
            new.persist_noclobber(&place).map_err(|error| error.error)
        };
        let file = copy().map_err(|error| named(error, "write", &place))?;
        let stamp = Stamp::of(&file).map_err(|error| named(error, "read", &place))?;
        Ok(Some((Found { path: self.found.path, stamp }, file)))
    }
}
