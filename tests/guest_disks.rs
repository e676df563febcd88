//! Which disk a diskless node may write to, and which it chooses: the judgement of the boot scripts on real block devices, by the shells that run
//! them. Needs root, for loop devices.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions only, not in their helpers")]

#[path = "support/guest.rs"]
mod guest_machine;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use guest_machine::{Machine, SHELLS, run};
use kickctl::domain::checksum::Sha256;
use kickctl::domain::disk::{Bus, Disk, DiskSelector, Pick};
use tempfile::TempDir;

/// A disk: a file behind a loop device.
struct LoopDisk {
    device: String,
    file: PathBuf,
    _folder: TempDir,
}

impl LoopDisk {
    fn new(mib: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk");
        fs::File::create(&file).unwrap().set_len(mib << 20).unwrap();
        let device = run("losetup", &["--find", "--show", file.to_str().unwrap()]);
        Self { device, file, _folder: folder }
    }

    fn content(&self) -> Sha256 {
        run("sync", &[self.file.to_str().unwrap(), &self.device]);
        Sha256::of(&fs::read(&self.file).unwrap())
    }

    fn write(&self, at_mib: u64, text: &str) {
        let seek = format!("seek={}", at_mib << 20);
        let file = format!("of={}", self.device);
        let script = format!("printf '%s' '{text}' | dd {file} {seek} bs=1 conv=notrunc,fsync 2>/dev/null");
        run("sh", &["-c", &script]);
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.device).output();
        let _ = Command::new("losetup").args(["--detach", &self.device]).output();
    }
}

fn judged(machine: &Machine, disk: &LoopDisk) -> String {
    machine.says(&format!("judge {} ext4 kickctl-scratch", disk.device))
}

#[test]
fn a_disk_is_written_to_only_if_it_is_blank_or_ours() {
    // The judgement is text and arithmetic in either shell; the disks take their time.
    {
        let machine = Machine::new(SHELLS[0]);
        let judge = |made: &dyn Fn(&LoopDisk)| {
            let disk = LoopDisk::new(64);
            made(&disk);
            let before = disk.content();
            let said = judged(&machine, &disk);
            // Asked to make it scratch, it does as it judged.
            let make = format!("prepare 'scratch disk' {} ext4 mkfs.ext4 -q -L kickctl-scratch && echo made", disk.device);
            let made = String::from_utf8_lossy(&machine.run(&make).stdout).contains("made");
            assert_eq!(made, said == "blank" || said == "ours", "{said}");
            assert_eq!(disk.content() == before, said != "blank", "{said}");
            said
        };
        let format = |program: &'static str, arguments: &'static [&'static str]| {
            judge(&move |disk: &LoopDisk| {
                let all: Vec<&str> = arguments.iter().copied().chain([disk.device.as_str()]).collect();
                run(program, &all);
            })
        };
        let table = |label: &'static str| {
            judge(&move |disk: &LoopDisk| {
                run("sh", &["-c", &format!("echo 'label: {label}' | sfdisk -q --no-reread {}", disk.device)]);
            })
        };
        assert_eq!(judge(&|_| {}), "blank");
        assert_eq!(format("mkfs.ext4", &["-q", "-L", "kickctl-scratch"]), "ours");
        assert_eq!(format("mkfs.ext4", &["-q", "-L", "data"]), "it holds: ext4 data");
        assert_eq!(format("mkfs.ext4", &["-q"]), "it holds: ext4");
        assert_eq!(format("mkswap", &["-q", "-L", "kickctl-scratch"]), "it holds: swap kickctl-scratch");
        assert_eq!(table("dos"), "it holds: dos");
        assert!(table("gpt").contains("gpt"), "a table without partitions");
        // A partition table and a file system that say they are each other's place: whose disk it is, is anybody's guess.
        let both = judge(&|disk| {
            run("mkfs.ext4", &["-q", "-L", "kickctl-scratch", &disk.device]);
            run("sh", &["-c", &format!("echo 'label: dos' | sfdisk -q --no-reread --wipe never {}", disk.device)]);
        });
        assert!(both.starts_with("it holds: ") && both.contains("dos") && both.contains("ext4"), "{both}");
        // A data base that writes to the bare disk leaves no signature.
        for place in [0, 3, 15, 24, 40, 63] {
            assert_eq!(judge(&|disk| disk.write(place, "rows")), "it holds data without a known signature", "at {place} MiB");
        }
    }
}

#[test]
fn a_disk_in_use_or_out_of_reach_is_left_alone() {
    let machine = Machine::new(SHELLS[0]);
    let disk = LoopDisk::new(32);
    run("mkfs.ext4", &["-q", "-L", "kickctl-scratch", &disk.device]);
    assert_eq!(judged(&machine, &disk), "ours");
    run("mount", &[&disk.device, machine.path("root").to_str().unwrap()]);
    assert_eq!(judged(&machine, &disk), "it is in use");
    run("umount", &[&disk.device]);
    let name = disk.device.strip_prefix("/dev/").unwrap();
    let below = machine.path("sys/class/block").join(name);
    fs::create_dir_all(below.join("holders/md0")).unwrap();
    assert_eq!(judged(&machine, &disk), "it is in use");
    fs::create_dir_all(below.join(format!("{name}p1/partition"))).unwrap();
    assert_eq!(judged(&machine, &disk), "it has partitions");
    assert!(machine.says("judge /dev/no-such-disk ext4 kickctl-scratch").starts_with("it cannot be examined: "));
    let small = LoopDisk::new(8);
    assert_eq!(judged(&machine, &small), "it holds data without a known signature", "too small to tell");
}

