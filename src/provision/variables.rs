//! From merged variables to settings: every key known, every value of its type, every mistake told with its layer.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use super::choices::{Fallback, Filesystem, Initramfs, Label, Mount, Partition, Swap, Upgrade, User, WhenDone};
pub use super::diskless::{Heartbeat, OverlaySize, Place, Scratch, UnitName, Writable};
use super::values::{HostOrAddress, Line, PackageName, PasswordHash, Size, SshKey, TimeZone, Token, UserName};
use crate::domain::disk::DiskSelector;
use crate::domain::variables::{Layer, Merged, Variables, merge};

/// What a node's operating system shall be like. Serialises without its secrets: those are in [`super::context::Secrets`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct Settings {
    /// Which disk to install to.
    pub disk: DiskSelector,
    /// The partition table.
    pub label: Label,
    /// The root file system.
    pub filesystem: Filesystem,
    /// How much swap.
    pub swap: Swap,
    /// Partitions beside root, swap and what the firmware needs, in the order on the disk.
    pub partitions: Vec<Partition>,
    /// Accounts by name.
    pub users: BTreeMap<UserName, User>,
    /// In crypt(3) form; without one root cannot log in by password.
    #[serde(skip_serializing)]
    pub root_password_hash: Option<PasswordHash>,
    /// Public keys that may log in as root.
    pub root_ssh_keys: Vec<SshKey>,
    /// Packages besides the base system.
    pub packages: Vec<PackageName>,
    /// Install recommended packages too.
    pub recommends: bool,
    /// The kernel package; `default` is the distribution's for the node's architecture.
    pub kernel: PackageName,
    /// What the initial RAM disk holds.
    pub initramfs: Initramfs,
    /// Let the installer add guest agents and CPU microcode.
    pub hardware_packages: bool,
    /// Use the security and updates suites if the mirror has them.
    pub security: bool,
    /// Upgrade the base system during the installation.
    pub upgrade: Upgrade,
    /// As in `/usr/share/zoneinfo`.
    pub timezone: TimeZone,
    /// Such as `C.UTF-8` or `de_DE.UTF-8`.
    pub locale: Token,
    /// The installer's language.
    pub language: Token,
    /// The installer's country.
    pub country: Token,
    /// XKB key map.
    pub keyboard: Token,
    /// `console=` arguments of installer and installed system; the last is the system console.
    pub console: Vec<Token>,
    /// More kernel arguments of the installed system.
    pub kernel_args: Line,
    /// More kernel arguments of the installer alone.
    pub installer_args: Line,
    /// Write all nodes with a fixed address into `/etc/hosts`.
    pub hosts: bool,
    /// Time servers; without the key those of the network are used.
    pub ntp: Option<Vec<HostOrAddress>>,
    /// Network file systems.
    pub mounts: Vec<Mount>,
    /// Shell commands that run in the installed system at the end of the installation.
    pub post_install: Vec<String>,
    /// Diskless: how much the tmpfs over the root may hold.
    pub overlay_size: OverlaySize,
    /// Diskless: folders that are written elsewhere than in that tmpfs.
    pub writable: Vec<Writable>,
    /// Diskless: a local disk for what need not last.
    pub scratch: Scratch,
    /// Diskless: a local disk to swap to.
    pub swap_disk: DiskSelector,
    /// Diskless: systemd units to start, or to keep from starting. A table, so that a group can add to it.
    pub services: BTreeMap<UnitName, bool>,
    /// Diskless: send the system's log to the head.
    pub syslog: bool,
    /// Diskless: how often the running node tells that it lives.
    pub heartbeat: Heartbeat,
    /// On UEFI: keep the network before the disk in the boot order, so that the head decides every boot.
    pub network_first: bool,
    /// What follows the installation.
    pub when_done: WhenDone,
    /// What the node runs when its installation has failed for good.
    pub fallback: Fallback,
    /// The site's own values for its own templates.
    pub custom: Map<String, Value>,
    /// The site's own secrets, for what is rendered after the write gate.
    #[serde(skip_serializing)]
    pub secret: Map<String, Value>,
}

