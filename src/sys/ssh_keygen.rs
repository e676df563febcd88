//! Makes ssh keys with `ssh-keygen`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a key pair without a passphrase: the private half in OpenSSH's own form, and the public line. They are written below `folder`,
/// which must be its owner's alone, for as long as it takes.
///
/// # Errors
/// If `ssh-keygen` is not there or does not know the kind.
pub fn generate(kind: &str, comment: &str, folder: &Path) -> io::Result<(String, String)> {
    let place = tempfile::tempdir_in(folder)?;
    let file = place.path().join("key");
    let told = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-C", comment, "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("ssh-keygen: {error}")))?;
    if !told.status.success() {
        return Err(io::Error::other(format!("ssh-keygen: {}", String::from_utf8_lossy(&told.stderr).trim())));
    }
    Ok((fs::read_to_string(&file)?, fs::read_to_string(file.with_extension("pub"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = generate("ed25519", "root@node07", folder.path()).unwrap();
        assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{private}");
        assert!(public.starts_with("ssh-ed25519 ") && public.trim_end().ends_with("root@node07"), "{public}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(generate("none", "", folder.path()).is_err());
    }
}
