//! The write gate's yes: the answers without which the Debian installer's partitioner has no disk, no recipe and no confirmation.

use std::fmt::Write as _;

use super::variables::{Filesystem, Label, Settings, Swap};
use crate::domain::node::Firmware;

/// The last line of a yes; an answer that was cut off is none.
pub const LAST_LINE: &str = "# kickctl: yes";

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

/// UEFI firmware boots from a GUID partition table.
fn label(settings: &Settings, firmware: Firmware) -> &'static str {
    match (settings.label, firmware) {
        (Label::Msdos, Firmware::Bios) => "msdos",
        _ => "gpt",
    }
}

const fn name(filesystem: Filesystem) -> &'static str {
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
        parts.push("538 538 538 free $iflabel{ gpt } method{ efi } format{ } .".into());
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
    parts.push(filesystem("1500 1000000 -1", settings.filesystem, "/", &format!("{primary}{bootable}")));
    parts.join(" ")
}

fn filesystem(sizes: &str, filesystem: Filesystem, mount: &str, flags: &str) -> String {
    let name = name(filesystem);
    format!("{sizes} {name} {flags}method{{ format }} format{{ }} use_filesystem{{ }} filesystem{{ {name} }} mountpoint{{ {mount} }} .")
}

const fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}