/// A variable that cannot be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("variable `{path}`{}: {problem}", if layer.is_empty() { String::new() } else { format!(" (set by {layer})") })]
pub struct BadVariable {
    /// The dotted path.
    pub path: String,
    /// The layer that set it; empty if none did.
    pub layer: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

const KEYS: [&str; 39] = [
    "disk",
    "label",
    "filesystem",
    "swap",
    "partitions",
    "users",
    "root_password_hash",
    "root_ssh_keys",
    "packages",
    "recommends",
    "kernel",
    "initramfs",
    "hardware_packages",
    "security",
    "upgrade",
    "timezone",
    "locale",
    "language",
    "country",
    "keyboard",
    "console",
    "kernel_args",
    "installer_args",
    "hosts",
    "ntp",
    "mounts",
    "post_install",
    "overlay_size",
    "writable",
    "scratch",
    "swap_disk",
    "services",
    "syslog",
    "heartbeat",
    "network_first",
    "when_done",
    "fallback",
    "custom",
    "secret",
];

/// The lowest layer.
pub fn defaults() -> Layer {
    // The text is part of the program; a test holds it to be right.
    Layer { name: "defaults".into(), variables: toml::from_str(include_str!("defaults.toml")).unwrap_or_default() }
}

impl Settings {
    /// Reads merged variables. A key that no layer set (an attempt frozen by an older kickctl) has its default.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn read(merged: &Merged) -> Result<Self, Vec<BadVariable>> {
        let reader = Reader { merged, defaults: defaults().variables, wrong: RefCell::default() };
        reader.unknown();
        let settings = Self {
            disk: reader.disk("disk"),
            label: reader.get("label"),
            filesystem: reader.get("filesystem"),
            swap: reader.get("swap"),
            partitions: reader.get("partitions"),
            users: reader.users(),
            root_password_hash: reader.get("root_password_hash"),
            root_ssh_keys: reader.get("root_ssh_keys"),
            packages: reader.get("packages"),
            recommends: reader.get("recommends"),
            kernel: reader.get("kernel"),
            initramfs: reader.get("initramfs"),
            hardware_packages: reader.get("hardware_packages"),
            security: reader.get("security"),
            upgrade: reader.get("upgrade"),
            timezone: reader.get("timezone"),
            locale: reader.get("locale"),
            language: reader.get("language"),
            country: reader.get("country"),
            keyboard: reader.get("keyboard"),
            console: reader.get("console"),
            kernel_args: reader.get("kernel_args"),
            installer_args: reader.get("installer_args"),
            hosts: reader.get("hosts"),
            ntp: reader.get("ntp"),
            mounts: reader.get("mounts"),
            post_install: reader.get("post_install"),
            overlay_size: reader.get("overlay_size"),
            writable: reader.get("writable"),
            scratch: reader.scratch(),
            swap_disk: reader.disk("swap_disk"),
            services: reader.get("services"),
            syslog: reader.get("syslog"),
            heartbeat: reader.get("heartbeat"),
            network_first: reader.get("network_first"),
            when_done: reader.get("when_done"),
            fallback: reader.get("fallback"),
            custom: reader.get("custom"),
            secret: reader.get("secret"),
        };
        settings.check(&reader);
        let wrong = reader.wrong.into_inner();
        if wrong.is_empty() { Ok(settings) } else { Err(wrong) }
    }

    /// What no single value can tell.
    fn check(&self, reader: &Reader) {
        for (at, partition) in self.partitions.iter().enumerate() {
            let mount = partition.mount.as_str();
            if mount == "/" || mount == "/boot/efi" {
                reader.wrong("partitions", format!("{mount} is made by itself: root gets what the other partitions leave"));
            }
            if self.partitions[..at].iter().any(|other| other.mount == partition.mount) {
                reader.wrong("partitions", format!("{mount} is there twice"));
            }
        }
        for command in &self.post_install {
            if command.contains('\0') || command.trim().is_empty() {
                reader.wrong("post_install", "an empty command".into());
            }
        }
        for (path, disk) in [("disk", &self.disk), ("scratch.disk", &self.scratch.disk), ("swap_disk", &self.swap_disk)] {
            if let (Some(least), Some(most)) = (disk.min_size, disk.max_size)
                && least > most
            {
                reader.wrong(&format!("{path}.min_size"), format!("{least} is more than {path}.max_size, which is {most}"));
            }
        }
        for writable in &self.writable {
            if let Err(problem) = writable.check(&self.scratch) {
                reader.wrong("writable", problem);
            }
        }
    }
}

/// Checks one layer by itself: every name and every value, but not what only all layers together can tell.
///
/// # Errors
/// Everything that is wrong.
pub fn check_layer(layer: Layer) -> Result<(), Vec<BadVariable>> {
    Settings::read(&merge(&[defaults(), layer])).map(drop)
}

