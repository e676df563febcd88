//! The one function that joins a path from the network to a folder of ours.

use std::path::{Component, Path, PathBuf};

/// A path that would leave the folder it is meant for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the path `{path}` leads out of {}: refused", root.display())]
pub struct Outside {
    /// The folder.
    pub root: PathBuf,
    /// The path, escaped and cut to 200 characters.
    pub path: String,
}

/// Joins `relative` to `root`, or refuses: an absolute path, a `.` or `..`, an empty one, a NUL or a backslash never get through.
/// Symbolic links are not looked at: our own folders have none but `current`.
///
/// # Errors
/// [`Outside`], naming the path.
pub fn inside(root: &Path, relative: &str) -> Result<PathBuf, Outside> {
    let outside = || Outside { root: root.to_owned(), path: relative.chars().take(200).flat_map(char::escape_default).collect() };
    let plain = !relative.is_empty()
        && !relative.contains(['\0', '\\'])
        && Path::new(relative).components().all(|part| matches!(part, Component::Normal(_)))
        // `Path` passes over `a//b`, `a/./b` and a trailing slash: two names of one file are one too many.
        && relative.split('/').all(|part| !part.is_empty() && part != ".");
    if plain { Ok(root.join(relative)) } else { Err(outside()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_from_the_network_stays_inside() {
        let root = Path::new("/srv/tree");
        assert_eq!(inside(root, "pool/main/b/bash.deb").unwrap(), Path::new("/srv/tree/pool/main/b/bash.deb"));
        for evil in ["", "/etc/passwd", "../../etc/passwd", "a/../../b", "a/./b", "a//b", "a/", ".", "a\0b", "a\\b"] {
            let error = inside(root, evil).unwrap_err();
            assert!(error.to_string().contains("leads out of /srv/tree"), "{evil:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_gets_through_is_below_the_root(path in "[a./\\\\]{0,12}") {
            if let Ok(joined) = inside(Path::new("/r"), &path) {
                prop_assert!(joined.starts_with("/r") && joined != Path::new("/r"));
                prop_assert!(!joined.components().any(|part| part == Component::ParentDir));
            }
        }
    }
}
