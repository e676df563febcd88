//! A mirror of Debian archives, as written and as meant.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{FilterTable, MirrorFile, check_patterns, is_path};
use crate::config::span::{Error, Source};
use crate::domain::mirror::{DebianMirror, DebianSource, Filter, Installer};
use crate::domain::node::Arch;

/// `[[source]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// Which of Debian's archives it is (`debian`, `debian-security`), where the address is to come from the head or the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// The archive's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Suites.
    pub suites: Vec<String>,
    /// Components.
    pub components: Vec<String>,
    /// Architectures.
    pub architectures: Vec<Arch>,
    /// Keyring files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyring: Vec<PathBuf>,
    /// The suite that clients name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_as: Option<String>,
    /// Whether the suites bring updates, where their names do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<bool>,
    /// A security tracker's JSON or a USN data base: an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories: Option<PathBuf>,
}

/// Which of Debian's archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archive {
    /// The main archive.
    Debian,
    /// The security archive.
    DebianSecurity,
}

/// `[installer]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallerTable {
    suite: String,
    architectures: Vec<Arch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    udebs: Vec<String>,
}

/// What the tables of a Debian mirror mean.
pub(super) fn meaning(file: &MirrorFile, source: &Source) -> Result<DebianMirror, Error> {
    let sources = file.sources.iter().enumerate().map(|(at, table)| table.meaning(source, at)).collect::<Result<Vec<_>, _>>()?;
    if let Some(installer) = &file.installer {
        installer.check(source, &sources)?;
    }
    let filter = file.filter.as_ref().map(|table| filter(table, source)).transpose()?;
    let installer = file.installer.as_ref().map(|table| Installer {
        suite: table.suite.clone(),
        architectures: table.architectures.clone(),
        package: table.package.clone(),
        udebs: table.udebs.clone(),
    });
    Ok(DebianMirror { sources, filter, installer })
}

impl SourceTable {
    fn meaning(&self, file: &Source, at: usize) -> Result<DebianSource, Error> {
        let key = |name: &str| format!("source.{at}.{name}");
        let Some(url) = &self.url else {
            let remedy = "an address such as http://HOST/debian; or `kickctl mirror add` with --from-host or --url";
            return Err(file.wrong(&key("url"), "is missing", remedy));
        };
        let url = url.trim_end_matches('/');
        let known = ["http://", "https://", "file:///"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
        if !known || url.contains(char::is_whitespace) {
            return Err(file.wrong(&key("url"), "is not an archive's address", "http://HOST/PATH, https://HOST/PATH or file:///PATH"));
        }
        for (name, values) in [("suites", &self.suites), ("components", &self.components)] {
            if values.is_empty() {
                return Err(file.wrong(&key(name), "names none", "at least one"));
            }
            if let Some(bad) = values.iter().position(|value| !is_path(value)) {
                let allowed = "letters, digits and + - . _ / such as trixie-updates or main/debian-installer";
                return Err(file.wrong(&key(&format!("{name}.{bad}")), "is not a name", allowed));
            }
        }
        if self.architectures.is_empty() {
            return Err(file.wrong(&key("architectures"), "names none", "`amd64`, `arm64`"));
        }
        if self.keyring.is_empty() {
            return Err(file.wrong(
                &key("keyring"),
                "names no keyring to verify the archive with",
                "files such as /usr/share/keyrings/x.gpg",
            ));
        }
        if let Some(bad) = self.publish_as.as_ref().filter(|name| !is_path(name)) {
            return Err(file.wrong(&key("publish_as"), format!("`{bad}` is not a suite's name"), "a name such as trixie"));
        }
        if self.advisories.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(file.wrong(&key("advisories"), "is not an absolute path", "a file such as /srv/security-tracker.json"));
        }
        Ok(DebianSource {
            url: url.to_owned(),
            suites: self.suites.clone(),
            components: self.components.clone(),
            architectures: self.architectures.clone(),
            keyring: self.keyring.clone(),
            publish_as: self.publish_as.clone(),
            updates: self.updates,
            advisories: self.advisories.clone(),
        })
    }
}

impl InstallerTable {
    fn check(&self, file: &Source, sources: &[DebianSource]) -> Result<(), Error> {
        let suites: Vec<&str> = sources.iter().flat_map(|source| source.suites.iter().map(String::as_str)).collect();
        if !suites.contains(&self.suite.as_str()) {
            return Err(file.wrong("installer.suite", "is no suite of the sources", suites.join(", ")));
        }
        for (at, arch) in self.architectures.iter().enumerate() {
            if !sources.iter().any(|source| source.architectures.contains(arch)) {
                return Err(file.wrong(&format!("installer.architectures.{at}"), "is no architecture of the sources", ""));
            }
        }
        Ok(())
    }
}

fn filter(table: &FilterTable, file: &Source) -> Result<Filter, Error> {
    const PRIORITIES: [&str; 5] = ["required", "important", "standard", "optional", "extra"];
    let foreign = [("architectures", !table.architectures.is_empty()), ("newest", table.newest.is_some())];
    if let Some((name, _)) = foreign.into_iter().find(|(_, there)| *there) {
        return Err(file.wrong(&format!("filter.{name}"), "is for mirrors of RPM repositories", "priorities, sections, names, exclude"));
    }
    let filter = Filter {
        priorities: table.priorities.clone(),
        sections: table.sections.clone(),
        names: table.names.clone(),
        exclude: table.exclude.clone(),
        dependencies: table.dependencies.unwrap_or(true),
        recommends: table.recommends,
    };
    if let Some(at) = filter.priorities.iter().position(|priority| !PRIORITIES.contains(&priority.as_str())) {
        return Err(file.wrong(&format!("filter.priorities.{at}"), "is not a priority", PRIORITIES.join(", ")));
    }
    if filter.priorities.is_empty() && filter.sections.is_empty() && filter.names.is_empty() {
        return Err(file.wrong("filter", "takes nothing", "priorities, sections or names; or no [filter] for everything"));
    }
    check_patterns(table, file)?;
    Ok(filter)
}