/// True for variables whose values are shown only when asked for.
pub fn is_secret(path: &str) -> bool {
    path == "secret"
        || path.starts_with("secret.")
        || path.rsplit('.').next() == Some("root_password_hash")
        || path.ends_with(".password_hash")
}

struct Reader<'a> {
    merged: &'a Merged,
    defaults: Variables,
    wrong: RefCell<Vec<BadVariable>>,
}

impl Reader<'_> {
    fn value(&self, key: &str) -> Value {
        self.merged.values.0.get(key).or_else(|| self.defaults.0.get(key)).cloned().unwrap_or(Value::Null)
    }

    fn get<T: DeserializeOwned + Default>(&self, key: &str) -> T {
        self.convert(key, self.value(key))
    }

    fn convert<T: DeserializeOwned + Default>(&self, path: &str, value: Value) -> T {
        T::deserialize(&value).unwrap_or_else(|error| {
            let message = error.to_string();
            // serde names an unknown field in its sentence only, and a field with a wrong value not at all.
            let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()).map(str::to_owned);
            let inner = unknown.or_else(|| culprit::<T>(&value, &message));
            self.wrong(&inner.map_or_else(|| path.to_owned(), |field| format!("{path}.{field}")), message);
            T::default()
        })
    }

    fn disk(&self, key: &str) -> DiskSelector {
        self.selector(key, self.value(key))
    }

    /// Sizes may be written as text there, and the pure type knows bytes only.
    fn selector(&self, path: &str, mut value: Value) -> DiskSelector {
        for key in ["min_size", "max_size"] {
            if let Some(size) = value.get_mut(key) {
                *size = self.convert::<Size>(&format!("{path}.{key}"), size.take()).0.into();
            }
        }
        self.convert(path, value)
    }

    fn scratch(&self) -> Scratch {
        let mut value = self.value("scratch");
        let disk = value.as_object_mut().and_then(|table| table.remove("disk"));
        let disk = disk.map(|disk| self.selector("scratch.disk", disk)).unwrap_or_default();
        Scratch { disk, ..self.convert("scratch", value) }
    }

    fn users(&self) -> BTreeMap<UserName, User> {
        let Value::Object(table) = self.value("users") else {
            self.wrong("users", "is no table: write [variables.users.NAME]".into());
            return BTreeMap::new();
        };
        let mut users = BTreeMap::new();
        for (name, user) in table {
            let path = format!("users.{name}");
            let user: User = self.convert(&path, user);
            match name.parse::<UserName>() {
                Ok(name) if name.as_str() != "root" => {
                    users.insert(name, user);
                }
                Ok(_) => self.wrong(&path, "root is there already: use root_password_hash and root_ssh_keys".into()),
                Err(problem) => self.wrong(&path, problem.to_string()),
            }
        }
        users
    }

    fn unknown(&self) {
        for key in self.merged.values.0.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let near: Vec<&str> = KEYS.into_iter().filter(|known| distance(known, key) <= 2 || known.starts_with(key.as_str())).collect();
            let hint = match near.as_slice() {
                [] => format!("there are {}; a site's own values go under `custom`", KEYS.join(", ")),
                near => format!("did you mean {}? A site's own values go under `custom`", near.join(" or ")),
            };
            self.wrong(key, format!("there is no such variable: {hint}"));
        }
    }

    fn wrong(&self, path: &str, problem: String) {
        let below = format!("{path}.");
        let origin = &self.merged.origin;
        let layer = origin
            .get(path)
            .or_else(|| {
                origin.iter().find(|(known, _)| known.starts_with(&below) || path.starts_with(&format!("{known}."))).map(|(_, layer)| layer)
            })
            .cloned()
            .unwrap_or_default();
        self.wrong.borrow_mut().push(BadVariable { path: path.to_owned(), layer, problem });
    }
}

/// The field of a table that `message` is about: without it the complaint is another one, or none.
fn culprit<T: DeserializeOwned>(value: &Value, message: &str) -> Option<String> {
    let table = value.as_object().filter(|_| !message.starts_with("missing field"))?;
    let blamed = |field: &&String| {
        let mut rest = table.clone();
        rest.remove(*field);
        serde_json::from_value::<T>(Value::Object(rest)).err().is_none_or(|error| error.to_string() != message)
    };
    table.keys().find(blamed).cloned()
}

/// Levenshtein's distance, for near misses.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "variables_tests.rs"]
mod tests;
