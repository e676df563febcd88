//! The write gate's yes: the answers without which the Debian installer's partitioner has no disk, no recipe and no confirmation, and the
//! choice of the disk for every installer.

use std::fmt::Write as _;

use super::autoinstall::autoinstall_answer;
use super::kickstart::kickstart_answer;
use super::variables::{Filesystem, Label, Settings, Swap};
use crate::domain::disk::{Disk, NoDisk};
use crate::domain::node::Firmware;
use crate::domain::profile::Installer;

/// Least size of the root partition in MB: a base system with its kernel and room to unpack.
const LEAST_ROOT: u64 = 1500;
/// The same for Ubuntu's server, which is unpacked whole.
const LEAST_UBUNTU_ROOT: u64 = 6000;
/// The same for a base system of RPM packages, which brings more firmware.
pub(super) const LEAST_RPM_ROOT: u64 = 3000;
/// What a UEFI machine's system partition gets, in MB.
const ESP: u64 = 538;

/// The last line of a yes; an answer that was cut off is none.
pub const LAST_LINE: &str = "# kickctl: yes";

/// What an installer told of its machine, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Which installer asks.
    pub kind: Installer,
    /// How the machine booted.
    pub firmware: Firmware,
    /// Bytes of memory; 0 if it did not say.
    pub memory: u64,
}

/// The yes that this machine's installer understands, for one disk (`/dev/vda`).
pub fn answer(disk: &str, settings: &Settings, machine: Machine) -> String {
    match machine.kind {
        Installer::Preseed => gate_answer(disk, settings, machine.firmware),
        Installer::Kickstart => kickstart_answer(disk, settings, machine.firmware, machine.memory),
        Installer::Autoinstall => autoinstall_answer(disk, settings, machine.firmware, machine.memory),
    }
}

/// The template that the yes is added to before the installer reads both as one; `None` where the yes stands by itself.
pub const fn added_to(installer: Installer) -> Option<&'static str> {
    match installer {
        Installer::Autoinstall => Some("autoinstall.yaml"),
        Installer::Preseed | Installer::Kickstart => None,
    }
}

/// The `debconf-set-selections` lines that let the partitioner run on one disk (`/dev/vda`).
pub fn gate_answer(disk: &str, settings: &Settings, firmware: Firmware) -> String {
    let label = label(settings, firmware);
    let mut answer = String::new();
    let mut say = |question: &str, kind: &str, value: &str| {
        // A write to a String cannot fail.
        let _ = writeln!(answer, "d-i {question} {kind} {value}");
    };
    say("partman-auto/disk", "string", disk);
    say("partman-auto/method", "string", "regular");
    say("grub-installer/bootdev", "string", disk);
    say("partman-partitioning/default_label", "string", label);
    say("partman/default_filesystem", "string", name(settings.filesystem));
    say("partman/mount_style", "select", "uuid");
    say("partman-auto/expert_recipe", "string", &recipe(settings, firmware));
    say("partman/choose_partition", "select", "finish");
    say("partman-partitioning/confirm_write_new_label", "boolean", "true");
    say("partman/confirm", "boolean", "true");
    say("partman/confirm_nooverwrite", "boolean", "true");
    // What an earlier system left on this disk. A volume group that spans other disks is not removed: the installer stops.
    say("partman-lvm/device_remove_lvm", "boolean", "true");
    say("partman-md/device_remove_md", "boolean", "true");
    say("partman-basicfilesystems/no_swap", "boolean", "false");
    // A disk that booted by BIOS so far.
    say("partman-efi/non_efi_system", "boolean", "true");
    answer.push_str(LAST_LINE);
    answer.push('\n');
    answer
}

/// Why the gate stays shut.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// No disk was chosen.
    #[error(transparent)]
    NoDisk(#[from] NoDisk),
    /// The disk cannot hold what is to be on it. The installer would silently partition it in another way.
    #[error("{name} has {} MB, and the partitions need {needed}: choose a larger disk, or ask for smaller partitions and less swap", size / 1_000_000)]
    TooSmall {
        /// The disk.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// What is needed, in MB.
        needed: u64,
    },
    /// Swap follows the memory, and only the Debian installer's partitioner knows a share of it.
    #[error("the installer did not say how much memory there is, and `swap` follows it: set `swap` to a size")]
    NoMemory,
}

/// Chooses the disk to install to, and makes sure that the partitions fit on it.
///
/// # Errors
/// [`Refusal`] with what the administrator can do about it.
pub fn choose_disk<'a>(settings: &Settings, machine: Machine, disks: &'a [Disk]) -> Result<&'a Disk, Refusal> {
    let disk = settings.disk.choose(disks)?;
    if machine.kind != Installer::Preseed && machine.memory == 0 && matches!(settings.swap, Swap::Memory(_)) {
        return Err(Refusal::NoMemory);
    }
    let needed = least_size(settings, machine);
    // A few MB go to the partition table and to alignment.
    if disk.size / 1_000_000 < needed.saturating_add(8) {
        return Err(Refusal::TooSmall { name: disk.name.clone(), size: disk.size, needed });
    }
    Ok(disk)
}

