//! `[directory]`: a plain directory of packages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::span::{Error, Source};
use super::{MirrorFile, is_path};
use crate::domain::mirror::{DirectoryMirror, PackageFormat};

/// `[directory]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryTable {
    /// Where it is.
    pub path: PathBuf,
    /// Which packages it holds.
    pub packages: PackageFormat,
    /// The suite that clients of Debian packages name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_as: Option<String>,
}

pub(super) fn meaning(file: &MirrorFile, source: &Source) -> Result<DirectoryMirror, Error> {
    let Some(DirectoryTable { path, packages, publish_as }) = &file.directory else {
        return Err(source.wrong(
            "source",
            "a mirror needs at least one",
            "[[source]] or [[repository]] tables, a [directory] or a [medium]",
        ));
    };
    if !path.is_absolute() {
        return Err(source.wrong("directory.path", "is not an absolute path", "a directory such as /srv/packages"));
    }
    if let Some(bad) = publish_as.as_ref().filter(|name| !is_path(name)) {
        return Err(source.wrong("directory.publish_as", format!("`{bad}` is not a suite's name"), "a name such as stable"));
    }
    alone(file, source, "is not for a mirror of a directory: all packages below it are taken")?;
    Ok(DirectoryMirror { path: path.clone(), packages: *packages, publish_as: publish_as.clone() })
}

/// Refuses keys that choose or add, where everything is taken as it is.
pub(super) fn alone(file: &MirrorFile, source: &Source, problem: &str) -> Result<(), Error> {
    let others = [
        ("filter", file.filter.is_some()),
        ("installer", file.installer.is_some()),
        ("tree", file.tree.is_some()),
        ("merge", file.merge),
        ("local", !file.local.is_empty()),
    ];
    match others.into_iter().find(|(_, there)| *there) {
        Some((key, _)) => Err(source.wrong(key, problem, "")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::domain::mirror::Upstream;

    fn meaning(text: &str) -> Result<Upstream, Error> {
        let source = Source::new("m.toml", text);
        read(&source)?.meaning(&source, &"m".parse().unwrap()).map(|mirror| mirror.upstream)
    }

    #[test]
    fn a_directory_is_a_mirror() {
        let expected = DirectoryMirror { path: "/srv/rpms".into(), packages: PackageFormat::Rpm, publish_as: None };
        assert_eq!(meaning("[directory]\npath = \"/srv/rpms\"\npackages = \"rpm\"\n").unwrap(), Upstream::Directory(expected));
    }

    #[test]
    fn what_does_not_go_with_a_directory_is_told() {
        let good = "[directory]\npath = \"/srv\"\npackages = \"deb\"\n";
        let cases = [
            (good.replace("/srv", "srv"), "directory.path = \"srv\": is not an absolute path"),
            (good.replace("deb", "pkg"), "packages"),
            (format!("{good}publish_as = \"../x\"\n"), "directory.publish_as"),
            (format!("{good}[filter]\nnames = [\"a\"]\n"), "filter = [filter]: is not for a mirror of a directory"),
            (format!("local = [\"/x\"]\n{good}"), "is not for a mirror of a directory"),
            ("keep = 1\n".to_owned(), "a mirror needs at least one"),
        ];
        for (text, expected) in cases {
            let said = meaning(&text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}\nshould contain {expected}");
        }
    }
}
