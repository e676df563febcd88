//! RPM repositories as a node names them: in its kickstart file by the snapshot, in the installed system by what is published.

use serde::Serialize;

use super::context::{Context, MirrorFacts};
use crate::domain::mirror::{Snapshot, is_updates};

/// A repository of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// Such as `BaseOS`.
    pub name: String,
    /// Its folder within the tree; empty for the tree's root.
    pub path: String,
    /// True if its `repomd.xml` is signed.
    pub signed: bool,
    /// True if the head made and signed its metadata.
    pub signed_by_head: bool,
    /// Keys that its packages may be signed with, as paths within the tree.
    pub keys: Vec<String>,
}

/// What templates see of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repositories {
    /// The URL that Anaconda installs from first: the kickstart tree, where it is a repository.
    pub source: String,
    /// Those besides the source: name and URL in the snapshot.
    pub more: Vec<Named>,
    /// All, as the installed system names them.
    pub published: Vec<Published>,
    /// The key files that the installed system needs.
    pub keys: Vec<KeyFile>,
}

/// A repository by its URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
}

/// A section of the installed system's `.repo` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// True if its `repomd.xml` is signed.
    pub signed: bool,
    /// True if keys are known that its packages are signed with.
    pub packages_signed: bool,
    /// `file://` URLs of the keys.
    pub keys: Vec<String>,
}

/// A key: where it is fetched, and the installed system's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KeyFile {
    /// Where the head gives it.
    pub url: String,
    /// The installed system's file.
    pub path: String,
}

const KEYS: &str = "/etc/pki/rpm-gpg";

impl MirrorFacts {
    /// The folder of the kickstart tree on the head, with a leading slash.
    pub fn tree_directory(&self) -> String {
        below(&self.directory, self.tree.as_deref().unwrap_or_default())
    }
}

/// The repositories of a snapshot that a node uses. Those that only bring updates are named for it, as Fedora's `updates` is.
pub(super) fn of(snapshot: &Snapshot, security: bool) -> Vec<Repository> {
    let wanted = snapshot.repositories.iter().filter(|repository| security || !is_updates(&repository.name));
    wanted
        .map(|repository| Repository {
            name: repository.name.clone(),
            path: repository.path.clone(),
            signed: repository.signed,
            signed_by_head: repository.rebuilt,
            keys: repository.keys.clone(),
        })
        .collect()
}

impl Context {
    /// The repositories as this node names them.
    pub fn repositories(&self) -> Repositories {
        let mirror = &self.mirror;
        let tree = mirror.tree.as_deref().unwrap_or_default();
        let first = mirror.repositories.iter().find(|repository| repository.path == tree).or_else(|| mirror.repositories.first());
        let url = |folder: &str, path: &str| format!("{}{}", self.head.url, below(folder, path));
        let more = mirror.repositories.iter().filter(|repository| Some(*repository) != first);
        let mut keys: Vec<KeyFile> = mirror.repositories.iter().flat_map(|repository| self.keys(repository)).collect();
        keys.sort();
        keys.dedup();
        Repositories {
            source: url(&mirror.directory, first.map_or(tree, |first| &first.path)),
            more: more.map(|one| Named { name: one.name.clone(), url: url(&mirror.directory, &one.path) }).collect(),
            published: mirror
                .repositories
                .iter()
                .map(|one| Published {
                    name: one.name.clone(),
                    url: url(&mirror.published, &one.path),
                    signed: one.signed,
                    packages_signed: !one.keys.is_empty(),
                    keys: self.keys(one).into_iter().map(|key| format!("file://{}", key.path)).collect(),
                })
                .collect(),
            keys,
        }
    }

    /// The keys of one repository: those of its packages, and the head's where the head signed its metadata.
    fn keys(&self, repository: &Repository) -> Vec<KeyFile> {
        let (head, mirror) = (&self.head, &self.mirror);
        let file = |path: &String| KeyFile {
            url: format!("{}{}", head.url, below(&mirror.directory, path)),
            path: format!("{KEYS}/kickctl-{}-{}", mirror.name, plain(path)),
        };
        let own = (repository.signed && repository.signed_by_head)
            .then(|| KeyFile { url: format!("{}/key.asc", head.url), path: format!("{KEYS}/kickctl-{}", head.name) });
        repository.keys.iter().map(file).chain(own).collect()
    }
}

fn below(folder: &str, path: &str) -> String {
    if path.is_empty() { folder.to_owned() } else { format!("{folder}/{path}") }
}

/// A path as one file name that a shell leaves alone.
fn plain(path: &str) -> String {
    path.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
}
