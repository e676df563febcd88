//! The variables of diskless nodes: where they write, which disks they may use, which services run.

use std::fmt::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::values::{FilesystemPath, Size, Token};
use crate::domain::disk::{Bus, DiskSelector, Pick};

/// How much a tmpfs may hold, as its `size=` option takes it: `50%` of the memory, or a number of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OverlayWritten", into = "String")]
pub struct OverlaySize(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum OverlayWritten {
    Bytes(u64),
    Text(String),
}

impl TryFrom<OverlayWritten> for OverlaySize {
    type Error = String;

    fn try_from(written: OverlayWritten) -> Result<Self, String> {
        let text = match written {
            OverlayWritten::Bytes(bytes) => bytes.to_string(),
            OverlayWritten::Text(text) => text,
        };
        if let Some(percent) = text.strip_suffix('%').and_then(|number| number.parse::<u8>().ok())
            && (1..=95).contains(&percent)
        {
            return Ok(Self(format!("{percent}%")));
        }
        let wrong = || format!("`{text}` is no size of a tmpfs: allowed are 1% to 95% of the memory, or a size such as \"2 GiB\"");
        Size::from_str(&text).map(|size| Self(size.0.to_string())).map_err(|_| wrong())
    }
}

impl Default for OverlaySize {
    fn default() -> Self {
        Self("50%".into())
    }
}

impl From<OverlaySize> for String {
    fn from(size: OverlaySize) -> String {
        size.0
    }
}

impl OverlaySize {
    /// As `mount -o size=` takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Seconds between two signs of life of a running node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Heartbeat(u64);

impl Default for Heartbeat {
    fn default() -> Self {
        Self(60)
    }
}

impl TryFrom<u64> for Heartbeat {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, String> {
        match seconds {
            5..=3600 => Ok(Self(seconds)),
            other => Err(format!("{other} s between two signs of life: allowed are 5 to 3600")),
        }
    }
}

impl From<Heartbeat> for u64 {
    fn from(heartbeat: Heartbeat) -> u64 {
        heartbeat.0
    }
}

/// A systemd unit; without a suffix it is a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let right = (1..=255).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._:-".contains(&b))
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let kinds = [".service", ".socket", ".timer", ".target", ".mount", ".path"];
        match right {
            true if kinds.iter().any(|kind| text.ends_with(kind)) => Ok(Self(text)),
            true => Ok(Self(text + ".service")),
            false => Err(format!("`{}` is no unit: allowed are letters, digits, @ . _ : and -", text.chars().take(80).collect::<String>())),
        }
    }
}

impl From<UnitName> for String {
    fn from(unit: UnitName) -> String {
        unit.0
    }
}

impl UnitName {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A local disk for what need not last. It is made only on a disk that is blank or was made scratch before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scratch {
    /// Which; without any condition there is none.
    pub disk: DiskSelector,
    /// Where it is mounted.
    pub mount: FilesystemPath,
    /// Its file system.
    pub filesystem: ScratchFilesystem,
}

impl Default for Scratch {
    fn default() -> Self {
        // The text is right by its own rule.
        let mount = FilesystemPath::from_str("/scratch").unwrap_or_default();
        Self { disk: DiskSelector::default(), mount, filesystem: ScratchFilesystem::Ext4 }
    }
}

impl Scratch {
    /// True if the profile names a disk.
    pub fn is_wanted(&self) -> bool {
        is_named(&self.disk)
    }
}

/// True if a selector says anything.
pub fn is_named(disk: &DiskSelector) -> bool {
    *disk != DiskSelector::default()
}

/// A scratch disk's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScratchFilesystem {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

impl std::fmt::Display for ScratchFilesystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        })
    }
}

/// A folder that is written elsewhere than in the tmpfs over the root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writable {
    /// The folder.
    pub path: FilesystemPath,
    /// Where what is written goes.
    pub on: Place,
    /// For `tmpfs`: how much it may hold.
    #[serde(default)]
    pub size: Option<OverlaySize>,
    /// For `nfs`: `server:/path`.
    #[serde(default)]
    pub source: Option<Token>,
}

/// Where a writable folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In memory, with a limit of its own.
    Tmpfs,
    /// On the scratch disk.
    Disk,
    /// On another NFS export.
    Nfs,
}

impl Writable {
    /// What the fields must be to each other.
    pub(super) fn check(&self, scratch: &Scratch) -> Result<(), String> {
        let path = self.path.as_str();
        match (self.on, &self.source, &self.size) {
            _ if path == "/" => Err("the root itself cannot be written elsewhere".into()),
            (Place::Nfs, None, _) => Err(format!("{path} on nfs: name its `source`, such as \"10.0.0.1:/data\"")),
            (Place::Nfs, Some(source), _) if !source.as_str().contains(":/") => {
                Err(format!("{path}: `{}` is no NFS export, such as \"10.0.0.1:/data\"", source.as_str()))
            }
            (Place::Disk, ..) if !scratch.is_wanted() => Err(format!("{path} on the disk: say which in `scratch.disk`")),
            (Place::Tmpfs | Place::Disk, Some(_), _) => Err(format!("{path}: `source` is for `on = \"nfs\"`")),
            (Place::Disk | Place::Nfs, _, Some(_)) => Err(format!("{path}: `size` is for `on = \"tmpfs\"`")),
            _ => Ok(()),
        }
    }

