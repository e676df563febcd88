//! What work on an image can fail with.

use std::io;
use std::path::PathBuf;

use crate::domain::image::{ImageName, VersionId};
use crate::sys::lock::LockError;

/// An image's failure. What was published stays published in every case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such image.
    #[error("there is no image `{name}`: {remedy}")]
    NoImage {
        /// The name.
        name: ImageName,
        /// How to get one.
        remedy: String,
    },
    /// There is no such version.
    #[error("image {image} has no version {}: `kickctl image versions {image}` lists those there are", version.as_ref().map_or("yet".to_owned(), ToString::to_string))]
    NoVersion {
        /// The image.
        image: ImageName,
        /// The version, if one was named.
        version: Option<VersionId>,
    },
    /// Nothing was published yet.
    #[error("image {0} has published nothing yet: `kickctl image publish {0}` publishes its newest version")]
    NothingPublished(ImageName),
    /// There is nothing to go back to.
    #[error("image {image}: there is no older version than {published} (published): `kickctl image versions {image}` lists them")]
    NoOlderVersion {
        /// The image.
        image: ImageName,
        /// What is published.
        published: VersionId,
    },
    /// A program is not installed.
    #[error("`{program}` is not installed: images are made with it; install the package {package}")]
    NoProgram {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// Only root makes files of other owners and device nodes.
    #[error("images are made by root only (the tree has files of other owners, device nodes and mounts of its own): run it as root")]
    NotRoot,
    /// A program failed while the image was made.
    #[error("{stage}: {problem}. No version was made. The whole log: {}; its last lines:\n{tail}", log.display())]
    Stage {
        /// Such as `installing packages`.
        stage: String,
        /// Such as `mmdebstrap ended with exit status 25`.
        problem: String,
        /// Where the log is kept.
        log: PathBuf,
        /// Its last lines, indented.
        tail: String,
    },
    /// What is asked makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or folder.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// An image's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// True if a guard refused, or somebody else is at work.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::NotRoot | Self::Lock(LockError::Held { .. }))
    }
}
