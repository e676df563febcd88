//! What kickctl knows of autoinstall files, version 1, up to Ubuntu 24.04: its keys, and what each may hold.

use super::shape::Need::{May, Must};
use super::shape::{Key, Shape};

const TEXTS: Shape = Shape::List(&Shape::Text);

/// A whole file, without the `autoinstall:` above it that cloud-init's user data has.
pub const AUTOINSTALL: Shape = Shape::Table(&[
    ("version", Must, Shape::Number(1, 1)),
    ("interactive-sections", May, TEXTS),
    ("early-commands", May, Shape::Commands),
    ("locale", May, Shape::TextOrNull),
    ("refresh-installer", May, Shape::Table(&[("update", May, Shape::Bool), ("channel", May, Shape::Text)])),
    ("keyboard", May, Shape::Table(&[("layout", Must, Shape::Text), ("variant", May, Shape::Text), ("toggle", May, Shape::TextOrNull)])),
    ("source", May, Shape::Table(&[("search_drivers", May, Shape::Bool), ("id", May, Shape::Text)])),
    ("network", May, NETWORK),
    ("proxy", May, Shape::TextOrNull),
    ("apt", May, APT),
    ("storage", May, STORAGE),
    ("identity", May, IDENTITY),
    ("active-directory", May, Shape::Table(&[("admin-name", May, Shape::Text), ("domain-name", May, Shape::Text)])),
    ("ubuntu-pro", May, Shape::Table(&[("token", May, Shape::Text)])),
    ("ubuntu-advantage", May, Shape::Table(&[("token", May, Shape::Text)])),
    ("ssh", May, Shape::Table(&[("install-server", May, Shape::Bool), ("authorized-keys", May, TEXTS), ("allow-pw", May, Shape::Bool)])),
    ("codecs", May, Shape::Table(&[("install", May, Shape::Bool)])),
    ("drivers", May, Shape::Table(&[("install", May, Shape::Bool)])),
    ("oem", May, Shape::Table(&[("install", May, Shape::Anything)])),
    ("snaps", May, Shape::List(&SNAP)),
    ("debconf-selections", May, Shape::Text),
    ("packages", May, TEXTS),
    ("kernel", May, Shape::Table(&[("package", May, Shape::Text), ("flavor", May, Shape::Text)])),
    ("kernel-crash-dumps", May, Shape::Table(&[("enabled", May, Shape::Anything)])),
    ("timezone", May, Shape::Text),
    ("updates", May, Shape::Word(&["security", "all"])),
    ("shutdown", May, Shape::Word(&["reboot", "poweroff"])),
    ("late-commands", May, Shape::Commands),
    ("error-commands", May, Shape::Commands),
    ("reporting", May, Shape::Open(&[])),
    ("user-data", May, Shape::Open(&[])),
    ("zdevs", May, Shape::List(&Shape::Open(&[("id", Must, Shape::Text)]))),
]);

/// Netplan's, directly or below one more `network`.
const NETWORK: Shape = Shape::Open(&[
    ("version", May, Shape::Number(2, 2)),
    ("ethernets", May, Shape::Open(&[])),
    ("network", May, Shape::Open(&[("version", Must, Shape::Number(2, 2)), ("ethernets", May, Shape::Open(&[]))])),
]);

/// Curtin's, with what the installer adds.
const APT: Shape = Shape::Open(&[
    ("preserve_sources_list", May, Shape::Bool),
    ("geoip", May, Shape::Bool),
    ("mirror-selection", May, Shape::Open(&[("primary", May, Shape::List(&Shape::Anything))])),
    ("primary", May, Shape::List(&Shape::Open(&[]))),
    ("security", May, Shape::List(&Shape::Open(&[]))),
    ("fallback", May, Shape::Word(&["abort", "continue-anyway", "offline-install"])),
    ("disable_suites", May, TEXTS),
    ("disable_components", May, TEXTS),
    (
        "preferences",
        May,
        Shape::List(&Shape::Open(&[("package", Must, Shape::Text), ("pin", Must, Shape::Text), ("pin-priority", Must, Shape::Anything)])),
    ),
    ("sources", May, Shape::Open(&[])),
]);

