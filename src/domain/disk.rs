//! Disks, and the choice of the one to install to: the same rules for every installer.

use serde::{Deserialize, Serialize};

/// Most disks an inventory may list.
pub const MAX_DISKS: usize = 256;

/// One disk as the installer saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Kernel name without `/dev/`: `vda`, `nvme0n1`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Model as the kernel tells it.
    #[serde(default)]
    pub model: String,
    /// Serial number.
    #[serde(default)]
    pub serial: String,
    /// World-wide name (`naa.…`, `eui.…`), if it has one.
    #[serde(default)]
    pub wwn: String,
    /// Names under `/dev/disk/by-id`.
    #[serde(default)]
    pub ids: Vec<String>,
    /// How it is attached.
    #[serde(default)]
    pub bus: Bus,
    /// True for spinning disks.
    #[serde(default)]
    pub rotational: bool,
    /// True for removable media.
    #[serde(default)]
    pub removable: bool,
    /// What it holds: file system and partition types found on it, for the record.
    #[serde(default)]
    pub contents: Vec<String>,
}

impl Disk {
    /// The device node.
    pub fn path(&self) -> String {
        format!("/dev/{}", self.name)
    }

    /// True if it looks like one that a system was installed to: a partition table, and a file system, volume or encrypted part behind it.
    pub fn may_boot(&self) -> bool {
        let table = self.contents.iter().any(|found| matches!(found.as_str(), "gpt" | "dos"));
        let system = ["ext2", "ext3", "ext4", "xfs", "btrfs", "LVM2_member", "crypto_LUKS", "linux_raid_member", "ntfs"];
        table && !self.removable && self.contents.iter().any(|found| system.contains(&found.as_str()))
    }
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// NVM Express.
    Nvme,
    /// SATA or PATA.
    Ata,
    /// SCSI, SAS or Fibre Channel.
    Scsi,
    /// Paravirtual disk.
    Virtio,
    /// USB.
    Usb,
    /// Anything else.
    #[default]
    Other,
}

/// Which disk to install to. Every condition must hold; `pick` then decides among those left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSelector {
    /// How to pick one of several. Without it, several matches are refused as ambiguous.
    pub pick: Option<Pick>,
    /// A name under `/dev/disk/by-id`.
    pub id: Option<String>,
    /// World-wide name.
    pub wwn: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Smallest acceptable size in bytes.
    pub min_size: Option<u64>,
    /// Largest acceptable size in bytes.
    pub max_size: Option<u64>,
    /// Only disks on this bus.
    pub bus: Option<Bus>,
    /// Only spinning (true) or only solid-state (false) disks.
    pub rotational: Option<bool>,
    /// Never these: kernel names, ids, WWNs or serial numbers.
    pub never: Vec<String>,
}

/// How to pick one of several matching disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pick {
    /// The smallest one; two of the same smallest size are ambiguous.
    Smallest,
    /// The largest one; two of the same largest size are ambiguous.
    Largest,
}

/// Why no disk was chosen.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoDisk {
    /// The machine reported none.
    #[error("the machine reported no disk: is its controller's driver among the installer's modules?")]
    None,
    /// None fits.
    #[error("none of {seen} matches the disk selector: compare `kickctl node show` with the profile's `disk` table")]
    NoMatch {
        /// The disks seen, each with why not, for the message.
        seen: String,
    },
    /// Several fit equally.
    #[error("{several} match the disk selector equally: add `id`, `wwn`, `serial` or a size range to the `disk` table")]
    Ambiguous {
        /// The disks between which there is no telling.
        several: String,
    },
}

impl DiskSelector {
    /// Chooses the disk to install to. Removable and USB disks are chosen only if named by id, WWN, serial or bus.
    ///
    /// # Errors
    /// [`NoDisk`] tells why none was chosen; an ambiguous selector is never resolved by order.
    pub fn choose<'a>(&self, disks: &'a [Disk]) -> Result<&'a Disk, NoDisk> {
        if disks.is_empty() {
            return Err(NoDisk::None);
        }
        let mut matching: Vec<&Disk> = disks.iter().filter(|disk| self.objection(disk).is_none()).collect();
        let wanted = match self.pick {
            Some(Pick::Smallest) => matching.iter().map(|disk| disk.size).min(),
            Some(Pick::Largest) => matching.iter().map(|disk| disk.size).max(),
            None => None,
        };
        if let Some(size) = wanted {
            matching.retain(|disk| disk.size == size);
        }
        match matching.as_slice() {
            [one] => Ok(one),
            [] => Err(NoDisk::NoMatch { seen: list(disks.iter().map(|disk| (disk, self.objection(disk)))) }),
            several => Err(NoDisk::Ambiguous { several: list(several.iter().map(|disk| (*disk, None))) }),
        }
    }

    /// The first condition that a disk does not meet.
    fn objection(&self, disk: &Disk) -> Option<&'static str> {
        let named = self.id.is_some() || self.wwn.is_some() || self.serial.is_some() || self.bus.is_some();
        let portable = disk.removable || disk.bus == Bus::Usb;
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let conditions = [
            (disk.size > 0, "empty"),
            (!self.never.iter().any(|never| is_called(disk, never)), "one of `never`"),
            (self.id.as_ref().is_none_or(|id| disk.ids.contains(id)), "another `id`"),
            (is(&self.wwn, &disk.wwn), "another `wwn`"),
            (is(&self.serial, &disk.serial), "another `serial`"),
            (self.bus.is_none_or(|bus| bus == disk.bus), "on another `bus`"),
            (self.rotational.is_none_or(|rotational| rotational == disk.rotational), "not as `rotational` says"),
            (named || !portable, "removable or on USB"),
            (self.min_size.is_none_or(|least| disk.size >= least), "smaller than `min_size`"),
            (self.max_size.is_none_or(|most| disk.size <= most), "larger than `max_size`"),
        ];
        conditions.into_iter().find(|(met, _)| !met).map(|(_, objection)| objection)
    }
}

