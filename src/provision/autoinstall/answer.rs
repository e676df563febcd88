//! The write gate's yes for Ubuntu's installer: the storage section, without which the configuration that it reads fits no disk.

use std::fmt::Write as _;

use crate::domain::node::Firmware;
use crate::provision::choices::{Label, Swap};
use crate::provision::gate::{LAST_LINE, name};
use crate::provision::variables::Settings;

const MIB: u64 = 1 << 20;

/// What a UEFI machine's system partition gets, in MiB.
const ESP: u64 = 512;

/// The section that lets the installer partition one disk (`/dev/vda`) of a machine with so much memory in bytes, and no other: actions as curtin
/// takes them, sizes in bytes. Root comes last and takes what is left (`-1`).
///
/// - `grub_device` is the disk on a machine that boots by BIOS, and the system partition on one that boots by UEFI.
/// - `swap` is the installer's own file, which a partition (or none) replaces.
/// - `reorder_uefi` would put the disk in front of the network in the firmware's boot order.
pub fn autoinstall_answer(disk: &str, settings: &Settings, firmware: Firmware, memory: u64) -> String {
    let uefi = firmware == Firmware::Uefi;
    let gpt = uefi || settings.label == Label::Gpt;
    let mut answer = "storage:\n  swap:\n    size: 0\n".to_owned();
    if uefi {
        let _ = writeln!(answer, "  grub:\n    reorder_uefi: {}", !settings.network_first);
    }
    let _ = writeln!(
        answer,
        "  config:\n  - {{id: disk, type: disk, path: {disk}, ptable: {}, wipe: superblock-recursive, preserve: false{}}}",
        if gpt { "gpt" } else { "msdos" },
        if uefi { "" } else { ", grub_device: true" }
    );
    let mut parts = Parts { answer, number: 0 };
    if uefi {
        parts.filesystem("/boot/efi", "fat32", &(ESP * MIB).to_string(), ", flag: boot, grub_device: true");
    } else if gpt {
        parts.partition(&MIB.to_string(), ", flag: bios_grub");
    }
    for partition in &settings.partitions {
        parts.filesystem(partition.mount.as_str(), name(partition.filesystem), &whole(partition.size.0), "");
    }
    match settings.swap {
        Swap::None => {}
        Swap::Memory(share) => parts.swap(memory / u64::from(share.max(1))),
        Swap::Bytes(bytes) => parts.swap(bytes),
    }
    parts.filesystem("/", name(settings.filesystem), "-1", if gpt { "" } else { ", flag: boot" });
    parts.answer + LAST_LINE + "\n"
}

/// A size in bytes that is a whole number of MiB, as partitions are aligned.
fn whole(bytes: u64) -> String {
    bytes.div_ceil(MIB).saturating_mul(MIB).to_string()
}

/// Partitions one behind the other.
struct Parts {
    answer: String,
    number: u32,
}

impl Parts {
    // A write to a String cannot fail.
    fn partition(&mut self, size: &str, more: &str) {
        self.number += 1;
        let number = self.number;
        let _ = writeln!(
            self.answer,
            "  - {{id: part{number}, type: partition, device: disk, number: {number}, size: {size}, wipe: superblock, preserve: false{more}}}"
        );
    }

    fn filesystem(&mut self, mount: &str, kind: &str, size: &str, more: &str) {
        self.partition(size, more);
        let number = self.number;
        let _ = writeln!(self.answer, "  - {{id: format{number}, type: format, volume: part{number}, fstype: {kind}, preserve: false}}");
        let _ = writeln!(self.answer, "  - {{id: mount{number}, type: mount, device: format{number}, path: {mount}}}");
    }

    fn swap(&mut self, bytes: u64) {
        self.partition(&whole(bytes), ", flag: swap");
        let number = self.number;
        let _ = writeln!(self.answer, "  - {{id: format{number}, type: format, volume: part{number}, fstype: swap, preserve: false}}");
        let _ = writeln!(self.answer, "  - {{id: mount{number}, type: mount, device: format{number}, path: ''}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::fixture::settings;

    #[test]
    fn a_yes_names_one_disk_and_fits_the_firmware() {
        let yes = autoinstall_answer("/dev/vda", &settings(""), Firmware::Bios, 0);
        assert_eq!(
            yes,
            "storage:\n  swap:\n    size: 0\n  config:\n  - {id: disk, type: disk, path: /dev/vda, ptable: gpt, wipe: superblock-recursive, preserve: false, grub_device: true}\n  \
             - {id: part1, type: partition, device: disk, number: 1, size: 1048576, wipe: superblock, preserve: false, flag: bios_grub}\n  \
             - {id: part2, type: partition, device: disk, number: 2, size: -1, wipe: superblock, preserve: false}\n  \
             - {id: format2, type: format, volume: part2, fstype: ext4, preserve: false}\n  \
             - {id: mount2, type: mount, device: format2, path: /}\n# kickctl: yes\n"
        );
        let wanted = "label = 'msdos'\nswap = 'ram/2'\nfilesystem = 'xfs'\npartitions = [ { mount = '/home', size = '5 GB' } ]";
        let yes = autoinstall_answer("/dev/nvme0n1", &settings(wanted), Firmware::Uefi, 8 << 30);
        for line in [
            "    reorder_uefi: false",
            "  - {id: disk, type: disk, path: /dev/nvme0n1, ptable: gpt, wipe: superblock-recursive, preserve: false}",
            "  - {id: part1, type: partition, device: disk, number: 1, size: 536870912, wipe: superblock, preserve: false, flag: boot, grub_device: true}",
            "  - {id: mount1, type: mount, device: format1, path: /boot/efi}",
            "  - {id: part2, type: partition, device: disk, number: 2, size: 5000658944, wipe: superblock, preserve: false}",
            "  - {id: part3, type: partition, device: disk, number: 3, size: 4294967296, wipe: superblock, preserve: false, flag: swap}",
            "  - {id: format4, type: format, volume: part4, fstype: xfs, preserve: false}",
        ] {
            assert!(yes.lines().any(|have| have == line), "{line}\n{yes}");
        }
        let msdos = autoinstall_answer("/dev/vda", &settings("label = 'msdos'"), Firmware::Bios, 0);
        assert!(
            msdos.contains("ptable: msdos") && msdos.contains("number: 1, size: -1, wipe: superblock, preserve: false, flag: boot}"),
            "{msdos}"
        );
    }
}
