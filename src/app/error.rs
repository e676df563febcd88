//! What a use case can fail with, sorted by what the caller should do about it.

use crate::domain::attempt::Rejected;
use crate::domain::nodeset::EmptyGroup;
use crate::{config, image, mirror, store};

/// A use case's failure. The command line turns the variant into its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state could not be read or written, or refused the change.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file of TOML could not be read or says something that makes no sense.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A mirror could not be synced, published, checked or pruned; what was published stays.
    #[error(transparent)]
    Mirror(Box<mirror::Error>),
    /// An image could not be built, published, checked or pruned; what was published stays.
    #[error(transparent)]
    Image(Box<image::Error>),
    /// An attempt's state does not take the event; nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Several nodes that were named do not exist; their names are folded.
    #[error("there are no nodes {0}: `kickctl node list` shows those there are")]
    NoNodes(String),
    /// A group that was named has no members.
    #[error(transparent)]
    EmptyGroup(#[from] EmptyGroup),
    /// Something else that was named does not exist.
    #[error("{0}")]
    Missing(String),
    /// Something that was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A guard refused: nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// Some parts were done and some were not.
    #[error("{0}")]
    Partly(String),
    /// Waited for too long.
    #[error("{0}")]
    TimedOut(String),
    /// A file or folder could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// True if a guard refused and nothing was changed: what is asked for can be right at another time.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Mirror(error) => error.is_refusal(),
            Self::Image(error) => error.is_refusal(),
            Self::Store(store::Error::Busy { .. } | store::Error::Taken { .. } | store::Error::Exists(_)) => true,
            Self::Refused(_) | Self::Rejected(_) => true,
            _ => false,
        }
    }
}

impl From<mirror::Error> for Error {
    fn from(error: mirror::Error) -> Self {
        Self::Mirror(Box::new(error))
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Self::Image(Box::new(error))
    }
}

/// A use case's result.
pub type Result<T> = std::result::Result<T, Error>;
