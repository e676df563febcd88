//! The scripts of an installation, run by the shells that run them, against an HTTP server that says yes, no, or nothing.

#![allow(clippy::unwrap_used, clippy::panic)]

mod profile_support;
#[path = "profile_support/web.rs"]
mod web;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use kickctl::domain::disk::Bus;
use kickctl::domain::node::Firmware;
use kickctl::provision::{gate_answer, inventory};
use profile_support::{TOKEN, context, printed, render, run, settings};
use tempfile::TempDir;
use web::{Head, Running};

/// An installer's file system, as far as the scripts look at it, after the take-over.
struct Installer {
    folder: TempDir,
}

impl Installer {
    fn new(head: &Head) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut context = context("", Firmware::Uefi);
        context.head.url = format!("http://{}", head.address);
        for made in
            ["kickctl", "root/usr/share/keyrings", "root/usr/lib/pre-pkgsel.d", "root/usr/lib/finish-install.d", "bin", "sys/block", "dev"]
        {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        for (file, text) in
            [("console", ""), ("syslog", ""), ("root/usr/lib/pre-pkgsel.d/90popcon", ""), ("root/usr/lib/finish-install.d/08hw-detect", "")]
        {
            fs::write(folder.path().join(file), text).unwrap();
        }
        for (file, name) in [
            ("lib", "lib.sh"),
            ("inventory.sh", "inventory.sh"),
            ("gate", "gate.sh"),
            ("watch", "watch.sh"),
            ("finish", "finish.sh"),
            ("late", "late-fetch.sh"),
            ("steps.awk", "steps.awk"),
        ] {
            fs::write(folder.path().join("kickctl").join(file), render(&context, name)).unwrap();
        }
        fs::write(folder.path().join("kickctl/wgetrc"), format!("header = Authorization: Bearer {TOKEN}\n")).unwrap();
        // The installer's own is a different program of the same name; it is tried in a real installer. Here: what was it given?
        let program = folder.path().join("bin/debconf-set-selections");
        fs::write(&program, "#!/bin/sh\ncat \"$1\" >\"$KICKCTL_ROOT/answers\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    fn start(&self, script: &str) -> Running {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        Running::start(
            Command::new("busybox")
                .args(["ash", self.path("kickctl").join(script).to_str().unwrap()])
                .env("PATH", path)
                .env("KICKCTL_DIR", self.path("kickctl"))
                .env("KICKCTL_ROOT", self.path("root"))
                .env("KICKCTL_CONSOLE", self.path("console"))
                .env("KICKCTL_LOG", self.path("syslog"))
                .env("KICKCTL_SYS", self.path("sys"))
                .env("KICKCTL_PROC", self.path("proc"))
                .env("KICKCTL_DEV", self.path("dev"))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
    }

    async fn console_says(&self, text: &str) {
        for _ in 0..600 {
            if self.read("console").contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("`{text}` never came: {}", self.read("console"));
    }
}

fn yes() -> String {
    gate_answer("/dev/vda", &settings(""), Firmware::Uefi)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_opens_with_the_heads_yes_alone() {
    let head = Head::start(200, &yes()).await;
    let installer = Installer::new(&head);
    assert!(installer.start("gate").ended().await);
    assert_eq!(installer.read("root/answers"), yes());
    let (path, token, _) = &head.heard()[0];
    assert_eq!((path.as_str(), token.as_str()), ("/report/gate", format!("Bearer {TOKEN}").as_str()));
    assert!(installer.read("console").contains("write gate: yes, /dev/vda"));
    assert!(
        !installer.path("root/usr/lib/pre-pkgsel.d/90popcon").exists()
            && !installer.path("root/usr/lib/finish-install.d/08hw-detect").exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_shown_and_nothing_comes_after_it() {
    for (status, body) in [(403, "two disks match the disk selector equally\n"), (404, ""), (401, "no")] {
        let head = Head::start(status, body).await;
        let installer = Installer::new(&head);
        let mut gate = installer.start("gate");
        installer.console_says("Nothing was written to any disk.").await;
        assert!(installer.read("console").contains(body.trim()));
        assert!(gate.runs(), "{status}: the partitioner would go on");
        // It does not even ask again: a yes that comes later is for another installer.
        head.say(200, &yes());
        assert_eq!(head.heard().len(), 1);
        assert!(!installer.path("root/answers").exists());
        assert!(installer.path("kickctl/stopped").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_yes_nor_no_is_asked_again() {
    // A head that has trouble, a yes that was cut off, a proxy's page.
    for (status, body) in [(503, "later".to_owned()), (200, yes().replace("# kickctl: yes\n", "")), (200, "<html>".into())] {
        let head = Head::start(status, &body).await;
        let installer = Installer::new(&head);
        let mut gate = installer.start("gate");
        installer.console_says("asking again").await;
        assert!(gate.runs() && !installer.path("root/answers").exists(), "{status} {body}");
        head.say(200, &yes());
        assert!(gate.ended().await);
        assert_eq!(installer.read("root/answers"), yes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_away_is_waited_for() {
    let head = Head::start(200, &yes()).await;
    let installer = Installer::new(&head);
    let lib = installer.read("kickctl/lib");
    // Port 1 of this machine answers nobody.
    fs::write(installer.path("kickctl/lib"), lib.replace(&head.address.to_string(), "127.0.0.1:1")).unwrap();
    let mut gate = installer.start("gate");
    installer.console_says("status 000").await;
    assert!(gate.runs());
    assert!(head.heard().is_empty() && !installer.path("root/answers").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_of_a_strange_machine_is_understood() {
    let head = Head::start(200, &yes()).await;
    let installer = Installer::new(&head);
    let sys = installer.path("sys");
    let disk = |at: &str, name: &str, files: &[(&str, &str)]| {
        let device = sys.join("devices").join(at).join("block").join(name);
        for (file, text) in files {
            let path = device.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink(&device, sys.join("block").join(name)).unwrap();
        fs::write(installer.path("dev").join(name.replace('!', "_")), "").unwrap();
    };
    disk("pci0/virtio1", "vda", &[("size", "16777216\n"), ("serial", "S-1"), ("removable", "0\n"), ("queue/rotational", "1\n")]);
    disk(
        "pci0/ata1/host0",
        "sda",
        &[("size", "2048\n"), ("device/model", "ACME  Disk\t9 \n"), ("wwid", "naa.5000c500\n"), ("queue/rotational", "0\n")],
    );
    disk("pci0/usb1/host1", "sdb", &[("size", "4096\n"), ("removable", "1\n"), ("device/model", "Stick, \u{1b}[31mred")]);
    disk("pci0/nvme", "nvme0n1", &[("size", "8192\n"), ("device/serial", "N1  \n"), ("wwid", "eui.1\n")]);
    disk("pci0/host7", "cciss!c0d0", &[("size", "64\n")]);
    disk("virtual", "loop0", &[("size", "64\n")]);
    disk("virtual", "dm-0", &[("size", "64\n")]);
    disk("virtual", "sr0", &[("size", "64\n")]);
    disk("pci0/host8", "sdc", &[("size", "0\n")]);
    fs::create_dir_all(installer.path("dev/disk/by-id")).unwrap();
    symlink("../../vda", installer.path("dev/disk/by-id/virtio-S-1")).unwrap();
    symlink("../../sda", installer.path("dev/disk/by-id/ata-ACME")).unwrap();
    symlink("../../sda", installer.path("dev/disk/by-id/wwn-0x5000c500")).unwrap();

    assert!(installer.start("gate").ended().await);
    let posted = &head.heard()[0].2;
    let mut disks = inventory::parse(posted).unwrap_or_else(|error| panic!("{error}\n{posted}"));
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["cciss/c0d0", "nvme0n1", "sda", "sdb", "vda"], "{posted}");
    let [cciss, nvme, ata, usb, virtio] = disks.as_slice() else { panic!("{posted}") };
    assert_eq!((cciss.bus, cciss.size, cciss.path().as_str()), (Bus::Scsi, 64 * 512, "/dev/cciss/c0d0"));
    assert_eq!((nvme.bus, nvme.serial.as_str(), nvme.wwn.as_str()), (Bus::Nvme, "N1", "eui.1"));
    assert_eq!((ata.bus, ata.model.as_str(), ata.wwn.as_str(), ata.rotational), (Bus::Ata, "ACME Disk 9", "naa.5000c500", false));
    assert_eq!(ata.ids, ["ata-ACME", "wwn-0x5000c500"]);
    assert_eq!((usb.bus, usb.removable, usb.model.as_str()), (Bus::Usb, true, "Stick, [31mred"));
    assert_eq!((virtio.bus, virtio.size, virtio.serial.as_str(), virtio.rotational), (Bus::Virtio, 8 << 30, "S-1", true));
    assert_eq!(virtio.ids, ["virtio-S-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watcher_tells_steps_and_a_step_that_failed() {
    let head = Head::start(200, "").await;
    let installer = Installer::new(&head);
    let menu = |item: &str, what: &str| format!("Nov 21 05:00:00 main-menu[321]: INFO: Menu item '{item}' {what}\n");
    let mut log = menu("download-installer", "selected");
    for part in 0..40 {
        log += &format!("Nov 21 05:00:00 anna[4419]: DEBUG: retrieving partman-p{part} 156\n");
    }
    fs::write(installer.path("syslog"), &log).unwrap();
    let mut watcher = installer.start("watch");
    head.hears(|(_, _, body)| body == "step=udebs&percent=4&units=40").await;
    log += &(menu("partman-base", "selected") + &menu("bootstrap-base", "selected"));
    for package in 0..120 {
        log += &format!("Nov 21 05:00:00 debootstrap: Unpacking p{package} (1.0) ...\n");
    }
    fs::write(installer.path("syslog"), &log).unwrap();
    let (path, token, _) = head.hears(|(_, _, body)| body == "step=base-system&percent=40&units=160").await;
    assert_eq!((path.as_str(), token.as_str()), ("/report/step", format!("Bearer {TOKEN}").as_str()));
    log += &menu("bootstrap-base", "failed.");
    fs::write(installer.path("syslog"), &log).unwrap();
    let (_, _, sent) = head.hears(|(path, _, _)| path == "/report/logs").await;
    assert_eq!(sent, log);
    let (_, _, reason) = head.hears(|(path, _, _)| path == "/report/failed").await;
    assert_eq!(reason, "the installer's step bootstrap-base failed; its console shows more\n");
    fs::write(installer.path("kickctl/stopped"), "").unwrap();
    assert!(watcher.ended().await);
}

/// What Debian 13's installer said when its mirror lacked a file of each, in a virtual machine: its log, and what it was that it said no more.
const RETRIEVAL_FAILED: &str = "Nov 29 12:16:38 anna[2711]: DEBUG: retrieving partman-auto 177
Nov 29 12:16:38 net-retriever: regular: pool/local/partman-auto_177_amd64.udeb /var/cache/anna/partman-auto_177_amd64.udeb
Nov 29 12:16:39 anna[2711]: http://10.77.0.1:8080/snapshots/debian-13/20261129T021116Z-66c9a984/pool/local/partman-auto_177_amd64.udeb:
Nov 29 12:16:39 anna[2711]: 2026-11-29 12:16:39 ERROR 404: Not Found.
Nov 29 12:16:39 anna[2711]: WARNING **: package retrieval failed
";

#[tokio::test(flavor = "multi_thread")]
async fn the_watcher_tells_of_a_dialog_that_waits_and_why_it_is_there() {
    let head = Head::start(200, "").await;
    let installer = Installer::new(&head);
    let menu = |item: &str| format!("Nov 29 12:10:00 main-menu[310]: INFO: Menu item '{item}' selected\n");
    // wget's words about suites that no mirror needs to have, which belong to a step that went well.
    let harmless = "Nov 29 12:10:01 main-menu[310]: (process:2587): 2026-11-29 12:10:01 ERROR 404: Not Found.\n";
    fs::write(installer.path("syslog"), menu("choose-mirror") + harmless + &menu("download-installer") + RETRIEVAL_FAILED).unwrap();
    let sleeps = |pid: &str, name: &str, wchan: &str| {
        let folder = installer.path("proc").join(pid);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
        fs::write(folder.join("wchan"), wchan).unwrap();
    };
    // As seen there: the frontend reads its pipe while the installer works, and selects on its terminal while a dialog waits.
    sleeps("310", "main-menu", "do_sys_poll");
    sleeps("304", "debconf", "pipe_read");
    let _watcher = installer.start("watch");
    head.hears(|(_, _, body)| body.starts_with("step=udebs&percent=3&")).await;
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert!(head.heard().iter().all(|(path, _, _)| path != "/report/failed"), "{:?}", head.heard());
    sleeps("304", "debconf", "do_select");
    let (_, _, reason) = head.hears(|(path, _, _)| path == "/report/failed").await;
    assert_eq!(
        reason,
        "the installer waits for an answer on its console, in its step download-installer: anna: http://10.77.0.1:8080/snapshots/debian-13/\
         20261129T021116Z-66c9a984/pool/local/partman-auto_177_amd64.udeb:; anna: 2026-11-29 12:16:39 ERROR 404: Not Found.; anna: \
         WARNING **: package retrieval failed\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_told_until_the_head_has_heard_it() {
    let head = Head::start(503, "").await;
    let installer = Installer::new(&head);
    let mut finish = installer.start("finish");
    head.hears(|(path, _, _)| path == "/report/done").await;
    assert!(finish.runs());
    head.say(200, "ok");
    assert!(finish.ended().await);
    assert!(installer.path("kickctl/stopped").exists());
    // A head that does not want to hear it cannot keep the node from rebooting.
    head.say(403, "");
    assert!(installer.start("finish").ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_script_that_fails_ends_the_attempt_and_leaves_no_secret() {
    let head = Head::start(200, "echo working\nrm -r /nonexistent-folder\nexit 7\n# kickctl: end\n").await;
    let installer = Installer::new(&head);
    let mut late = installer.start("late");
    let (_, _, reason) = head.hears(|(path, _, _)| path == "/report/failed").await;
    assert!(reason.contains("nonexistent-folder"), "{reason}");
    installer.console_says("was not completed").await;
    assert!(late.runs() && !installer.path("kickctl/late.sh").exists());

    let head = Head::start(200, "echo working\nexit 0\n# kickctl: end\n").await;
    let installer = Installer::new(&head);
    assert!(installer.start("late").ended().await);
    assert!(!installer.path("kickctl/late.sh").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_boot_calls_home_and_removes_itself() {
    let head = Head::start(503, "").await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let files = ["etc/kickctl/report-token", "etc/systemd/system/kickctl-firstboot.service", "usr/local/lib/kickctl/firstboot"];
    for file in files {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
    }
    fs::write(root.join(files[0]), format!("{TOKEN}\n")).unwrap();
    fs::write(root.join(files[1]), "").unwrap();
    fs::write(root.join(files[2]), render(&context("", Firmware::Bios), "firstboot")).unwrap();
    fs::write(root.join("etc/os-release"), "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie) ü&=%\"\n").unwrap();
    fs::write(root.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let mut running = Running::start(
        Command::new("bash")
            .arg(root.join(files[2]))
            .env("KICKCTL_ROOT", root)
            .env("KICKCTL_HOST", head.address.ip().to_string())
            .env("KICKCTL_PORT", head.address.port().to_string())
            .stdout(Stdio::piped()),
    );
    head.hears(|(path, _, _)| path == "/report/home").await;
    assert!(running.runs() && root.join(files[0]).exists(), "it waits for a yes");
    head.say(200, "ok\n");
    assert!(running.ended().await);
    for file in files {
        assert!(!root.join(file).exists(), "{file}");
    }
    let (_, token, body) = head.heard().pop().unwrap();
    assert_eq!(token, format!("Bearer {TOKEN}"));
    let told: std::collections::BTreeMap<String, String> = form(&body);
    assert_eq!(told["os"], "Debian GNU/Linux 13 (trixie) ü&=%");
    assert_eq!(told["machine_id"], "0123456789abcdef0123456789abcdef");
    assert_eq!(told["kernel"], fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim());
    assert!(told["packages"].parse::<u32>().unwrap() > 50 && told["packages_sha256"].len() == 64, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_told_after_the_call_home_and_again_when_they_changed() {
    let head = Head::start(200, "ok\n").await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let [token, first, path, script] = [
        "etc/kickctl/report-token",
        "etc/systemd/system/kickctl-firstboot.service",
        "etc/systemd/system/kickctl-packages.path",
        "usr/local/lib/kickctl/firstboot",
    ]
    .map(|file| root.join(file));
    for file in [&token, &first, &path, &script] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    fs::write(&token, format!("{TOKEN}\n")).unwrap();
    fs::write(&script, render(&context("", Firmware::Bios), "firstboot")).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new("bash");
        command.arg(&script).args(args).env("KICKCTL_ROOT", root).env("KICKCTL_HOST", head.address.ip().to_string());
        let output = command.env("KICKCTL_PORT", head.address.port().to_string()).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
    };
    let heard = || head.heard().into_iter().map(|(path, ..)| path).collect::<Vec<_>>();
    tokio::task::block_in_place(|| run(&[]));
    assert_eq!(heard(), ["/report/home", "/report/packages"]);
    assert!(!first.exists() && token.exists() && script.exists() && path.exists());
    let (_, bearer, body) = head.heard().pop().unwrap();
    assert_eq!(bearer, format!("Bearer {TOKEN}"));
    let Some(kickctl::app::take_report::Report::Packages(_, packages)) = kickctl::app::package_report(body.as_bytes()) else {
        panic!("{body}")
    };
    assert!(packages.iter().any(|own| own.package.name == "bash") && packages.len() > 50);
    tokio::task::block_in_place(|| run(&["packages"]));
    assert_eq!(heard().len(), 2, "nothing changed");
    fs::write(root.join("etc/kickctl/packages.sha256"), "another").unwrap();
    tokio::task::block_in_place(|| run(&["packages"]));
    assert_eq!(heard().len(), 3);
}

/// `key=value&...` with percent signs resolved.
fn form(body: &str) -> std::collections::BTreeMap<String, String> {
    let decoded = |text: &str| {
        let (mut bytes, mut rest) = (vec![], text.as_bytes());
        while let [first, more @ ..] = rest {
            (bytes, rest) = match (first, more) {
                (b'%', [a, b, more @ ..]) => {
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&[*a, *b]).unwrap(), 16).unwrap());
                    (bytes, more)
                }
                _ => {
                    bytes.push(*first);
                    (bytes, more)
                }
            };
        }
        String::from_utf8(bytes).unwrap()
    };
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.to_owned(), decoded(value))).collect()
}

#[test]
fn the_firmware_boots_the_network_first_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file);
    for made in ["efi", "bin"] {
        fs::create_dir_all(path(made)).unwrap();
    }
    fs::write(path("bin/chroot"), "#!/bin/sh\nshift\nexec \"$@\"\n").unwrap();
    fs::set_permissions(path("bin/chroot"), fs::Permissions::from_mode(0o755)).unwrap();
    let variable = |name: &str| path("efi").join(format!("{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c"));
    let numbers = |list: &[u16]| [7, 0, 0, 0].into_iter().chain(list.iter().flat_map(|number| number.to_le_bytes())).collect::<Vec<u8>>();
    let script = format!("T=/ K={}\n{}\nnetwork_first\n", folder.path().display(), render(&context("", Firmware::Uefi), "efi-order.sh"));
    fs::write(path("script"), script).unwrap();
    let run_it = || {
        let path_variable = format!("{}:{}", path("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("busybox")
            .args(["ash", "-e", "script"])
            .current_dir(folder.path())
            .env("PATH", path_variable)
            .env("KICKCTL_EFI", path("efi"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        printed(&output)
    };
    fs::write(variable("BootOrder"), numbers(&[0x0005, 0x0001, 0x1a2b, 0x0000])).unwrap();
    fs::write(variable("BootCurrent"), numbers(&[0x1a2b])).unwrap();
    assert!(run_it().contains("boot order is now 1a2b 0005 0001 0000"));
    assert_eq!(fs::read(variable("BootOrder")).unwrap(), numbers(&[0x1a2b, 0x0005, 0x0001, 0x0000]));
    assert!(run_it().contains("is now 1a2b 0005 0001 0000"), "twice does no harm");
    // The way it booted may have vanished from the order.
    fs::write(variable("BootOrder"), numbers(&[0x0005])).unwrap();
    assert!(run_it().contains("is now 1a2b 0005"));
    fs::remove_file(variable("BootCurrent")).unwrap();
    assert!(run_it().contains("tells no boot order"));
    fs::write(variable("BootCurrent"), b"").unwrap();
    assert!(run_it().contains("tells no boot order"));
}

#[test]
fn the_takeover_script_writes_what_the_tests_above_ran() {
    let context = context("", Firmware::Uefi);
    let takeover = render(&context, "takeover.sh");
    for name in ["lib.sh", "inventory.sh", "gate.sh", "watch.sh", "finish.sh", "late-fetch.sh", "steps.awk"] {
        assert!(takeover.contains(&format!("<<'KICKCTL_END'\n{}KICKCTL_END\n", render(&context, name))), "{name}");
    }
    let late = render(&context, "late.sh");
    for name in ["firstboot", "firstboot.service"] {
        assert!(late.contains(&format!("<<'KICKCTL_END'\n{}KICKCTL_END\n", render(&context, name))), "{name}");
    }
    assert_eq!(takeover.matches(TOKEN).count(), 1);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("unit.service"), render(&context, "firstboot.service")).unwrap();
    // The unit's program is not on this machine, which is all that there is to say.
    let judged = run("systemd-analyze", &["verify", "unit.service"], folder.path());
    let said: Vec<String> = printed(&judged)
        .lines()
        .filter(|line| line.contains("unit.service") && !line.contains("firstboot is not executable"))
        .map(str::to_owned)
        .collect();
    assert!(said.is_empty(), "{said:?}");
}