#[test]
fn a_scratch_disk_keeps_what_is_on_it() {
    let machine = Machine::new(SHELLS[0]);
    let disk = LoopDisk::new(64);
    let use_it = format!(
        "disk_for() {{ echo {}; }}\nKICKCTL_SCRATCH=serial=S KICKCTL_SCRATCH_MOUNT={}\nscratch || echo none\n",
        disk.device,
        machine.path("root/scratch").display()
    );
    assert_eq!(machine.says(&use_it), "");
    fs::write(machine.path("root/scratch/kept"), "text").unwrap();
    run("umount", &[&disk.device]);
    assert_eq!(machine.says(&use_it), "");
    assert_eq!(machine.read("root/scratch/kept"), "text");
    assert_eq!(fs::metadata(machine.path("root/scratch")).unwrap().permissions().mode() & 0o777, 0o755);
}

/// A machine with six disks, and what the head makes of them.
fn disks(machine: &Machine) -> Vec<Disk> {
    let add = |at: &str, name: &str, gib: u64, removable: bool, rotational: bool, serial: &str, wwn: &str| {
        let device = machine.path("sys/devices").join(at).join("block").join(name);
        let sectors = (gib << 21).to_string();
        let flag = |on: bool| if on { "1\n" } else { "0\n" };
        for (file, text) in [
            ("size", sectors.as_str()),
            ("removable", flag(removable)),
            ("queue/rotational", flag(rotational)),
            ("serial", serial),
            ("wwid", wwn),
        ] {
            let path = device.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink(&device, machine.path("sys/block").join(name)).unwrap();
        fs::write(machine.path("dev").join(name), "").unwrap();
        symlink(format!("../../{name}"), machine.path("dev/disk/by-id").join(format!("id-{serial}"))).unwrap();
        let bus = match at {
            "pci0/virtio" => Bus::Virtio,
            "pci0/ata1/host0" => Bus::Ata,
            "pci0/usb1/host1" => Bus::Usb,
            _ => Bus::Nvme,
        };
        let ids = vec![format!("id-{serial}")];
        Disk {
            name: name.into(),
            size: gib << 30,
            serial: serial.into(),
            wwn: wwn.into(),
            bus,
            removable,
            rotational,
            ids,
            ..Disk::default()
        }
    };
    vec![
        add("pci0/virtio", "vda", 8, false, true, "V1", "naa.1"),
        add("pci0/ata1/host0", "sda", 4000, false, true, "A1", "naa.2"),
        add("pci0/ata1/host0", "sdb", 4000, false, true, "A2", "naa.3"),
        add("pci0/usb1/host1", "sdc", 4, true, false, "U1", "naa.4"),
        add("pci0/nvme", "nvme0n1", 512, false, false, "N1", "eui.5"),
        add("pci0/nvme", "nvme1n1", 900, false, false, "N2", "eui.6"),
    ]
}

#[test]
fn a_node_chooses_the_disk_that_the_head_would() {
    let any = DiskSelector::default;
    let text = |text: &str| Some(text.to_owned());
    let rules: [(&str, DiskSelector); 16] = [
        ("serial=V1", DiskSelector { serial: text("V1"), ..any() }),
        ("serial=V", DiskSelector { serial: text("V"), ..any() }),
        ("id=id-A2", DiskSelector { id: text("id-A2"), ..any() }),
        ("id=../../sda", DiskSelector { id: text("none"), ..any() }),
        ("wwn=eui.6", DiskSelector { wwn: text("eui.6"), ..any() }),
        ("pick=smallest", DiskSelector { pick: Some(Pick::Smallest), ..any() }),
        ("pick=largest", DiskSelector { pick: Some(Pick::Largest), ..any() }),
        ("never=sda pick=largest", DiskSelector { pick: Some(Pick::Largest), never: vec!["sda".into()], ..any() }),
        ("never=/dev/disk/by-id/id-A2 pick=largest", DiskSelector { pick: Some(Pick::Largest), never: vec!["id-A2".into()], ..any() }),
        (
            "never=V1 never=eui.5 pick=smallest",
            DiskSelector { pick: Some(Pick::Smallest), never: vec!["V1".into(), "eui.5".into()], ..any() },
        ),
        ("bus=usb", DiskSelector { bus: Some(Bus::Usb), ..any() }),
        ("bus=nvme pick=largest", DiskSelector { bus: Some(Bus::Nvme), pick: Some(Pick::Largest), ..any() }),
        ("bus=nvme", DiskSelector { bus: Some(Bus::Nvme), ..any() }),
        ("rotational=false pick=smallest", DiskSelector { rotational: Some(false), pick: Some(Pick::Smallest), ..any() }),
        ("min_size=600000000000 max_size=1000000000000", {
            DiskSelector { min_size: Some(600_000_000_000), max_size: Some(1_000_000_000_000), ..any() }
        }),
        ("rotational=true min_size=1000000000000", { DiskSelector { rotational: Some(true), min_size: Some(1_000_000_000_000), ..any() } }),
    ];
    for shell in SHELLS {
        let machine = Machine::new(shell);
        let disks = disks(&machine);
        for (words, rule) in &rules {
            let output = machine.run(&format!("choose '{words}'"));
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            match rule.choose(&disks) {
                Ok(disk) => assert_eq!((output.status.success(), said.as_str()), (true, disk.name.as_str()), "{words}"),
                Err(_) => assert!(!output.status.success() && said.contains(" fit"), "{words}: {said}"),
            }
        }
        assert!(machine.says("choose nvme=1 || :").starts_with("no disk"), "a rule of a newer head holds for no disk");
    }
}
