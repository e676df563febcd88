//! iPXE scripts.

use std::fmt::Write as _;

use crate::domain::node::Firmware;

/// The script that every iPXE asks for first: it hands in what iPXE knows of the machine and runs what comes back.
/// The same for everybody, so DHCP can name it without a decision; `base` is the head's HTTP address without a slash.
///
/// A firmware with several cards may have booted from another one than `net0`; `netX` is the one that iPXE itself used last.
pub fn first(base: &str) -> String {
    format!(
        "#!ipxe\n\
         chain {base}/script?mac=${{netX/mac}}&uuid=${{uuid}}&serial=${{serial:uristring}}&manufacturer=${{manufacturer:uristring}}\
         &product=${{product:uristring}}&asset=${{asset:uristring}}&memory=${{memsize}}&nic=${{netX/chip:uristring}}\
         &platform=${{platform}}&arch=${{buildarch}} || exit 1\n"
    )
}

/// Loads an installer: kernel, initial RAM disk, kernel arguments.
pub fn installer(kernel_url: &str, initrd_url: &str, arguments: &str, banner: &str) -> String {
    let mut script = String::from("#!ipxe\n");
    // A write to a String cannot fail.
    let _ = writeln!(script, "echo {}", printable(banner));
    let _ = writeln!(script, "kernel {kernel_url} initrd=initrd.gz {arguments} || exit 1");
    let _ = writeln!(script, "initrd --name initrd.gz {initrd_url} || exit 1");
    script.push_str("boot || exit 1\n");
    script
}

/// Loads a diskless node's kernel, its image's initial RAM disk, and its own archive behind that.
pub fn diskless(boot_url: &str, arguments: &str, banner: &str) -> String {
    let banner = printable(banner);
    // iPXE puts each on a boundary of its own; the UEFI stub of an old kernel wants them on the command line, in this order.
    format!(
        "#!ipxe\necho {banner}\nkernel {boot_url}/vmlinuz initrd=initrd.img initrd=node.cpio {arguments} || exit 1\n\
         initrd --name initrd.img {boot_url}/initrd.img || exit 1\ninitrd --name node.cpio {boot_url}/node.cpio || exit 1\n\
         boot || exit 1\n"
    )
}

/// Goes on to the local disk. On UEFI the firmware takes the next entry of its boot order when iPXE exits. On BIOS, exit is
/// not understood by every firmware, so the first disk is booted directly and exit is the last resort.
pub fn local_disk(firmware: Firmware, why: &str) -> String {
    let go = match firmware {
        Firmware::Bios => "sanboot --no-describe --drive 0x80 || exit 1",
        Firmware::Uefi => "exit 1",
    };
    format!("#!ipxe\necho {}\n{go}\n", printable(why))
}

/// iPXE expands `${...}`, and `&&`, `||` and a backslash at the line's end mean something to it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() && !"$&|\\#".contains(c) { c } else { ' ' }).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_become_a_command() {
        let script = local_disk(Firmware::Uefi, "bad\nboot http://evil || ${x} é");
        assert_eq!(script, "#!ipxe\necho bad boot http://evil     {x}  \nexit 1\n");
    }

    #[test]
    fn a_diskless_script_appends_the_nodes_own_archive() {
        assert_eq!(
            diskless("http://h/boot/t", "boot=kickctl quiet", "node07"),
            "#!ipxe\necho node07\nkernel http://h/boot/t/vmlinuz initrd=initrd.img initrd=node.cpio boot=kickctl quiet || exit 1\n\
             initrd --name initrd.img http://h/boot/t/initrd.img || exit 1\n\
             initrd --name node.cpio http://h/boot/t/node.cpio || exit 1\nboot || exit 1\n"
        );
    }

    #[test]
    fn an_installer_script_names_its_initrd_for_uefi() {
        let script = installer("http://h/boot/t/linux", "http://h/boot/t/initrd.gz", "quiet", "node07");
        assert_eq!(
            script,
            "#!ipxe\necho node07\nkernel http://h/boot/t/linux initrd=initrd.gz quiet || exit 1\n\
             initrd --name initrd.gz http://h/boot/t/initrd.gz || exit 1\nboot || exit 1\n"
        );
    }
}
