//! What a sync can fail with.

use std::io;
use std::path::PathBuf;

use crate::domain::name::{MirrorName, SnapshotId};
use crate::repo::deb::control::ControlError;
use crate::repo::deb::initrd::InitrdError;
use crate::repo::deb::packages::PackageError;
use crate::repo::deb::path::BadPath;
use crate::repo::deb::release::ReleaseError;
use crate::repo::deb::universe::IndexError;
use crate::repo::openpgp::{KeyError, Rejected};
use crate::sys::fetch::GetError;
use crate::sys::join::Outside;
use crate::sys::lock::LockError;

/// A mirror's failure. What was published stays published in every case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such mirror.
    #[error("there is no mirror `{name}`: {remedy}")]
    NoMirror {
        /// The name.
        name: MirrorName,
        /// How to get one.
        remedy: String,
    },
    /// There is no such snapshot.
    #[error("mirror {mirror} has no snapshot {}: `kickctl mirror snapshots {mirror}` lists those there are", snapshot.as_ref().map_or("to take".to_owned(), ToString::to_string))]
    NoSnapshot {
        /// The mirror.
        mirror: MirrorName,
        /// The snapshot, if one was named.
        snapshot: Option<SnapshotId>,
    },
    /// There is nothing to go back to.
    #[error("mirror {mirror}: there is no older snapshot than {published} (published): `kickctl mirror snapshots {mirror}` lists them")]
    NoOlderSnapshot {
        /// The mirror.
        mirror: MirrorName,
        /// What is published.
        published: SnapshotId,
    },
    /// Nothing was published yet.
    #[error("mirror {0} has published nothing yet: run `kickctl mirror sync {0}`")]
    NothingPublished(MirrorName),
    /// A Release file is not signed by whom it should be.
    #[error("{url} is not trusted: {source}. Nothing was taken from it")]
    NotTrusted {
        /// Its address.
        url: String,
        /// Why.
        source: Box<Rejected>,
    },
    /// A Release file is too old, expired, or malformed.
    #[error("{url} is refused: {source}. Nothing was taken from it")]
    Release {
        /// Its address.
        url: String,
        /// Why.
        source: Box<ReleaseError>,
    },
    /// A keyring cannot be read.
    #[error("keyring {}: {problem}; install the archive's keyring package or name the file with --keyring", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The head's own key.
    #[error("the head's signing key {}: {source}", path.display())]
    SigningKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<KeyError>,
    },
    /// Upstream could not be reached.
    #[error("{source}. Check the address and the network, then run the command again; what was fetched is kept")]
    Get {
        /// Why.
        #[from]
        source: GetError,
    },
    /// The Release file does not name what the definition asks for.
    #[error("{url} has no {what}: it offers {offered}; correct the mirror's definition")]
    NotOffered {
        /// The Release file's address.
        url: String,
        /// The component or architecture.
        what: String,
        /// What there is.
        offered: String,
    },
    /// An index could not be had.
    #[error("the index {url} {problem}; upstream is broken or in the middle of an update: try again later, or another address")]
    IndexFetch {
        /// Its address.
        url: String,
        /// Why.
        problem: String,
    },
    /// An index does not read.
    #[error("the index {url} is refused: {}. Nothing was taken from it", chain(&**source))]
    Index {
        /// Its address.
        url: String,
        /// Why.
        source: Box<IndexError>,
    },
    /// Metadata of an RPM repository or kickstart tree does not read, or is not what it should be.
    #[error("{url} is refused: {problem}. Nothing was taken from it")]
    Metadata {
        /// Its address.
        url: String,
        /// Why.
        problem: String,
    },
    /// A repository's metadata has no signature.
    #[error(
        "{url} is not there, so that nobody vouches for the repository. If upstream signs its packages only, write `repo_gpgcheck = false` \
         and `gpgcheck = true` into the mirror's definition"
    )]
    Unsigned {
        /// Where the signature should be.
        url: String,
    },
    /// None of a repository's addresses will do.
    #[error("repository {name}: none of its {} addresses will do:\n  {}", problems.len(), problems.join("\n  "))]
    NoAddress {
        /// The repository.
        name: String,
        /// What is wrong with each.
        problems: Vec<String>,
        /// True if one of them was refused as untrusted, rather than not reached.
        refused: bool,
    },
    /// Packages that nobody trusted has signed.
    #[error(
        "{} packages are not signed by a key of the mirror's definition; nothing was published:\n  {}\nto do: name the key that upstream signs \
         packages with under `keys`, or leave `gpgcheck` out of the definition", problems.len(), problems.join("\n  ")
    )]
    PackageSignatures {
        /// Package and reason.
        problems: Vec<String>,
    },
    /// A stanza.
    #[error("{}", chain(&**.0))]
    Package(Box<PackageError>),
    /// A path within an archive.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// A path that leads out of a tree.
    #[error(transparent)]
    Outside(#[from] Outside),
    /// A local package.
    #[error("local package {}: {}; remove or replace the file", path.display(), chain(&**source))]
    Local {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<ControlError>,
    },
    /// The installer's kernel or initrd.
    #[error("installer for {arch}: {problem}")]
    Installer {
        /// The architecture.
        arch: String,
        /// What was tried, with the remedy.
        problem: String,
    },
    /// An initrd does not read.
    #[error("initrd {path}: {}", chain(&**source))]
    Initrd {
        /// Where it is from.
        path: String,
        /// Why.
        source: Box<InitrdError>,
    },
    /// The snapshot would not be whole.
    #[error("{0}")]
    Incomplete(Box<Incomplete>),
    /// A definition makes no sense together with what is asked.
    #[error("{0}")]
    Usage(String),
    /// A guard refused.
    #[error("{0}")]
    Refused(String),
    /// A lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Metadata of a snapshot, or a file that the definition names.
    #[error("{} does not read: {problem}. If it is part of a snapshot, `kickctl mirror verify` tells what is damaged", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A file or folder.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A mirror's result.
pub type Result<T> = std::result::Result<T, Error>;

impl From<PackageError> for Error {
    fn from(error: PackageError) -> Self {
        Self::Package(Box::new(error))
    }
}

impl Error {
    /// True if a guard refused something untrusted, stale or malformed, or somebody else is at work.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotTrusted { .. }
                | Self::Release { .. }
                | Self::Index { .. }
                | Self::Package(_)
                | Self::Path(_)
                | Self::Outside(_)
                | Self::Refused(_)
                | Self::Metadata { .. }
                | Self::Unsigned { .. }
                | Self::NoAddress { refused: true, .. }
                | Self::PackageSignatures { .. }
                | Self::Lock(LockError::Held { .. })
        )
    }
}

/// What kept a snapshot from being published: all of it, collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incomplete {
    /// Files that could not be had, with the reason and who needs them.
    pub files: Vec<String>,
    /// Dependencies that nothing satisfies.
    pub dependencies: Vec<String>,
    /// Names in the filter that no package has.
    pub unknown_names: Vec<String>,
    /// What to do.
    pub remedy: String,
}

impl Incomplete {
    /// True if nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.dependencies.is_empty() && self.unknown_names.is_empty()
    }
}

impl std::fmt::Display for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "the snapshot would not be whole; nothing was published, and what was published before stays")?;
        let parts = [
            ("files that could not be had", &self.files),
            ("dependencies that nothing satisfies", &self.dependencies),
            ("names in the filter that no package has", &self.unknown_names),
        ];
        for (title, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(f, "{title} ({}):", lines.len())?;
            for line in lines.iter().take(MOST_LINES) {
                writeln!(f, "  {line}")?;
            }
            if lines.len() > MOST_LINES {
                writeln!(f, "  and {} more", lines.len() - MOST_LINES)?;
            }
        }
        f.write_str(&self.remedy)
    }
}

/// Lines of each kind that a message shows.
const MOST_LINES: usize = 50;

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
