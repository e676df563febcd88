//! Files that are made once and never overwritten.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Writes a new file with these permission bits, whole or not at all; it belongs to whom its folder belongs to.
///
/// # Errors
/// `AlreadyExists` if there is one; it stays as it is.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with mode 0600, so that a secret is never readable by others, not even for a moment.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    give_to_owner_of(folder, file.path())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Reads a file, making it first from `make` if there is none. When two processes make it at once, both read the same.
///
/// # Errors
/// It cannot be read or made.
pub fn read_or_create<E: From<io::Error>>(path: &Path, mode: u32, make: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return Ok(read?),
    }
    match create(path, &make()?, mode) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(fs::read(path)?),
    }
}

/// Makes a folder, and those above it, if it is not there. Its permission bits are set only when it is made here.
///
/// # Errors
/// It cannot be made.
pub fn folder(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder(above, 0o755)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    give_to_owner_of(above, path)
}

/// Root leaves nothing of its own in another user's folder. Others cannot give files away, and need not.
fn give_to_owner_of(folder: &Path, made: &Path) -> io::Result<()> {
    let (owner, own) = (folder.metadata()?, made.metadata()?);
    if owner.uid() == own.uid() {
        return Ok(());
    }
    match chown(made, Some(owner.uid()), Some(owner.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("secret");
        create(&path, b"first", 0o600).unwrap();
        assert_eq!(create(&path, b"second", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let read = read_or_create::<io::Error>(&path, 0o600, || panic!("made again")).unwrap();
        assert_eq!((read.as_slice(), mode(&path)), (b"first".as_slice(), 0o600));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn a_folder_keeps_the_permissions_it_has() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/keys");
        folder(&path, 0o700).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o755));
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        folder(&path, 0o700).unwrap();
        assert_eq!(mode(&path), 0o750);
    }
}
