//! An image's recipe: what was written in TOML, and the [`Recipe`] that it means.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::span::{Error, Source};
use crate::domain::image::{Content, LaidFile, Recipe, User};
use crate::domain::mirror::PackageFormat;
use crate::domain::name::MirrorName;
use crate::domain::node::Arch;

/// Versions that `prune` keeps unless the recipe says otherwise.
const KEEP: usize = 3;

/// A recipe as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeFile {
    /// The mirror that the packages come from.
    pub mirror: MirrorName,
    /// The suite to take them from, where the mirror has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// What the nodes' processors run.
    #[serde(default)]
    pub arch: Arch,
    /// The kernel's package; `linux-image-ARCH`, or `kernel` of RPM distributions, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Further packages.
    #[serde(default)]
    pub packages: Vec<String>,
    /// IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How many versions `prune` keeps besides those in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// Shell commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServicesTable>,
    /// Users.
    #[serde(default, rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserTable>,
    /// Files.
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileTable>,
}

/// `[services]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServicesTable {
    enable: BTreeSet<String>,
    disable: BTreeSet<String>,
}

/// `[[user]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserTable {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shell: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ssh_keys: Vec<String>,
}

/// `[[file]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTable {
    path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<PathBuf>,
    /// Octal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
}

impl RecipeFile {
    /// A recipe of no more than what every image needs.
    pub fn of_mirror(mirror: MirrorName) -> Self {
        Self {
            mirror,
            suite: None,
            arch: Arch::default(),
            kernel: None,
            packages: Vec::new(),
            time_zone: None,
            keep: None,
            commands: Vec::new(),
            services: None,
            users: Vec::new(),
            files: Vec::new(),
        }
    }

