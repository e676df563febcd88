//! The metadata before: a client that read the former root file a moment ago still finds what that names.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use crate::domain::checksum::Sha256;

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Lends files of the `present` metadata (`dists`, `repodata`; it need not be there) to the `new` that takes its place: those that its root file
/// names by digest; if the new `is_changed` in nothing, those that were lent to it as well. Where that cannot be (no such folder any more, no
/// hard links), clients that come in between have to try again.
pub fn lend(present: &Path, new: &Path, is_changed: bool) {
    let (mut named, mut indices) = (HashSet::new(), Vec::new());
    for file in WalkDir::new(present).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        if matches!(file.file_name().to_str(), Some("Release" | "repomd.xml")) {
            // Without it nothing is named, and nothing lent.
            let root = fs::read_to_string(file.path()).unwrap_or_default();
            named.extend(root.split(|c: char| !c.is_ascii_hexdigit()).filter_map(|word| word.parse::<Sha256>().ok()));
        } else if let Some(digest) = digest_of(file.path()) {
            indices.push((digest, file.into_path()));
        }
    }
    for (_, path) in indices.iter().filter(|(digest, _)| !is_changed || named.contains(digest)) {
        if let Ok(below) = path.strip_prefix(present) {
            let _ = fs::hard_link(path, new.join(below));
        }
    }
}

/// The digest that a file is named by: `by-hash/SHA256/DIGEST`, `DIGEST-primary.xml.gz`.
fn digest_of(path: &Path) -> Option<Sha256> {
    path.file_name()?.to_str()?.get(..DIGITS)?.parse().ok()
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
        lend(&old, &new, false);
        assert_eq!(fs::read_dir(&new).unwrap().count(), 2, "nothing new, nothing to forget");
        fs::remove_dir_all(&new).and_then(|()| fs::create_dir(&new)).unwrap();
        lend(&old, &new, true);
        let lent: Vec<_> = fs::read_dir(&new).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(lent, [named.as_str()]);
        assert_eq!(fs::read_dir(&old).unwrap().count(), 4, "the present metadata is left as it is");
        lend(&folder.path().join("none"), &new, true);
        lend(&old, &folder.path().join("nowhere"), true);
    }
}
