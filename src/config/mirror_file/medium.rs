//! `[medium]`: an installation medium that runs from itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::span::{Error, Source};
use super::MirrorFile;
use super::directory::alone;
use crate::domain::mirror::MediumMirror;

/// `[medium]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediumTable {
    /// The image.
    pub image: PathBuf,
}

pub(super) fn meaning(file: &MirrorFile, source: &Source) -> Result<MediumMirror, Error> {
    let Some(MediumTable { image }) = &file.medium else {
        return Err(source.wrong("medium", "is missing", "a table with `image`"));
    };
    if !image.is_absolute() {
        return Err(source.wrong("medium.image", "is not an absolute path", "a file such as /srv/ubuntu-24.04-live-server-amd64.iso"));
    }
    alone(file, source, "is not for a mirror of a medium: it is taken as it is")?;
    Ok(MediumMirror { image: image.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::domain::mirror::Upstream;

    #[test]
    fn a_medium_stands_alone() {
        let meaning = |text: &str| {
            let source = Source::new("m.toml", text);
            read(&source)?.meaning(&source, &"m".parse().unwrap()).map(|mirror| mirror.upstream)
        };
        let good = "[medium]\nimage = \"/srv/u.iso\"\n";
        assert_eq!(meaning(good).unwrap(), Upstream::Medium(MediumMirror { image: "/srv/u.iso".into() }));
        for (text, expected) in [
            (good.replace("/srv", "srv"), "medium.image = \"srv/u.iso\": is not an absolute path"),
            (format!("local = [\"/x\"]\n{good}"), "is not for a mirror of a medium"),
            (format!("{good}[directory]\npath = \"/x\"\npackages = \"deb\"\n"), "medium"),
        ] {
            let said = meaning(&text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}\nshould contain {expected}");
        }
    }
}