const IDENTITY: Shape = Shape::Table(&[
    ("realname", May, Shape::Text),
    ("username", Must, Shape::Text),
    ("hostname", Must, Shape::Text),
    ("password", Must, Shape::Text),
]);

const SNAP: Shape = Shape::Table(&[("name", Must, Shape::Text), ("channel", May, Shape::Anything), ("classic", May, Shape::Bool)]);

/// Actions have a check of their own, because each type has its own keys.
const STORAGE: Shape = Shape::Open(&[
    ("layout", May, LAYOUT),
    ("config", May, Shape::List(&Shape::Open(&[("type", Must, Shape::Text), ("id", Must, Shape::Text)]))),
    ("swap", May, Shape::Open(&[("size", May, Shape::Anything), ("filename", May, Shape::Text)])),
    ("grub", May, Shape::Open(&[("reorder_uefi", May, Shape::Bool)])),
]);

const LAYOUT: Shape = Shape::Open(&[
    ("name", May, Shape::Word(&["lvm", "direct", "zfs", "hybrid"])),
    ("match", May, Shape::Anything),
    ("sizing-policy", May, Shape::Word(&["scaled", "all"])),
    ("password", May, Shape::Text),
]);

/// The keys of the actions that lay out plain disks, by type. Other types (RAID, LVM, encryption) are not looked into.
pub const ACTIONS: [(&str, &[Key]); 4] = [
    (
        "disk",
        &[
            ("type", Must, Shape::Text),
            ("id", Must, Shape::Text),
            ("path", May, Shape::Text),
            ("serial", May, Shape::Text),
            ("wwn", May, Shape::Text),
            ("match", May, Shape::Open(&[])),
            ("model", May, Shape::Text),
            ("name", May, Shape::Text),
            ("ptable", May, Shape::Word(&["gpt", "msdos"])),
            ("wipe", May, WIPE),
            ("preserve", May, Shape::Bool),
            ("grub_device", May, Shape::Bool),
        ],
    ),
    (
        "partition",
        &[
            ("type", Must, Shape::Text),
            ("id", Must, Shape::Text),
            ("device", Must, Shape::Text),
            ("number", May, Shape::Number(1, 256)),
            ("size", Must, Shape::Anything),
            ("offset", May, Shape::Anything),
            (
                "flag",
                May,
                Shape::Word(&[
                    "boot",
                    "bios_grub",
                    "swap",
                    "home",
                    "lvm",
                    "raid",
                    "prep",
                    "logical",
                    "extended",
                    "linux",
                    "mbr",
                    "msftres",
                ]),
            ),
            ("wipe", May, WIPE),
            ("preserve", May, Shape::Bool),
            ("resize", May, Shape::Bool),
            ("name", May, Shape::Text),
            ("partition_name", May, Shape::Text),
            ("partition_type", May, Shape::Text),
            ("uuid", May, Shape::Text),
            ("grub_device", May, Shape::Bool),
        ],
    ),
    (
        "format",
        &[
            ("type", Must, Shape::Text),
            ("id", Must, Shape::Text),
            ("volume", Must, Shape::Text),
            ("fstype", Must, Shape::Text),
            ("label", May, Shape::Text),
            ("uuid", May, Shape::Text),
            ("flag", May, Shape::Text),
            ("extra_options", May, Shape::List(&Shape::Anything)),
            ("preserve", May, Shape::Bool),
        ],
    ),
    (
        "mount",
        &[
            ("type", Must, Shape::Text),
            ("id", Must, Shape::Text),
            ("device", May, Shape::Text),
            ("path", May, Shape::TextOrNull),
            ("options", May, Shape::Text),
            ("fstype", May, Shape::Text),
            ("spec", May, Shape::Text),
            ("freq", May, Shape::Anything),
            ("passno", May, Shape::Anything),
        ],
    ),
];

const WIPE: Shape = Shape::Word(&["superblock", "superblock-recursive", "pvremove", "zero", "random"]);
