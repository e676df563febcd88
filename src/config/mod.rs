//! What was written in TOML, and what it means.

pub mod file;
pub mod hooks;
pub mod meaning;
pub mod mirror_file;
pub mod profile_file;
pub mod recipe_file;
pub mod span;

use std::path::{Path, PathBuf};

pub use hooks::{Drains, Notify};
pub use meaning::{Config, Dhcp, DhcpMode, Nfs};
pub use span::{Error, Source};

/// Where the configuration is when neither `--config` nor `--data` says so.
pub const SYSTEM_CONFIG: &str = "/etc/kickctl/kickctl.toml";
/// Where the data folder is when neither `--data` nor the configuration says so.
pub const SYSTEM_DATA: &str = "/var/lib/kickctl";

/// The configuration file to use: `--config`, else the one in `--data`, else the system's.
pub fn file(config: Option<&Path>, data: Option<&Path>) -> PathBuf {
    match (config, data) {
        (Some(config), _) => config.to_owned(),
        (None, Some(data)) => data.join("kickctl.toml"),
        (None, None) => SYSTEM_CONFIG.into(),
    }
}

/// The data folder to use: `--data`, else what the configuration says, else the system's.
pub fn data(data: Option<&Path>, config: Option<&Config>) -> PathBuf {
    data.map(Path::to_owned).or_else(|| config.and_then(|config| config.data.clone())).unwrap_or_else(|| SYSTEM_DATA.into())
}
