//! The archive of a snapshot, as Ubuntu's installer is told of it.

use serde::Serialize;

use crate::domain::profile::Installer;
use crate::provision::context::Context;

/// What the installer takes every archive to have, unless it is told otherwise.
const SUITES: [&str; 3] = ["updates", "backports", "security"];
const COMPONENTS: [&str; 4] = ["main", "restricted", "universe", "multiverse"];

/// An archive of Debian packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Archive {
    /// The snapshot's address; `None` if it has no suite.
    pub uri: Option<String>,
    /// Suites that it lacks, without the release's name.
    pub no_suites: Vec<&'static str>,
    /// Components that it lacks.
    pub no_components: Vec<&'static str>,
}

impl Context {
    /// The archive that is installed from.
    pub fn archive(&self) -> Archive {
        let mirror = &self.mirror;
        let has_suite = |end: &str| mirror.suites.iter().any(|suite| suite.name == format!("{}-{end}", mirror.suite));
        Archive {
            uri: (!mirror.suites.is_empty()).then(|| format!("{}{}", self.head.url, mirror.directory)),
            no_suites: SUITES.into_iter().filter(|end| !has_suite(end)).collect(),
            no_components: COMPONENTS.into_iter().filter(|name| !mirror.components.iter().any(|own| own == name)).collect(),
        }
    }

    /// The keyring of the distribution's own archive in the installed system.
    pub(in crate::provision) fn archive_keyring(&self) -> &'static str {
        match self.kind {
            Installer::Autoinstall => "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
            Installer::Preseed | Installer::Kickstart => "/usr/share/keyrings/debian-archive-keyring.gpg",
        }
    }
}
