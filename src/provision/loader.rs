//! The loader table: which network boot program a machine's firmware is given. A new way of booting is a new row here.

use crate::domain::node::{Arch, Firmware};

/// One row: firmware that announces itself by one of these codes loads this file.
#[derive(Debug, PartialEq, Eq)]
pub struct Loader {
    /// Client system architecture types of DHCP option 93 (RFC 4578 section 2.1 and IANA's list).
    pub client_types: &'static [u16],
    /// The firmware that sends them.
    pub firmware: Firmware,
    /// The processor that the loader runs on.
    pub arch: Arch,
    /// The file's name, as TFTP serves it.
    pub file: &'static str,
    /// Where Debian's package `ipxe` keeps it.
    pub packaged_as: &'static str,
}

/// All rows. Type 7 is "EFI byte code" in RFC 4578, but every x86-64 UEFI firmware sends it (the RFC's erratum 4625).
/// Both files use the network driver that the firmware brings along, so that any card that can boot can go on.
pub const LOADERS: &[Loader] = &[
    Loader {
        client_types: &[0],
        firmware: Firmware::Bios,
        arch: Arch::Amd64,
        file: "undionly.kpxe",
        packaged_as: "usr/lib/ipxe/undionly.kpxe",
    },
    Loader {
        client_types: &[7, 9],
        firmware: Firmware::Uefi,
        arch: Arch::Amd64,
        file: "snponly.efi",
        packaged_as: "usr/lib/ipxe/snponly.efi",
    },
];

/// The row for a client system architecture type; `None` if this firmware cannot be booted.
pub fn for_client_type(client_type: u16) -> Option<&'static Loader> {
    LOADERS.iter().find(|loader| loader.client_types.contains(&client_type))
}

/// The row that offers this file name.
pub fn for_file(name: &str) -> Option<&'static Loader> {
    LOADERS.iter().find(|loader| loader.file == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_client_type_and_no_file_stands_in_two_rows() {
        let types: Vec<u16> = LOADERS.iter().flat_map(|loader| loader.client_types).copied().collect();
        assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len());
        let files: Vec<&str> = LOADERS.iter().map(|loader| loader.file).collect();
        assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), files.len());
    }

    #[test]
    fn unknown_firmware_gets_no_loader() {
        assert_eq!(for_client_type(0).map(|loader| loader.file), Some("undionly.kpxe"));
        assert_eq!(for_client_type(7), for_client_type(9));
        assert_eq!(for_client_type(6), None);
        assert_eq!(for_file("../../etc/shadow"), None);
    }
}
