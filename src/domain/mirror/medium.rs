//! A mirror of an installation medium that runs from itself: Ubuntu's live server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is copied of a medium: its image as it is, and out of it kernel, initial RAM disk and the archive of packages that it carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediumMirror {
    /// The image (`.iso`); absolute.
    pub image: PathBuf,
}
