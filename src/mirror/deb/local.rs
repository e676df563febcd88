//! A site's own directories: `.deb` and `.udeb` files anywhere below, an installer's kernel and initrd in `images/`.

use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::domain::checksum::Sha256;
use crate::mirror::{Error, Result};
use crate::repo::deb::control::{self, ControlError};
use crate::repo::deb::packages::Package;
use crate::repo::deb::path::archive_path;
use crate::sys::atomic::named;
use crate::sys::objects::ObjectStore;

/// Where local files lie in the pool.
const POOL: &str = "pool/local";
/// No package is larger, bytes; `Size` of a .deb has ten digits at most.
const MAX_PACKAGE: u64 = 9_999_999_999;

/// What local directories hold, by name only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Packages in the order of their paths.
    packages: Vec<PathBuf>,
    /// Pairs of kernel and initrd.
    pub images: Vec<(PathBuf, PathBuf)>,
    /// Tells whether anything changed: paths, sizes and times.
    pub fingerprint: String,
}

/// A local package that is in the store.
#[derive(Clone, Debug)]
pub struct LocalPackage {
    /// Its index stanza with path, size and digest.
    pub stanza: String,
    /// True for the installer's kind.
    pub is_udeb: bool,
    /// Its architecture.
    pub architecture: String,
}

/// Lists local directories. Symbolic links to files are followed, loops of directories are not.
///
/// # Errors
/// If a directory is not there or does not read.
pub fn list(folders: &[PathBuf]) -> Result<Listing> {
    let mut listing = Listing::default();
    for folder in folders {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(|error| named(error.into(), "read the local directory", folder))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy();
            let is_image = path.parent().and_then(Path::file_name).is_some_and(|parent| parent == "images");
            let is_package = name.ends_with(".deb") || name.ends_with(".udeb");
            if !is_package && !(is_image && (name == "linux" || name == "initrd.gz")) {
                continue;
            }
            let metadata = fs::metadata(path).map_err(|error| named(error, "read", path))?;
            if !metadata.is_file() {
                continue;
            }
            listing.fingerprint += &format!("{} {} {}.{}\n", path.display(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
            if is_package {
                listing.packages.push(path.to_owned());
            } else if name == "linux" && path.with_file_name("initrd.gz").is_file() {
                listing.images.push((path.to_owned(), path.with_file_name("initrd.gz")));
            }
        }
    }
    Ok(listing)
}

impl Listing {
    /// Copies the packages into the store and reads what they say of themselves.
    ///
    /// # Errors
    /// [`Error::Local`], naming the file that is no package.
    pub fn import(&self, store: &ObjectStore) -> Result<Vec<LocalPackage>> {
        self.packages.iter().map(|path| import(store, path)).collect()
    }
}

fn import(store: &ObjectStore, path: &Path) -> Result<LocalPackage> {
    let failed = |source: ControlError| Error::Local { path: path.to_owned(), source: Box::new(source) };
    let (sha256, size) = copy(store, path)?;
    if size > MAX_PACKAGE {
        return Err(failed(ControlError::TooLarge { what: "the package".to_owned(), limit: MAX_PACKAGE }));
    }
    let control = control::control(BufReader::new(store.read(sha256)?)).map_err(failed)?;
    let package = Package::parse(&control).map_err(|error| failed(error.into()))?;
    let is_udeb = path.extension().is_some_and(|extension| extension == "udeb");
    let version = package.version.rsplit(':').next().unwrap_or_default();
    let suffix = if is_udeb { "udeb" } else { "deb" };
    let place = archive_path(&format!("{POOL}/{}_{version}_{}.{suffix}", package.name, package.architecture))?;
    let stanza = control::index_stanza(&control, &place, size, sha256).map_err(failed)?;
    Ok(LocalPackage { stanza, is_udeb, architecture: package.architecture.to_owned() })
}

/// Copies a local file into the store: a link would change with the site's file.
///
/// # Errors
/// If it does not read or the disk is full.
pub fn copy(store: &ObjectStore, path: &Path) -> Result<(Sha256, u64)> {
    let file = File::open(path).map_err(|error| named(error, "read the local file", path))?;
    Ok(store.import_reader(file)?)
}