fn is_called(disk: &Disk, name: &str) -> bool {
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    let name = name.strip_prefix("disk/by-id/").unwrap_or(name);
    !name.is_empty() && (disk.name == name || disk.serial == name || disk.wwn == name || disk.ids.iter().any(|id| id == name))
}

/// Disks for a message, each with what is said against it.
fn list<'a>(disks: impl Iterator<Item = (&'a Disk, Option<&'static str>)>) -> String {
    let one = |(disk, objection): (&Disk, Option<&str>)| {
        let objection = objection.map(|objection| format!(": {objection}")).unwrap_or_default();
        format!("{} ({} bytes, serial `{}`{objection})", disk.name, disk.size, disk.serial)
    };
    disks.map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, gib: u64, bus: Bus) -> Disk {
        Disk { name: name.into(), size: gib << 30, serial: format!("S-{name}"), bus, ..Disk::default() }
    }

    fn chosen(selector: &DiskSelector, disks: &[Disk]) -> Result<String, NoDisk> {
        selector.choose(disks).map(|disk| disk.name.clone())
    }

    #[test]
    fn one_disk_needs_no_rule_and_two_need_one() {
        let one = [disk("vda", 8, Bus::Virtio)];
        let two = [disk("sda", 8, Bus::Scsi), disk("sdb", 16, Bus::Scsi)];
        let any = DiskSelector::default();
        assert_eq!(chosen(&any, &one), Ok("vda".into()));
        assert!(matches!(chosen(&any, &two), Err(NoDisk::Ambiguous { .. })));
        assert_eq!(chosen(&any, &[]), Err(NoDisk::None));
        assert_eq!(chosen(&DiskSelector { pick: Some(Pick::Smallest), ..any.clone() }, &two), Ok("sda".into()));
        assert_eq!(chosen(&DiskSelector { pick: Some(Pick::Largest), ..any }, &two), Ok("sdb".into()));
    }

    #[test]
    fn equal_sizes_are_ambiguous_whatever_the_order() {
        let twins = [disk("sda", 8, Bus::Scsi), disk("sdb", 8, Bus::Scsi)];
        let smallest = DiskSelector { pick: Some(Pick::Smallest), ..DiskSelector::default() };
        assert!(matches!(chosen(&smallest, &twins), Err(NoDisk::Ambiguous { .. })));
    }

    #[test]
    fn a_usb_stick_is_never_the_smallest_disk() {
        let disks = [disk("sda", 4, Bus::Usb), disk("nvme0n1", 512, Bus::Nvme)];
        let smallest = DiskSelector { pick: Some(Pick::Smallest), ..DiskSelector::default() };
        assert_eq!(chosen(&smallest, &disks), Ok("nvme0n1".into()));
        let usb = DiskSelector { bus: Some(Bus::Usb), ..DiskSelector::default() };
        assert_eq!(chosen(&usb, &disks), Ok("sda".into()));
    }

    #[test]
    fn never_means_never_by_any_of_its_names() {
        let mut data = disk("sdb", 4, Bus::Scsi);
        data.ids = vec!["scsi-S-data".into()];
        data.wwn = "naa.5000".into();
        let disks = [disk("sda", 8, Bus::Scsi), data];
        for name in ["sdb", "/dev/sdb", "S-sdb", "naa.5000", "scsi-S-data", "/dev/disk/by-id/scsi-S-data"] {
            let rule = DiskSelector { pick: Some(Pick::Smallest), never: vec![name.into()], ..DiskSelector::default() };
            assert_eq!(chosen(&rule, &disks), Ok("sda".into()), "{name}");
        }
    }

    #[test]
    fn conditions_narrow_and_a_miss_names_what_was_seen() {
        let disks = [disk("sda", 8, Bus::Scsi), disk("sdb", 16, Bus::Scsi)];
        let range = DiskSelector { min_size: Some(10 << 30), max_size: Some(20 << 30), ..DiskSelector::default() };
        assert_eq!(chosen(&range, &disks), Ok("sdb".into()));
        let wwn = DiskSelector { wwn: Some("naa.1".into()), ..DiskSelector::default() };
        let miss = chosen(&wwn, &disks).unwrap_err().to_string();
        assert!(miss.contains("sda (8589934592 bytes, serial `S-sda`: another `wwn`), sdb"), "{miss}");
        let small = DiskSelector { min_size: Some(20 << 30), ..DiskSelector::default() };
        assert!(chosen(&small, &disks).unwrap_err().to_string().contains("`S-sdb`: smaller than `min_size`)"));
        let stick = chosen(&DiskSelector::default(), &[disk("sda", 8, Bus::Usb)]).unwrap_err().to_string();
        assert!(stick.contains("`S-sda`: removable or on USB)"), "{stick}");
    }
}
