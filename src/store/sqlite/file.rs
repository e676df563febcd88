//! Making the file.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::fault::Fault;
use super::{connect, schema};

/// Makes the file aside, complete with its tables, then gives it its name, unless another process was faster: nobody ever
/// opens a file that is half made, or not in WAL mode yet (that change is the one lock for which SQLite does not wait).
pub fn make(path: &Path) -> Result<(), Fault> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made by tempfile with mode 0600. SQLite gives the -wal and -shm files beside it the same mode and, run as root, owner.
    let aside = tempfile::Builder::new().prefix(".state-").suffix(".db").tempfile_in(folder)?.into_temp_path();
    let mut connection = connect(&aside)?;
    schema::migrate(&mut connection)?;
    connection.close().map_err(|(_, error)| error)?;
    give_to_owner_of(folder, &aside)?;
    match aside.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error.into()),
        _ => Ok(()),
    }
}

/// Root leaves no files of its own in another user's folder. Others cannot give files away, and need not.
fn give_to_owner_of(folder: &Path, file: &Path) -> io::Result<()> {
    let (owner, made) = (folder.metadata()?, file.metadata()?);
    if owner.uid() == made.uid() {
        return Ok(());
    }
    match chown(file, Some(owner.uid()), Some(owner.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}