    /// A line of `KICKCTL_WRITABLE`.
    pub fn line(&self) -> String {
        let path = self.path.as_str();
        match (self.on, &self.size, &self.source) {
            (Place::Tmpfs, Some(size), _) => format!("{path} tmpfs {}", size.as_str()),
            (Place::Tmpfs, None, _) => format!("{path} tmpfs"),
            (Place::Disk, ..) => format!("{path} disk"),
            (Place::Nfs, _, source) => format!("{path} nfs {}", source.as_ref().map_or("", Token::as_str)),
        }
    }
}

/// A disk selector as words for the node, `key=value`: all must hold there, and one disk must be left. Empty if it says nothing.
pub fn selector_words(disk: &DiskSelector) -> String {
    let mut words = String::new();
    let mut word = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            // A write to a String cannot fail. White space would make two words of one, and no such disk exists then.
            let _ = write!(words, "{}{key}={}", if words.is_empty() { "" } else { " " }, value.replace(char::is_whitespace, "_"));
        }
    };
    let bus = |bus: Bus| match bus {
        Bus::Nvme => "nvme",
        Bus::Ata => "ata",
        Bus::Scsi => "scsi",
        Bus::Virtio => "virtio",
        Bus::Usb => "usb",
        Bus::Other => "other",
    };
    word("id", disk.id.clone());
    word("wwn", disk.wwn.clone());
    word("serial", disk.serial.clone());
    word("min_size", disk.min_size.map(|size| size.to_string()));
    word("max_size", disk.max_size.map(|size| size.to_string()));
    word("bus", disk.bus.map(|kind| bus(kind).to_owned()));
    word("rotational", disk.rotational.map(|spins| spins.to_string()));
    disk.never.iter().for_each(|never| word("never", Some(never.clone())));
    let pick = |pick| if pick == Pick::Smallest { "smallest" } else { "largest" };
    word("pick", disk.pick.map(|way| pick(way).to_owned()));
    words
}

#[cfg(test)]
mod tests {
    use super::super::fixture::settings;
    use super::super::variables::{Settings, defaults};
    use super::*;
    use crate::domain::variables::{Layer, merge};

    #[test]
    fn the_variables_of_a_diskless_node_read() {
        let read = settings(
            "overlay_size = '2 GiB'\nheartbeat = 30\n[scratch]\ndisk = { id = 'virtio-SCRATCH', min_size = '1 GiB' }\nmount = '/work'\n\
             [services]\npostgresql = true\n'cron.timer' = false\n[[writable]]\npath = '/var/tmp'\non = 'disk'\n\
             [[writable]]\npath = '/home'\non = 'nfs'\nsource = '10.0.0.1:/home'\n[[writable]]\npath = '/var/log'\non = 'tmpfs'\nsize = '10%'",
        );
        assert_eq!(read.overlay_size.as_str(), (2_u64 << 30).to_string());
        assert_eq!(selector_words(&read.scratch.disk), format!("id=virtio-SCRATCH min_size={}", 1 << 30));
        let lines: Vec<String> = read.writable.iter().map(Writable::line).collect();
        assert_eq!(lines, ["/var/tmp disk", "/home nfs 10.0.0.1:/home", "/var/log tmpfs 10%"]);
        let units: Vec<(&str, bool)> = read.services.iter().map(|(unit, on)| (unit.as_str(), *on)).collect();
        assert_eq!(units, [("cron.timer", false), ("postgresql.service", true)]);
        assert!(!is_named(&read.swap_disk) && read.scratch.is_wanted() && u64::from(read.heartbeat) == 30);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let wrong = |toml: &str| {
            let layer = Layer { name: "node node07".into(), variables: toml::from_str(toml).unwrap() };
            Settings::read(&merge(&[defaults(), layer])).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        for (toml, told) in [
            ("overlay_size = '150%'", "1% to 95%"),
            ("heartbeat = 1", "5 to 3600"),
            ("writable = [{ path = '/var/tmp', on = 'disk' }]", "scratch.disk"),
            ("writable = [{ path = '/home', on = 'nfs' }]", "`source`"),
            ("writable = [{ path = '/', on = 'tmpfs' }]", "root itself"),
            ("services = { 'a b' = true }", "is no unit"),
            ("scratch = { disk = { min_size = '2 GiB', max_size = '1 GiB' } }", "scratch.disk.max_size"),
            ("scratch = { dsk = {} }", "dsk"),
        ] {
            let problem = wrong(toml);
            assert!(problem.contains(told), "{toml}: {problem}");
        }
    }
}