    /// How many versions `prune` keeps.
    pub fn keep(&self) -> usize {
        self.keep.unwrap_or(KEEP)
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
    /// `format`: that of the mirror's packages.
    pub fn meaning(&self, source: &Source, format: PackageFormat) -> Result<Recipe, Error> {
        let kernel = self.kernel.clone().unwrap_or_else(|| match format {
            PackageFormat::Deb => format!("linux-image-{}", self.arch.debian()),
            PackageFormat::Rpm => "kernel".to_owned(),
        });
        if format == PackageFormat::Rpm && self.suite.is_some() {
            return Err(source.wrong(
                "suite",
                "is for Debian mirrors, and this one has RPM repositories: all of them are used",
                "leave it out",
            ));
        }
        let is_named = |name: &String| is_package(name) || format == PackageFormat::Rpm && is_group(name);
        if !is_package(&kernel) {
            return Err(source.wrong("kernel", "is not a package name", "a name such as linux-image-amd64"));
        }
        if let Some(at) = self.packages.iter().position(|name| !is_named(name)) {
            return Err(source.wrong(&format!("packages.{at}"), "is not a package name", "a name such as openssh-server"));
        }
        if ["dracut", "initramfs-tools"].iter().all(|maker| self.packages.iter().any(|name| name == maker)) {
            return Err(source.wrong("packages", "has dracut and initramfs-tools, which exclude each other", "one of the two"));
        }
        if self.suite.as_ref().is_some_and(|suite| !suite.split('/').all(is_word)) {
            return Err(source.wrong("suite", "is not a suite's name", "a name such as trixie"));
        }
        if self.time_zone.as_ref().is_some_and(|zone| !zone.split('/').all(is_word)) {
            return Err(source.wrong("time_zone", "is not a time zone", "a name such as Europe/Berlin"));
        }
        if let Some(at) = self.commands.iter().position(|command| command.trim().is_empty() || command.contains('\0')) {
            return Err(source.wrong(&format!("commands.{at}"), "is no command", ""));
        }
        let services = self.services.clone().unwrap_or_default();
        for (key, units) in [("enable", &services.enable), ("disable", &services.disable)] {
            let bad = |unit: &&String| unit.is_empty() || !unit.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
            if let Some(unit) = units.iter().find(bad) {
                let problem = format!("`{unit}` is not a unit's name");
                return Err(source.wrong(&format!("services.{key}"), problem, "names such as ssh.service"));
            }
        }
        if let Some(unit) = services.enable.intersection(&services.disable).next() {
            return Err(source.wrong("services.disable", format!("`{unit}` is enabled too"), "one of the two"));
        }
        Ok(Recipe {
            mirror: self.mirror.clone(),
            suite: self.suite.clone(),
            arch: self.arch,
            packages: self.packages.clone(),
            kernel,
            time_zone: self.time_zone.clone(),
            users: self.users.iter().enumerate().map(|(at, user)| user.meaning(source, at)).collect::<Result<_, _>>()?,
            files: self.files.iter().enumerate().map(|(at, file)| file.meaning(source, at)).collect::<Result<_, _>>()?,
            enable: services.enable,
            disable: services.disable,
            commands: self.commands.clone(),
            keep: self.keep(),
        })
    }
}

impl UserTable {
    fn meaning(&self, source: &Source, at: usize) -> Result<User, Error> {
        let key = |name: &str| format!("user.{at}.{name}");
        if !is_account(&self.name) {
            return Err(source.wrong(&key("name"), "is not a log-in name", "1 to 32 of a-z, 0-9, - and _, the first a letter or _"));
        }
        if let Some(bad) = self.groups.iter().position(|group| !is_account(group)) {
            return Err(source.wrong(&key(&format!("groups.{bad}")), "is not a group's name", "a name such as sudo"));
        }
        if self.shell.as_ref().is_some_and(|shell| !is_inside(shell)) {
            return Err(source.wrong(&key("shell"), "is not an absolute path", "a program such as /bin/bash"));
        }
        let hash = |text: &String| text.starts_with('$') && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
        if self.password_hash.as_ref().is_some_and(|text| !hash(text)) {
            return Err(source.wrong(
                &key("password_hash"),
                "is not crypt(5) text",
                "what `openssl passwd -6` prints; never a plain password",
            ));
        }
        if let Some(bad) = self.ssh_keys.iter().position(|line| line.contains(char::is_control) || line.split_whitespace().count() < 2) {
            return Err(source.wrong(
                &key(&format!("ssh_keys.{bad}")),
                "is not a public key",
                "one line, such as ssh-ed25519 AAAA... name",
            ));
        }
        Ok(User {
            name: self.name.clone(),
            uid: self.uid,
            groups: self.groups.clone(),
            shell: self.shell.clone(),
            password_hash: self.password_hash.clone(),
            ssh_keys: self.ssh_keys.clone(),
        })
    }
}

impl FileTable {
    fn meaning(&self, source: &Source, at: usize) -> Result<LaidFile, Error> {
        let key = |name: &str| format!("file.{at}.{name}");
        if !is_inside(&self.path) {
            return Err(source.wrong(&key("path"), "is not an absolute path without `..`", "a path within the image such as /etc/motd"));
        }
        let content = match (&self.content, &self.source) {
            (Some(text), None) => Content::Content(text.clone()),
            (None, Some(path)) if path.is_absolute() => Content::Source(path.clone()),
            (None, Some(_)) => return Err(source.wrong(&key("source"), "is not an absolute path", "a file or folder of the head")),
            _ => {
                return Err(source.wrong(&format!("file.{at}"), "says not, or twice, what the file holds", "either `content` or `source`"));
            }
        };
        let mode = match &self.mode {
            None => None,
            Some(digits) => match u32::from_str_radix(digits, 8) {
                Ok(mode) if mode <= 0o7777 => Some(mode),
                _ => return Err(source.wrong(&key("mode"), "is no file mode", "octal digits such as \"0644\"")),
            },
        };
        Ok(LaidFile { path: self.path.clone(), content, mode })
    }
}

/// Debian policy 5.6.1, and capitals for other families.
fn is_package(text: &str) -> bool {
    (2..=128).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._:".contains(&b))
}

/// A group of packages, or an environment: `@core`, `@^minimal-environment`.
fn is_group(text: &str) -> bool {
    text.strip_prefix("@^").or_else(|| text.strip_prefix('@')).is_some_and(is_package)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}

/// As useradd(8) takes it.
fn is_account(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

fn is_inside(path: &Path) -> bool {
    let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    path.is_absolute() && path.components().count() > 1 && plain && path.to_str().is_some_and(|text| !text.contains(char::is_control))
}

/// Reads a recipe.
///
/// # Errors
/// [`Error`], naming file, line, key, value and what is allowed.
pub fn read(source: &Source) -> Result<RecipeFile, Error> {
    source.read()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"mirror = "debian-13"
packages = ["openssh-server"]
time_zone = "Europe/Berlin"
commands = ["true"]
[services]
enable = ["ssh.service"]
[[user]]
name = "root"
ssh_keys = ["ssh-ed25519 AAAA me"]
[[file]]
path = "/etc/motd"
content = "hello"
mode = "0640"
"#;

    fn meaning(text: &str) -> Result<Recipe, Error> {
        let source = Source::new("r.toml", text);
        read(&source)?.meaning(&source, PackageFormat::Deb)
    }

    #[test]
    fn a_recipe_is_read() {
        let recipe = meaning(GOOD).unwrap();
        assert_eq!((recipe.kernel.as_str(), recipe.keep, recipe.files[0].mode), ("linux-image-amd64", 3, Some(0o640)));
        assert_eq!(meaning("mirror = \"debian-13\"\n").unwrap().packages, Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_is_allowed() {
        let cases = [
            (GOOD.replace("openssh-server", "--force"), "r.toml:2:13: packages.0 = \"--force\": is not a package name"),
            (
                GOOD.replace("[\"openssh-server\"]", "[\"dracut\", \"initramfs-tools\"]"),
                "has dracut and initramfs-tools, which exclude each other",
            ),
            (GOOD.replace("Europe/Berlin", "../../etc/passwd"), "time_zone = \"../../etc/passwd\": is not a time zone"),
            (GOOD.replace("ssh.service", "-x y"), "services.enable"),
            (GOOD.replace("name = \"root\"", "name = \"Root:x\""), "user.0.name = \"Root:x\": is not a log-in name"),
            (GOOD.replace("ssh-ed25519 AAAA me", "AAAA"), "user.0.ssh_keys.0 = \"AAAA\": is not a public key"),
            (GOOD.replace("/etc/motd", "/etc/../../motd"), "file.0.path"),
            (GOOD.replace("/etc/motd", "etc/motd"), "file.0.path"),
            (GOOD.replace("content = \"hello\"", "content = \"a\"\nsource = \"/b\""), "allowed: either `content` or `source`"),
            (GOOD.replace("0640", "999"), "file.0.mode = \"999\": is no file mode; allowed: octal"),
            (GOOD.replace("mirror =", "miror ="), "miror: there is no such key"),
            ("packages = []\n".to_owned(), "mirror: is missing"),
        ];
        for (text, expected) in cases {
            let said = meaning(&text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}\nshould contain {expected}");
        }
    }

    #[test]
    fn a_recipe_for_rpm_packages_has_groups_and_another_kernel_and_no_suite() {
        let rpm = |text: &str| {
            let source = Source::new("r.toml", text);
            read(&source)?.meaning(&source, PackageFormat::Rpm)
        };
        let text = "mirror = \"rocky-9\"\npackages = [\"@core\", \"@^minimal-environment\", \"openssh-server\"]\n";
        assert_eq!(rpm(text).unwrap().kernel, "kernel");
        assert!(meaning(text).unwrap_err().to_string().contains("packages.0 = \"@core\": is not a package name"));
        let said = rpm(&format!("{text}suite = \"BaseOS\"\n")).unwrap_err().to_string();
        assert!(said.contains("suite = \"BaseOS\": is for Debian mirrors"), "{said}");
    }

    #[test]
    fn what_is_written_back_reads_as_the_same() {
        let source = Source::new("r.toml", GOOD);
        let file = read(&source).unwrap();
        assert_eq!(read(&Source::new("r.toml", file.to_toml().unwrap())).unwrap(), file);
    }
}
