//! The inventory that an installer posts to the write gate: one line for the machine and one a disk, `key=value` fields between tabs.
//!
//! ```text
//! machine memory=2087350272
//! disk    name=vda    size=8589934592    model=QEMU HARDDISK    serial=S1    wwn=    bus=virtio    rotational=0
//!         removable=0    ids=virtio-S1,scsi-S1    contents=gpt,ext4
//! ```
//! (one line, folded here). Fields and kinds of lines that are not known are skipped, so that an older head understands a newer script.

use crate::domain::disk::{Bus, Disk, MAX_DISKS};

/// Longest inventory in bytes.
pub const MAX_INVENTORY: usize = 256 * 1024;
/// Longest value kept, in characters.
const MAX_VALUE: usize = 256;
/// Most entries of a list.
const MAX_LIST: usize = 64;

/// Why an inventory was not understood.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadInventory {
    /// Too much of it.
    #[error("the inventory has {0} bytes; at most {MAX_INVENTORY} are read")]
    TooLong(usize),
    /// Too many disks.
    #[error("the inventory lists more than {MAX_DISKS} disks")]
    TooMany,
    /// A disk's line is wrong.
    #[error("line {line} of the inventory: {problem}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// Reads an inventory.
///
/// # Errors
/// [`BadInventory`]; a wrong line is never skipped, because the disk it meant might be the one to keep.
pub fn parse(text: &str) -> Result<Vec<Disk>, BadInventory> {
    if text.len() > MAX_INVENTORY {
        return Err(BadInventory::TooLong(text.len()));
    }
    let mut disks: Vec<Disk> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(fields) = line.strip_prefix("disk\t") else { continue };
        let wrong = |problem: String| BadInventory::Line { line: at + 1, problem };
        let disk = disk(fields).map_err(wrong)?;
        if disks.iter().any(|other| other.name == disk.name) {
            return Err(wrong(format!("`{}` is listed twice", disk.name)));
        }
        if disks.len() == MAX_DISKS {
            return Err(BadInventory::TooMany);
        }
        disks.push(disk);
    }
    Ok(disks)
}

/// How much memory the machine has in bytes; `None` if the inventory does not say.
pub fn memory(text: &str) -> Option<u64> {
    let machine = text.lines().find_map(|line| line.strip_prefix("machine\t"))?;
    machine.split('\t').find_map(|field| field.strip_prefix("memory="))?.parse().ok()
}

fn disk(fields: &str) -> Result<Disk, String> {
    let mut disk = Disk::default();
    for field in fields.split('\t') {
        let Some((key, value)) = field.split_once('=') else { return Err(format!("`{}` is no key=value", cut(field))) };
        match key {
            "name" => disk.name = name(value)?,
            "size" => disk.size = value.parse().map_err(|_| format!("size `{}` is not a number of bytes", cut(value)))?,
            "model" => disk.model = cut(value),
            "serial" => disk.serial = cut(value),
            "wwn" => disk.wwn = cut(value),
            "bus" => disk.bus = bus(value),
            "rotational" => disk.rotational = flag(key, value)?,
            "removable" => disk.removable = flag(key, value)?,
            "ids" => disk.ids = list(value),
            "contents" => disk.contents = list(value),
            _ => {}
        }
    }
    if disk.name.is_empty() { Err("a disk without a name".into()) } else { Ok(disk) }
}

/// The name becomes `/dev/NAME` in answers to the installer's partitioner and in its boot loader's command line.
fn name(value: &str) -> Result<String, String> {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    let right = (1..=64).contains(&value.len()) && value.split('/').count() <= 2 && value.split('/').all(plain);
    if right { Ok(value.to_owned()) } else { Err(format!("`{}` is no name of a disk", cut(value))) }
}

fn bus(value: &str) -> Bus {
    match value {
        "nvme" => Bus::Nvme,
        "ata" => Bus::Ata,
        "scsi" => Bus::Scsi,
        "virtio" => Bus::Virtio,
        "usb" => Bus::Usb,
        _ => Bus::Other,
    }
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(format!("{key} `{}` is neither 0 nor 1", cut(value))),
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(cut).filter(|item| !item.is_empty()).take(MAX_LIST).collect()
}

fn cut(value: &str) -> String {
    value.trim().chars().filter(|c| !c.is_control()).take(MAX_VALUE).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_a_disk() {
        let text = "machine\tmemory=1\ndisk\tname=vda\tsize=8589934592\tmodel=A B\tserial=S1\twwn=naa.5\tbus=virtio\trotational=0\tremovable=1\tids=virtio-S1,x\tcontents=gpt,ext4\tnew=1\n";
        let disks = parse(text).unwrap();
        let expected = Disk {
            name: "vda".into(),
            size: 8 << 30,
            model: "A B".into(),
            serial: "S1".into(),
            wwn: "naa.5".into(),
            ids: vec!["virtio-S1".into(), "x".into()],
            bus: Bus::Virtio,
            rotational: false,
            removable: true,
            contents: vec!["gpt".into(), "ext4".into()],
        };
        assert_eq!(disks, [expected]);
        assert_eq!((memory(text), memory("disk\tname=vda\tsize=1"), memory("machine\tmemory=-1")), (Some(1), None, None));
        assert_eq!(parse("disk\tname=cciss/c0d0\tsize=1").unwrap()[0].path(), "/dev/cciss/c0d0");
    }

    #[test]
    fn what_is_wrong_is_refused_and_never_skipped() {
        for bad in [
            "size=1",
            "name=",
            "name=../sda",
            "name=sda;reboot",
            "name=/sda",
            "name=a/b/c",
            "name=sda\tsize=-1",
            "name=sda\trotational=2",
            "name",
        ] {
            let problem = parse(&format!("disk\tname=vda\tsize=1\ndisk\t{bad}")).unwrap_err();
            assert!(matches!(problem, BadInventory::Line { line: 2, .. }), "{bad}: {problem}");
        }
        assert!(parse("disk\tname=sda\tsize=1\ndisk\tname=sda\tsize=2").unwrap_err().to_string().contains("twice"));
        let many: String = (0..=MAX_DISKS).map(|n| format!("disk\tname=sd{n}\tsize=1\n")).collect();
        assert_eq!(parse(&many), Err(BadInventory::TooMany));
        assert!(matches!(parse(&"x".repeat(MAX_INVENTORY + 1)), Err(BadInventory::TooLong(_))));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(disk\t|name=|size=|ids=|[a-z0-9=,/\t\n.-]|.)*") {
            if let Ok(disks) = parse(&text) {
                for disk in disks {
                    prop_assert!(disk.ids.len() <= MAX_LIST && disk.model.chars().count() <= MAX_VALUE);
                    prop_assert!(!disk.path().contains(".."), "{}", disk.path());
                }
            }
        }
    }
}
