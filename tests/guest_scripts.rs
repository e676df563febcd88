//! What runs in a diskless node before its system does, by the shells that run it: the disk judgement on real block devices, the rest
//! against an HTTP server that says yes, no, or nothing. Needs root, for loop devices.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use kickctl::domain::checksum::Sha256;
use kickctl::domain::disk::{Bus, Disk, DiskSelector, Pick};
use kickctl::image::guest;
use kickctl::net::syslog;
use tempfile::TempDir;

const SHELLS: [&[&str]; 2] = [&["busybox", "ash"], &["dash"]];

fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/image/guest").join(folder)
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", printed(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A machine's folders, as far as the scripts look at them.
struct Machine {
    folder: TempDir,
    shell: &'static [&'static str],
}

impl Machine {
    fn new(shell: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for made in ["kickctl", "state", "root", "sys/block", "sys/class/net", "sys/class/block", "dev/disk/by-id", "bin"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        fs::write(folder.path().join("console"), "").unwrap();
        // The initial RAM disk has busybox's.
        symlink(run("sh", &["-c", "command -v busybox"]), folder.path().join("bin/wget")).unwrap();
        Self { folder, shell }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    fn programs(&self) -> String {
        format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap())
    }

    /// Runs commands after the boot scripts have been read. Nothing here restarts the machine that the test runs on.
    fn command(&self, commands: &str) -> Command {
        let text = format!(
            ". \"$BOOT_SCRIPTS/main.sh\"\nROOT={}\nreboot() {{ echo REBOOT; exit 3; }}\nsleep() {{ command sleep 0.02; }}\n\
             in_root() {{ \"$@\"; }}\n{commands}\n",
            self.path("root").display()
        );
        let mut command = Command::new(self.shell[0]);
        command
            .args(&self.shell[1..])
            .arg("-c")
            .arg(text)
            .env("BOOT_SCRIPTS", source("boot"))
            .env("PATH", self.programs())
            .env("KICKCTL_HERE", self.path("kickctl"))
            .env("KICKCTL_STATE", self.path("state"))
            .env("KICKCTL_CONSOLE", self.path("console"))
            .env("KICKCTL_KMSG", self.path("kmsg"))
            .env("KICKCTL_SYS", self.path("sys"))
            .env("KICKCTL_DEV", self.path("dev"))
            .env("KICKCTL_RUN", self.path("state"))
            .env("KICKCTL_FAILURE_DELAY", "0")
            // As in the two kinds of initial RAM disk.
            .env("HTTP", if self.shell == SHELLS[0] { "wget" } else { "curl" });
        command
    }

    fn run(&self, commands: &str) -> Output {
        self.command(commands).output().unwrap()
    }

    /// What commands that succeed print.
    fn says(&self, commands: &str) -> String {
        let output = self.run(commands);
        assert!(output.status.success(), "{commands}: {}{}", printed(&output), self.read("console"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commands that end in a reboot: what stands on the console.
    fn fails(&self, commands: &str) -> String {
        let output = self.run(commands);
        assert!(output.status.code() == Some(3) && printed(&output).contains("REBOOT"), "{commands}: {}", printed(&output));
        self.read("console")
    }
}

/// A script that is ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    async fn ended(&mut self) -> bool {
        for _ in 0..600 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A head that answers the same to everything, and remembers what it was asked.
#[derive(Clone)]
struct Head {
    said: Arc<Mutex<(StatusCode, Vec<u8>)>>,
    heard: Arc<Mutex<Vec<(String, String, String)>>>,
    address: SocketAddr,
}

impl Head {
    async fn start(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let head = Self { said: Arc::default(), heard: Arc::default(), address: listener.local_addr().unwrap() };
        head.say(status, body);
        let router = Router::new().fallback(answer).with_state(head.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        head
    }

    fn say(&self, status: u16, body: impl Into<Vec<u8>>) {
        *self.said.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body.into());
    }

    fn heard(&self) -> Vec<(String, String, String)> {
        self.heard.lock().unwrap().clone()
    }

    async fn hears(&self, path: &str) -> (String, String, String) {
        for _ in 0..600 {
            if let Some(found) = self.heard().into_iter().find(|(asked, ..)| asked == path) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} was never asked; but {:?}", self.heard());
    }

    /// What /kickctl/env says of this head.
    fn env(&self, more: &str) -> String {
        let url = format!("http://{}", self.address);
        format!("KICKCTL_NODE='node07'\nKICKCTL_KIND='ram'\nKICKCTL_HEAD='{url}'\nKICKCTL_TAKEOVER='{url}/boot/3-00/takeover'\n{more}\n")
    }
}

async fn answer(State(head): State<Head>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    head.heard.lock().unwrap().push((uri.path().to_owned(), token, String::from_utf8_lossy(&body).into_owned()));
    head.said.lock().unwrap().clone()
}

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
fn every_script_reads_in_the_shells_that_run_it() {
    let mut files = guest::files(guest::Maker::Dracut);
    files.extend(guest::files(guest::Maker::InitramfsTools));
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        fs::write(&path, file.content).unwrap();
        let shells: &[&[&str]] = match file.path.rsplit_once('/').unwrap().1 {
            "agent" | "log" | "module-setup.sh" => &[&["bash", "-n"]],
            name if name.ends_with(".service") || file.path.contains("conf.d") => continue,
            _ => &[&["busybox", "ash", "-n"], &["dash", "-n"], &["bash", "-n"]],
        };
        for shell in shells {
            let arguments: Vec<&str> = shell[1..].iter().copied().chain([path.to_str().unwrap()]).collect();
            assert_eq!(run(shell[0], &arguments), "", "{}", file.path);
        }
    }
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

#[test]
fn the_card_is_the_one_that_was_booted_from() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        for (card, address) in [("lo", "00:00:00:00:00:00"), ("ens3", "52:54:00:00:00:f1"), ("ens4", "52:54:00:00:ab:07")] {
            let folder = machine.path("sys/class/net").join(card);
            fs::create_dir_all(folder.join(if card == "lo" { "queues" } else { "device" })).unwrap();
            fs::write(folder.join("address"), format!("{address}\n")).unwrap();
        }
        assert_eq!(machine.says("BOOTIF=01-52-54-00-00-AB-07; nic_of \"$(boot_mac)\""), "ens4");
        assert_eq!(machine.says("KICKCTL_MAC=52:54:00:00:00:F1; nic_of \"$(boot_mac)\""), "ens3");
        assert_eq!(machine.says("BOOTIF='$(reboot)' KICKCTL_MAC=52:54:00:00:ab:07; boot_mac"), "52:54:00:00:ab:07");
        assert_eq!(machine.says("nic_of 52:54:00:00:00:99 || echo none"), "none");
        for (ip, told) in [
            ("dhcp", "ens4"),
            ("", "ens4"),
            ("10.0.0.7::10.0.0.1:255.255.255.0:node07::none", "10.0.0.7::10.0.0.1:255.255.255.0:node07:ens4:none"),
            ("10.0.0.7:::255.255.255.0:node07:eth0:off:10.0.0.1:10.0.0.2", "10.0.0.7:::255.255.255.0:node07:ens4:off:10.0.0.1:10.0.0.2"),
            ("::::node07:eth0:dhcp", "ens4"),
        ] {
            assert_eq!(machine.says(&format!("ip_for ens4 '{ip}'")), told, "{ip}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_missing_or_incomplete_ends_in_a_reboot_and_never_in_a_shell() {
    for shell in SHELLS {
        let head = Head::start(403, "").await;
        let machine = Machine::new(shell);
        assert!(machine.fails("read_env").contains("CANNOT START: there is no"));
        fs::write(machine.path("kickctl/env"), head.env("").replace("KICKCTL_KIND", "KICKCTL_OTHER")).unwrap();
        assert!(machine.fails("read_env").contains("does not set KICKCTL_KIND"));
        let odd = "KICKCTL_WRITABLE='/var/log tmpfs 10%\n/data nfs 10.0.0.1:/it'\\''s \"here\" $HOME'";
        fs::write(machine.path("kickctl/env"), head.env(odd)).unwrap();
        let read = machine.says("read_env; echo \"$KICKCTL_WRITABLE\"");
        assert_eq!(read, "/var/log tmpfs 10%\n/data nfs 10.0.0.1:/it's \"here\" $HOME");
        assert_eq!(fs::metadata(machine.path("state/env")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_the_head_under_the_report_token() {
    for shell in SHELLS {
        let head = Head::start(200, archive(&[("token", "3-secret\n")])).await;
        let machine = Machine::new(shell);
        fs::write(machine.path("kickctl/env"), head.env("")).unwrap();
        // What begins with @ is a text like any other.
        let console = machine.fails("read_env; fail '@/etc/passwd cannot be mounted'");
        assert!(console.contains("CANNOT START: @/etc/passwd cannot be mounted"), "{console}");
        let heard = head.heard();
        assert_eq!(heard[0].0, "/boot/3-00/takeover");
        assert_eq!(heard[1], ("/report/failed".into(), "Bearer 3-secret".into(), "@/etc/passwd cannot be mounted".into()));
    }
}

#[test]
fn a_card_gets_its_address_without_ipconfig_too() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        let mut command = Command::new("unshare");
        let given = "10.0.0.7:10.0.0.1:10.0.0.1:255.255.255.0:node07:lo:none:10.0.0.2:10.0.0.3";
        let inner = machine.command(&format!(
            "fixed_address lo {given} && fixed_address lo {given} && ip -o -4 address show dev lo && ip route && cat \"$KICKCTL_RUN/net-lo.conf\""
        ));
        command.args(["--net", "--"]).arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        let told = printed(&output);
        assert!(output.status.success(), "{told}");
        for words in ["inet 10.0.0.7/24 ", "default via 10.0.0.1 dev lo", "IPV4ADDR=10.0.0.7\nIPV4DNS0=10.0.0.2\nIPV4DNS1=10.0.0.3\n"] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}

/// A newc archive, as the head's answer to the take-over is one.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let made = Command::new("sh")
        .args(["-c", "find . -mindepth 1 | sort | cpio --quiet -o -H newc -R 0:0"])
        .current_dir(folder.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(made.status.success());
    made.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn the_take_over_is_asked_until_the_head_answers_and_given_up_when_it_refuses() {
    for shell in SHELLS {
        let given = archive(&[("token", "3-secret\n"), ("files/etc/ssh/ssh_host_ed25519_key", "key\n")]);
        let head = Head::start(503, "later").await;
        let machine = Machine::new(shell);
        fs::write(machine.path("kickctl/env"), head.env("")).unwrap();
        let mut waiting = Running::start(&mut machine.command("read_env; take_over"));
        head.hears("/boot/3-00/takeover").await;
        // Half an archive is no answer.
        head.say(200, &given[..given.len() / 3]);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!machine.path("state/token").exists());
        head.say(200, given);
        assert!(waiting.ended().await, "{}", machine.read("console"));
        assert_eq!(machine.read("state/token"), "3-secret\n");
        assert_eq!(machine.read("state/given/files/etc/ssh/ssh_host_ed25519_key"), "key\n");
        for (file, mode) in [("state/token", 0o600), ("state/given", 0o700), ("state/given/files/etc/ssh/ssh_host_ed25519_key", 0o600)] {
            assert_eq!(fs::metadata(machine.path(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
        }
        let refused = Machine::new(shell);
        fs::write(refused.path("kickctl/env"), head.env("")).unwrap();
        head.say(403, "");
        assert!(refused.fails("read_env; take_over").contains("does not let this node take over (status 403)"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_used_only_with_the_digest_that_the_head_told() {
    for shell in SHELLS {
        let root: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let head = Head::start(200, root.clone()).await;
        let machine = Machine::new(shell);
        let url = format!("http://{}/root.squashfs", head.address);
        let env = |digest: Sha256| {
            head.env(&format!("KICKCTL_ROOT_URL='{url}'\nKICKCTL_ROOT_SHA256='{digest}'\nKICKCTL_ROOT_SIZE='{}'", root.len()))
        };
        fs::write(machine.path("kickctl/env"), env(Sha256::of(&root))).unwrap();
        let fetch = format!("read_env; fetch_root {}", machine.path("image").display());
        machine.says(&fetch);
        assert_eq!(fs::read(machine.path("image")).unwrap(), root);
        fs::remove_file(machine.path("image")).unwrap();
        fs::write(machine.path("kickctl/env"), env(Sha256::of(b"another"))).unwrap();
        assert!(machine.fails(&fetch).contains("has another SHA-256"));
        assert_eq!(head.heard().iter().filter(|(path, ..)| path == "/root.squashfs").count(), 1 + 3);
        assert!(!machine.path("image").exists());
        head.say(404, "");
        assert!(machine.fails(&fetch).contains("does not give"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_calls_home_until_it_is_heard_and_then_gives_signs_of_life() {
    let head = Head::start(503, "later").await;
    let machine = Machine::new(SHELLS[0]);
    fs::write(machine.path("state/env"), head.env("KICKCTL_HEARTBEAT='1'\nKICKCTL_VERSION='20261121T045300Z-3f9a2c41'")).unwrap();
    fs::write(machine.path("state/token"), "3-secret\n").unwrap();
    let _agent = Running::start(Command::new("bash").arg(source("agent/agent")).env("KICKCTL_STATE", machine.path("state")));
    let (_, token, body) = head.hears("/report/home").await;
    assert_eq!(token, "Bearer 3-secret");
    for fact in ["hostname=", "kind=ram", "version=20261121T045300Z-3f9a2c41", "boot_id=", "kernel=", "memory_mib=", "uptime="] {
        assert!(body.contains(fact), "{fact} in {body}");
    }
    assert!(head.heard().iter().all(|(path, ..)| path == "/report/home"), "no sign of life before the head has heard who lives");
    head.say(200, "ok");
    let (_, token, body) = head.hears("/report/heartbeat").await;
    assert!(token == "Bearer 3-secret" && body.contains("uptime="), "{body}");
}

#[test]
fn the_journal_goes_to_the_head_and_goes_on_where_a_lost_connection_left_off() {
    let machine = Machine::new(SHELLS[0]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    fs::write(machine.path("state/env"), format!("KICKCTL_SYSLOG='{address}'\n")).unwrap();
    // What journalctl -o json prints; the real one needs a journal.
    let entries = [
        r#"{"PRIORITY":"3","SYSLOG_FACILITY":"4","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"a \"quoted\" \"PRIORITY\":\"0\" text\n<0>1 - - - - - - forged","__CURSOR":"s=1;i=1"}"#,
        r#"{"__CURSOR":"s=1;i=2","MESSAGE":[98,105,110]}"#,
        r#"{"__CURSOR":"s=1;i=3","MESSAGE":"tab\there, 100% of \/usr"}"#,
    ];
    let journalctl =
        format!("#!/bin/sh\necho \"$@\" >>{}\ncat <<'END'\n{}\nEND\nsleep 1\n", machine.path("asked").display(), entries.join("\n"));
    fs::write(machine.path("bin/journalctl"), journalctl).unwrap();
    fs::set_permissions(machine.path("bin/journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut forwarder = Command::new("bash");
    forwarder.arg(source("agent/log")).env("PATH", machine.programs()).env("KICKCTL_STATE", machine.path("state"));
    let _forwarder = Running::start(&mut forwarder);
    let (connection, _) = listener.accept().unwrap();
    let lines: Vec<syslog::Line> = BufReader::new(connection).lines().take(2).map(|line| syslog::parse(line.unwrap().as_bytes())).collect();
    assert_eq!((lines[0].facility, lines[0].severity, lines[0].tag.as_deref()), (4, 3, Some("sshd")));
    assert_eq!(lines[0].message, "a \"quoted\" \"PRIORITY\":\"0\" text <0>1 - - - - - - forged");
    assert_eq!((lines[1].severity, lines[1].message.as_str()), (6, "tab here, 100% of /usr"));
    let (_second, _) = listener.accept().unwrap();
    for _ in 0..100 {
        if machine.read("asked").lines().count() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(machine.read("asked").lines().nth(1).unwrap().contains("--after-cursor=s=1;i=3"), "{}", machine.read("asked"));
}
