//! A mirror's definition: what was written in TOML, and the [`Mirror`] that it means.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::span::{Error, Source};
use crate::domain::mirror::{DebianSource, Filter, Installer, Mirror};
use crate::domain::name::MirrorName;
use crate::domain::node::Arch;

/// Snapshots that `prune` keeps unless the definition says otherwise.
const KEEP: usize = 3;

/// A definition as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorFile {
    /// How many snapshots `prune` keeps besides those in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// Directories of the site whose packages join the mirror.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<PathBuf>,
    /// Where the packages come from.
    #[serde(rename = "source")]
    pub sources: Vec<SourceTable>,
    /// Which are taken; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterTable>,
    /// The network installer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installer: Option<InstallerTable>,
}

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

/// `[filter]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterTable {
    priorities: Vec<String>,
    sections: Vec<String>,
    names: Vec<String>,
    exclude: Vec<String>,
    dependencies: Option<bool>,
    recommends: bool,
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

impl MirrorFile {
    /// Gives the address and keyring to sources that name only an archive. Those for which `address` has none stay as they are.
    pub fn fill(&mut self, address: &dyn Fn(Archive) -> Option<(String, Vec<PathBuf>)>) {
        for source in self.sources.iter_mut().filter(|source| source.url.is_none()) {
            let Some((url, keyring)) = source.archive.and_then(address) else { continue };
            source.url = Some(url);
            if source.keyring.is_empty() {
                source.keyring = keyring;
            }
        }
    }

    /// As TOML.
    ///
    /// # Errors
    /// If a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    /// What it means.
    ///
    /// # Errors
    /// [`Error::Wrong`], naming file, line, key, value and what is allowed. `source`: the text it was read from.
    pub fn meaning(&self, source: &Source, name: &MirrorName) -> Result<Mirror, Error> {
        if self.sources.is_empty() {
            return Err(source.wrong("source", "a mirror needs at least one", "[[source]] tables"));
        }
        let sources = self.sources.iter().enumerate().map(|(at, table)| table.meaning(source, at)).collect::<Result<Vec<_>, _>>()?;
        if let Some(installer) = &self.installer {
            installer.check(source, &sources)?;
        }
        if let Some(at) = self.local.iter().position(|folder| !folder.is_absolute()) {
            return Err(source.wrong(&format!("local.{at}"), "is not an absolute path", "a directory such as /srv/packages"));
        }
        let filter = self.filter.as_ref().map(|table| Filter {
            priorities: table.priorities.clone(),
            sections: table.sections.clone(),
            names: table.names.clone(),
            exclude: table.exclude.clone(),
            dependencies: table.dependencies.unwrap_or(true),
            recommends: table.recommends,
        });
        if let Some(filter) = &filter {
            check_filter(source, filter)?;
        }
        let installer = self.installer.as_ref().map(|table| Installer {
            suite: table.suite.clone(),
            architectures: table.architectures.clone(),
            package: table.package.clone(),
            udebs: table.udebs.clone(),
        });
        Ok(Mirror { name: name.clone(), sources, filter, installer, local: self.local.clone(), keep: self.keep.unwrap_or(KEEP) })
    }
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
        Ok(DebianSource {
            url: url.to_owned(),
            suites: self.suites.clone(),
            components: self.components.clone(),
            architectures: self.architectures.clone(),
            keyring: self.keyring.clone(),
            publish_as: self.publish_as.clone(),
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

fn check_filter(file: &Source, filter: &Filter) -> Result<(), Error> {
    const PRIORITIES: [&str; 5] = ["required", "important", "standard", "optional", "extra"];
    if let Some(at) = filter.priorities.iter().position(|priority| !PRIORITIES.contains(&priority.as_str())) {
        return Err(file.wrong(&format!("filter.priorities.{at}"), "is not a priority", PRIORITIES.join(", ")));
    }
    if filter.priorities.is_empty() && filter.sections.is_empty() && filter.names.is_empty() {
        return Err(file.wrong("filter", "takes nothing", "priorities, sections or names; or no [filter] for everything"));
    }
    for (name, values) in [("names", &filter.names), ("exclude", &filter.exclude)] {
        let good = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.*?_[]!".contains(&b));
        if let Some(at) = values.iter().position(|value| !good(value)) {
            return Err(file.wrong(&format!("filter.{name}.{at}"), "is not a package name", "a name or a glob such as linux-image-*"));
        }
    }
    Ok(())
}

/// Suites and components become folders and addresses.
fn is_path(text: &str) -> bool {
    text.len() <= 200
        && text.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._~".contains(&b))
        })
}

/// Reads a definition.
///
/// # Errors
/// [`Error`], naming file, line, key, value and what is allowed.
pub fn read(source: &Source) -> Result<MirrorFile, Error> {
    source.read()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"keep = 5
[[source]]
url = "http://a.example/debian/"
suites = ["trixie"]
components = ["main", "main/debian-installer"]
architectures = ["amd64"]
keyring = ["/ring.gpg"]
[filter]
names = ["bash"]
[installer]
suite = "trixie"
architectures = ["amd64"]
"#;

    fn meaning(text: &str) -> Result<Mirror, Error> {
        let source = Source::new("m.toml", text);
        read(&source)?.meaning(&source, &"m".parse().unwrap())
    }

    #[test]
    fn a_definition_means_a_mirror() {
        let mirror = meaning(GOOD).unwrap();
        assert_eq!((mirror.keep, mirror.sources[0].url.as_str()), (5, "http://a.example/debian"));
        assert!(mirror.filter.unwrap().dependencies && mirror.installer.is_some());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_is_allowed() {
        let cases = [
            (
                GOOD.replace("http://a.example/debian/", "a.example"),
                "m.toml:3:7: source.0.url = \"a.example\": is not an archive's address",
            ),
            (GOOD.replace("\"main\", ", "\"../main\", "), "source.0.components.0 = \"../main\": is not a name"),
            (GOOD.replace("[\"amd64\"]\nkeyring", "[\"amd46\"]\nkeyring"), "m.toml:6:"),
            (GOOD.replace("keyring = [\"/ring.gpg\"]\n", ""), "source.0.keyring: names no keyring"),
            (
                GOOD.replace("suite = \"trixie\"\n", "suite = \"sid\"\n"),
                "installer.suite = \"sid\": is no suite of the sources; allowed: trixie",
            ),
            (
                GOOD.replace("names = [\"bash\"]", "priorities = [\"high\"]"),
                "filter.priorities.0 = \"high\": is not a priority; allowed: required",
            ),
            (GOOD.replace("names = [\"bash\"]", ""), "filter"),
            (GOOD.replace("keep", "kepp"), "m.toml:1:1: kepp: there is no such key"),
        ];
        for (text, expected) in cases {
            let said = meaning(&text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}\nshould contain {expected}");
        }
    }

    #[test]
    fn what_is_written_back_reads_as_the_same() {
        let source = Source::new("m.toml", GOOD);
        let file = read(&source).unwrap();
        assert_eq!(read(&Source::new("m.toml", file.to_toml().unwrap())).unwrap(), file);
    }
}
