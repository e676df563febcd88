//! The write gate's yes for Anaconda: the lines that the kickstart file includes, without which it has no disk and no way to clear one.

use std::fmt::Write as _;

use crate::domain::node::Firmware;
use crate::provision::choices::{Label, Swap};
use crate::provision::gate::{LAST_LINE, name};
use crate::provision::variables::Settings;

const MIB: u64 = 1 << 20;

/// What a UEFI machine's system partition gets, in MiB: not more than the Debian installer makes it.
const ESP: u64 = 512;

/// The lines that let Anaconda partition one disk (`/dev/vda`) of a machine with so much memory in bytes, and no other. Sizes are in MiB.
///
/// - `ignoredisk --only-use` hides every other disk from Anaconda altogether.
/// - Root comes last and takes what is left. `--fstype` of the first two is Anaconda's word for what the firmware needs.
/// - `--leavebootorder` keeps the network in front of the disk in a UEFI machine's boot order.
pub fn kickstart_answer(disk: &str, settings: &Settings, firmware: Firmware, memory: u64) -> String {
    let disk = disk.trim_start_matches("/dev/");
    let uefi = firmware == Firmware::Uefi;
    let gpt = uefi || settings.label == Label::Gpt;
    let mut answer = format!(
        "ignoredisk --only-use={disk}\nzerombr\nclearpart --all --initlabel --disklabel={} --drives={disk}\n",
        if gpt { "gpt" } else { "msdos" }
    );
    // A write to a String cannot fail.
    let _ = writeln!(answer, "{}", bootloader(disk, settings, uefi));
    let mut part = |mount: &str, kind: &str, size: u64, more: &str| {
        let _ = writeln!(answer, "part {mount} --fstype={kind} --size={size} --ondisk={disk}{more}");
    };
    if uefi {
        part("/boot/efi", "efi", ESP, "");
    } else if gpt {
        part("biosboot", "biosboot", 1, "");
    }
    for partition in &settings.partitions {
        part(partition.mount.as_str(), name(partition.filesystem), partition.size.0.div_ceil(MIB), "");
    }
    match settings.swap {
        Swap::None => {}
        Swap::Memory(share) => part("swap", "swap", (memory / u64::from(share.max(1))).div_ceil(MIB), ""),
        Swap::Bytes(bytes) => part("swap", "swap", bytes.div_ceil(MIB), ""),
    }
    part("/", name(settings.filesystem), crate::provision::gate::LEAST_RPM_ROOT * 1_000_000 / MIB, " --grow");
    answer.push_str(LAST_LINE);
    answer.push('\n');
    answer
}

fn bootloader(disk: &str, settings: &Settings, uefi: bool) -> String {
    let mut arguments: Vec<String> = settings.console.iter().map(|console| format!("console={}", console.as_str())).collect();
    arguments.push(settings.kernel_args.as_str().to_owned());
    arguments.retain(|argument| !argument.is_empty());
    let mut line = format!("bootloader --location=mbr --boot-drive={disk}");
    if uefi && settings.network_first {
        line.push_str(" --leavebootorder");
    }
    if !arguments.is_empty() {
        let _ = write!(line, " --append=\"{}\"", arguments.join(" "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::fixture::settings;

    #[test]
    fn a_yes_names_one_disk_and_fits_the_firmware() {
        let yes = kickstart_answer("/dev/vda", &settings("console = []"), Firmware::Bios, 0);
        assert_eq!(
            yes,
            "ignoredisk --only-use=vda\nzerombr\nclearpart --all --initlabel --disklabel=gpt --drives=vda\n\
             bootloader --location=mbr --boot-drive=vda\npart biosboot --fstype=biosboot --size=1 --ondisk=vda\n\
             part / --fstype=ext4 --size=2861 --ondisk=vda --grow\n# kickctl: yes\n"
        );
        let wanted = "label = 'msdos'\nswap = 'ram/2'\nfilesystem = 'xfs'\nkernel_args = 'mitigations=off'\npartitions = [ { mount = '/home', size = '5 GiB' } ]";
        let yes = kickstart_answer("/dev/nvme0n1", &settings(wanted), Firmware::Uefi, 8 << 30);
        for line in [
            "clearpart --all --initlabel --disklabel=gpt --drives=nvme0n1",
            "bootloader --location=mbr --boot-drive=nvme0n1 --leavebootorder --append=\"console=ttyS0,115200 mitigations=off\"",
            "part /boot/efi --fstype=efi --size=512 --ondisk=nvme0n1",
            "part /home --fstype=ext4 --size=5120 --ondisk=nvme0n1",
            "part swap --fstype=swap --size=4096 --ondisk=nvme0n1",
            "part / --fstype=xfs --size=2861 --ondisk=nvme0n1 --grow",
        ] {
            assert!(yes.lines().any(|have| have == line), "{line}\n{yes}");
        }
        let msdos = kickstart_answer("/dev/vda", &settings("label = 'msdos'"), Firmware::Bios, 0);
        assert!(msdos.contains("--disklabel=msdos") && !msdos.contains("biosboot"), "{msdos}");
    }
}
