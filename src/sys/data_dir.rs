//! Where everything lies within a data folder.

use std::path::{Path, PathBuf};

use crate::domain::name::{ImageName, MirrorName};

/// A head's data folder. A run with `--data DIR` keeps everything in DIR.
///
/// ```text
/// kickctl.toml        configuration (made by `kickctl init`)
/// state.db            nodes, assignments, attempts, leases (SQLite)
/// keys/               the head's signing key and token secret (0700)
/// objects/            content-addressed store: files named by their SHA-256 (0700)
/// mirrors/NAME/       definition.toml, snapshots/ID/{tree,snapshot.json}, current -> snapshots/ID
/// images/NAME/        recipe.toml, versions/ID/{version.json,root,...}, current -> versions/ID (0700)
/// profiles/NAME/      the site's own profiles
/// loaders/            network boot programs unpacked from packages
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The data folder at `root`, made absolute: what is printed of it is used from elsewhere. Nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self(std::path::absolute(&root).unwrap_or(root))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The configuration that `kickctl init` writes.
    pub fn config(&self) -> PathBuf {
        self.0.join("kickctl.toml")
    }

    /// The state.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.db")
    }

    /// The head's keys.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The object store.
    pub fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    /// All mirrors.
    pub fn mirrors(&self) -> PathBuf {
        self.0.join("mirrors")
    }

    /// One mirror.
    pub fn mirror(&self, name: &MirrorName) -> PathBuf {
        self.mirrors().join(name.as_str())
    }

    /// All images.
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// One image.
    pub fn image(&self, name: &ImageName) -> PathBuf {
        self.images().join(name.as_str())
    }

    /// The site's own profiles.
    pub fn profiles(&self) -> PathBuf {
        self.0.join("profiles")
    }

    /// Network boot programs.
    pub fn loaders(&self) -> PathBuf {
        self.0.join("loaders")
    }
}
