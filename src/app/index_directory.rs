//! `mirror index`: makes the metadata of a directory of packages in the directory itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use super::head_keys::signing_key;
use super::{Error, Result};
use crate::domain::mirror::PackageFormat;
use crate::mirror::directory::in_place::{Request, index, look};
use crate::mirror::directory::packages::Terms;
use crate::mirror::directory::scan::OURS;
use crate::sys::beside::beside;
use crate::sys::data_dir::DataDir;
use crate::sys::lock::{self, Mode};

/// How long to wait for another run on the same directory.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// What to index.
#[derive(Clone, Debug)]
pub struct IndexRequest {
    /// The directory.
    pub path: PathBuf,
    /// Packages to be put into it first.
    pub add: Vec<PathBuf>,
    /// Which packages it holds; `None`: those that it holds now.
    pub packages: Option<PackageFormat>,
    /// The suite that clients of Debian packages name.
    pub suite: String,
    /// Sign with the head's key.
    pub sign: bool,
    /// Leave out files that are no packages.
    pub allow_missing: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct IndexReport {
    /// Packages in the index.
    pub packages: u64,
    /// Packages that were read for it, the others being known.
    pub read: u64,
    /// Files that are no packages.
    pub left_out: Vec<String>,
}

/// Makes or renews a directory's metadata.
///
/// # Errors
/// [`Error::Mirror`] if a file is no package; [`Error::Usage`] if the directory is not there.
pub async fn index_directory(data: &DataDir, request: &IndexRequest) -> Result<IndexReport> {
    let path = request.path.canonicalize().map_err(|source| unusable(&request.path, source))?;
    let _lock = lock::acquire(&path.join(format!("{OURS}lock")), Mode::Exclusive, LOCK_LIMIT).await.map_err(crate::mirror::Error::from)?;
    let look = || look(&path, request.packages);
    let (key, found) = if request.sign { beside(|| signing_key(data).map(Some), look) } else { (Ok(None), look()) };
    let (key, found) = (key?, found?);
    let name = path.file_name().map_or_else(|| "packages".to_owned(), |name| name.to_string_lossy().into_owned());
    let indexed = index(Request {
        root: &path,
        found,
        format: request.packages,
        add: &request.add,
        terms: Terms { name: &name, suite: &request.suite, key: key.as_ref(), now: OffsetDateTime::now_utc() },
        leave_out: request.allow_missing,
    })?;
    Ok(IndexReport { packages: indexed.cache.entries(), read: indexed.read, left_out: indexed.left_out })
}

fn unusable(path: &Path, source: std::io::Error) -> Error {
    Error::Io { what: format!("cannot use the directory {}", path.display()), source }
}