/// The least size of a disk in MB. For the Debian installer, swap that follows the memory counts as nothing: it makes do with less.
fn least_size(settings: &Settings, machine: Machine) -> u64 {
    let counts = machine.kind != Installer::Preseed;
    let swap = match settings.swap {
        Swap::Bytes(bytes) => megabytes(bytes),
        Swap::Memory(share) if counts => megabytes(machine.memory / u64::from(share.max(1))),
        Swap::Memory(_) | Swap::None => 0,
    };
    let start = if machine.firmware == Firmware::Uefi { ESP } else { 1 };
    let root = match machine.kind {
        Installer::Preseed => LEAST_ROOT,
        Installer::Kickstart => LEAST_RPM_ROOT,
        Installer::Autoinstall => LEAST_UBUNTU_ROOT,
    };
    let partitions = settings.partitions.iter().map(|partition| megabytes(partition.size.0));
    partitions.fold(root + start, u64::saturating_add).saturating_add(swap)
}

/// UEFI firmware boots from a GUID partition table.
fn label(settings: &Settings, firmware: Firmware) -> &'static str {
    match (settings.label, firmware) {
        (Label::Msdos, Firmware::Bios) => "msdos",
        _ => "gpt",
    }
}

pub(super) const fn name(filesystem: Filesystem) -> &'static str {
    match filesystem {
        Filesystem::Ext4 => "ext4",
        Filesystem::Xfs => "xfs",
        Filesystem::Btrfs => "btrfs",
    }
}

/// partman-auto's recipe language: `least priority most type attributes .` for each partition, sizes in MB (10^6 bytes) or in
/// per cent of memory. Root is the last and takes what is left.
fn recipe(settings: &Settings, firmware: Firmware) -> String {
    let gpt = label(settings, firmware) == "gpt";
    let primary = if gpt { "" } else { "$primary{ } " };
    let mut parts = vec!["kickctl :".to_owned()];
    if firmware == Firmware::Uefi {
        parts.push(format!("{ESP} {ESP} {ESP} free $iflabel{{ gpt }} method{{ efi }} format{{ }} ."));
    } else if gpt {
        parts.push("1 1 1 free $iflabel{ gpt } method{ biosgrub } .".into());
    }
    for partition in &settings.partitions {
        let size = megabytes(partition.size.0);
        parts.push(filesystem(&format!("{size} {size} {size}"), partition.filesystem, partition.mount.as_str(), ""));
    }
    let swap = match settings.swap {
        Swap::None => None,
        Swap::Memory(part) => Some(format!("{}%", 100 / u32::from(part.max(1)))),
        Swap::Bytes(bytes) => Some(megabytes(bytes).to_string()),
    };
    parts.extend(swap.map(|size| format!("{size} {size} {size} linux-swap method{{ swap }} format{{ }} .")));
    let bootable = if gpt { "" } else { "$bootable{ } " };
    parts.push(filesystem(&format!("{LEAST_ROOT} 1000000 -1"), settings.filesystem, "/", &format!("{primary}{bootable}")));
    parts.join(" ")
}

fn filesystem(sizes: &str, filesystem: Filesystem, mount: &str, flags: &str) -> String {
    let name = name(filesystem);
    format!("{sizes} {name} {flags}method{{ format }} format{{ }} use_filesystem{{ }} filesystem{{ {name} }} mountpoint{{ {mount} }} .")
}

const fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::fixture::settings;

    #[test]
    fn a_disk_that_is_too_small_is_refused_before_the_installer_makes_do() {
        let disk = |mb: u64| vec![Disk { name: "vda".into(), size: mb * 1_000_000, ..Disk::default() }];
        let debian = |firmware| Machine { kind: Installer::Preseed, firmware, memory: 0 };
        let wanted = settings("swap = '1000 MB'\npartitions = [ { mount = '/home', size = '1000 MB' } ]");
        assert_eq!(choose_disk(&wanted, debian(Firmware::Bios), &disk(3509)).map(Disk::path), Ok("/dev/vda".into()));
        let told = choose_disk(&wanted, debian(Firmware::Bios), &disk(3508)).unwrap_err().to_string();
        assert!(told.contains("vda has 3508 MB") && told.contains("3501"), "{told}");
        assert!(choose_disk(&wanted, debian(Firmware::Uefi), &disk(3600)).is_err());
        assert!(matches!(choose_disk(&wanted, debian(Firmware::Bios), &[]), Err(Refusal::NoDisk(NoDisk::None))));
    }
    #[test]
    fn swap_that_follows_the_memory_counts_where_it_is_given_in_full() {
        let machine = |memory| Machine { kind: Installer::Kickstart, firmware: Firmware::Bios, memory };
        let disk = |mb: u64| vec![Disk { name: "vda".into(), size: mb * 1_000_000, ..Disk::default() }];
        let wanted = settings("swap = 'ram/2'");
        assert!(choose_disk(&wanted, machine(2_000_000_000), &disk(4010)).is_ok());
        assert!(matches!(choose_disk(&wanted, machine(2_000_000_000), &disk(4000)), Err(Refusal::TooSmall { needed: 4001, .. })));
        assert_eq!(choose_disk(&wanted, machine(0), &disk(9000)), Err(Refusal::NoMemory));
        assert!(choose_disk(&settings(""), machine(0), &disk(3100)).is_ok());
    }
}
