//! Puts packages into a directory: all are checked before any is copied, and all are taken out again if there will be no index of them.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

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
/// [`Error::Usage`] if it is none of this format.
pub fn check(format: Option<PackageFormat>, file: &Path) -> Result<Addition> {
    let (Some(name), Some(folder)) = (file.file_name().and_then(|name| name.to_str()), file.parent()) else {
        return Err(refuse(file, "its name is not UTF-8, or it has none: rename it"));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let packages = Packages::new(if name.ends_with(".rpm") { PackageFormat::Rpm } else { PackageFormat::Deb }, "");
    if format.is_some_and(|format| packages.format() != format) || !packages.kind().takes(name) {
        return Err(refuse(file, "its name has to end in .deb or .udeb, or in .rpm, as --packages says"));
    }
    let stamp = File::open(file).and_then(|opened| Stamp::of(&opened)).map_err(|error| named(error, "read the package", file))?;
    let found = Found { path: name.to_owned(), stamp };
    match Reader::new(folder, packages.kind(), None)?.alone(&found) {
        Ok((entry, _)) => Ok(Addition { file: file.to_owned(), sha256: entry.sha256, found }),
        Err(Trouble::Bad(problem)) => Err(refuse(file, &problem)),
        Err(Trouble::Disk(error)) => Err(error.into()),
    }
}

impl Addition {
    /// Copies it, unless it is there already.
    ///
    /// # Errors
    /// If the disk is full; [`Error::Usage`] if the directory has another file of that name.
    pub fn copy(self, root: &Path) -> Result<Option<Added>> {
        let place = root.join(&self.found.path);
        if let Ok(there) = File::open(&place) {
            let is_same = digest_of_file(&there).map_err(|error| named(error, "read", &place))?.0 == self.sha256;
            let problem = "the directory has another package under that name, which clients may know by its digest: rename one of them";
            return if is_same { Ok(None) } else { Err(refuse(&self.file, problem)) };
        }
        let copy = || -> io::Result<(File, TempPath)> {
            let new = NamedTempFile::with_prefix_in(format!("{OURS}add-"), root)?;
            io::copy(&mut File::open(&self.file)?, &mut new.as_file())?;
            new.as_file().set_permissions(Permissions::from_mode(0o644))?;
            let file = new.persist_noclobber(&place).map_err(|error| error.error)?;
            Ok((file, TempPath::try_from_path(&place)?))
        };
        let (file, path) = copy().map_err(|error| named(error, "write", &place))?;
        let stamp = Stamp::of(&file).map_err(|error| named(error, "read", &place))?;
        Ok(Some(Added { found: Found { path: self.found.path, stamp }, file, path }))
    }
}

/// A package that was put into a directory; it is taken out again when this is dropped before it is kept.
pub struct Added {
    /// What it is there.
    pub found: Found,
    /// It, open, and not yet waited for.
    pub file: File,
    path: TempPath,
}

impl Added {
    /// Leaves it there.
    ///
    /// # Errors
    /// What the system said.
    pub fn keep(self) -> io::Result<()> {
        self.path.keep().map(drop).map_err(|error| error.error)
    }
}

fn refuse(file: &Path, problem: &str) -> Error {
    Error::Usage(format!("{}: {problem}; nothing was added", file.display()))
}
