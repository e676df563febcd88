//! The metadata before: a client that read the former root file a moment ago still finds what that names.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// The present metadata of a directory, which others take the place of.
pub struct Former {
    folder: PathBuf,
    /// What clients may still ask for by digest, below the folder.
    indices: Vec<PathBuf>,
}

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

impl Former {
    /// Looks at a folder of metadata (`dists`, `repodata`), which need not be there. If `is_changed`, what follows says something new, and what was
    /// kept from before the present root file is no longer wanted.
    pub fn of(folder: PathBuf, is_changed: bool) -> Self {
        let files = WalkDir::new(&folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
        let (mut named, mut indices) = (HashSet::new(), Vec::new());
        for file in files {
            if matches!(file.file_name().to_str(), Some("Release" | "repomd.xml")) {
                // Without it nothing is named, and nothing kept.
                let root = fs::read_to_string(file.path()).unwrap_or_default();
                named.extend(root.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == DIGITS).map(str::to_owned));
            } else if let Some(digest) = digest_of(file.path()) {
                indices.push((digest, file.into_path()));
            }
        }
        let wanted = indices.into_iter().filter(|(digest, _)| !is_changed || named.contains(digest));
        let below = |(_, path): (String, PathBuf)| path.strip_prefix(&folder).ok().map(Path::to_owned);
        Self { indices: wanted.filter_map(below).collect(), folder }
    }

    /// Lends its indices to the metadata in `new`. Where that cannot be (no such folder any more, no hard links), clients that come in
    /// between have to try again.
    pub fn lend(&self, new: &Path) {
        self.indices.iter().for_each(|path| drop(fs::hard_link(self.folder.join(path), new.join(path))));
    }
}

/// The digest that a file is named by: `by-hash/SHA256/DIGEST`, `DIGEST-primary.xml.gz`.
fn digest_of(path: &Path) -> Option<String> {
    let digest = path.file_name()?.to_str()?.get(..DIGITS)?;
    digest.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_root_file_names_is_lent() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("repodata"), folder.path().join("new"));
        [&old, &new].iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let [named, older] = ["a", "b"].map(|digit| format!("{}-primary.xml.gz", digit.repeat(DIGITS)));
        for name in [&named, &older, "plain.xml"] {
            fs::write(old.join(name), name).unwrap();
        }
        fs::write(old.join("repomd.xml"), format!("<checksum>{}</checksum>", "a".repeat(DIGITS))).unwrap();
        Former::of(old.clone(), false).lend(&new);
        assert_eq!(fs::read_dir(&new).unwrap().count(), 2, "nothing new, nothing to forget");
        fs::remove_dir_all(&new).and_then(|()| fs::create_dir(&new)).unwrap();
        let former = Former::of(old.clone(), true);
        former.lend(&new);
        let lent: Vec<_> = fs::read_dir(&new).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(lent, [named.as_str()]);
        assert_eq!(fs::read_dir(&old).unwrap().count(), 4, "the present metadata is left as it is");
        Former::of(folder.path().join("none"), true).lend(&new);
        former.lend(&folder.path().join("nowhere"));
    }
}
