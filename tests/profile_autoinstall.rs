//! Everything that Ubuntu's profile renders, for a matrix of nodes, held against the programs that will read it: PyYAML (the installer's own
//! parser), cloud-init's schema, the shells; and its scripts run for real. `tests/lab/setup.sh test` installs cloud-init's files, unpacked
//! beside the build, because as a package it would set up this machine.

#![allow(clippy::unwrap_used, clippy::panic)]

mod profile_support;
#[path = "profile_support/web.rs"]
mod web;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kickctl::domain::node::Firmware;
use kickctl::domain::profile::Installer;
use kickctl::provision::autoinstall::lint;
use kickctl::provision::context::Context;
use kickctl::provision::{Machine, gate, kernel_args};
use profile_support::{TOKEN, autoinstall_context, printed, render, run};
use serde_json::{Value, json};
use tempfile::TempDir;
use web::{Head, Running};

/// One row a line: what a node may be like.
const NODES: [&str; 7] = [
    "",
    "swap = 'ram/2'\nsecurity = false\nkernel = 'linux-generic-hwe-24.04'\nupgrade = 'full'",
    "swap = '4 GiB'\nlabel = 'msdos'\nfilesystem = 'xfs'\npartitions = [ { mount = '/home', size = '5 GiB' }, { mount = '/scratch', size = 1000000, filesystem = 'btrfs' } ]",
    "root_password_hash = '$6$saltsalt$hashhash'\nroot_ssh_keys = ['ssh-ed25519 AAAA root@x']\nwhen_done = 'power-off'\npackages = ['htop', '2ping']",
    "[users.ada]\nssh_keys = ['ssh-ed25519 AAAA ada', 'ssh-rsa BBBB ada']\nsudo = true\ngroups = ['video', 'lab']\nfull_name = 'Ada Lovelace'\n\
     [users.bob]\npassword_hash = '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'\nsudo = true\nuid = 2000\nshell = '/bin/sh'",
    "post_install = [\"echo it's done > /root/x\", \"\"\"for x in 1 2; do\n  echo \\\"$x\\\"\ndone\"\"\"]\nntp = ['10.0.0.1', 'time.cluster.test']\n\
     mounts = [ { source = '10.0.0.1:/home', target = '/shared' } ]\nnetwork_first = false\nswap = 'ram'",
    // The key map of Norway, which YAML 1.1 takes for a truth value unless it is in quotes.
    "hosts = false\nlocale = 'nb_NO.UTF-8'\nlanguage = 'nb'\ncountry = 'NO'\nkeyboard = 'no'\ntimezone = 'Europe/Oslo'\nconsole = []\n\
     kernel_args = 'mitigations=off net.ifnames=0'\ninstaller_args = 'subiquity.autoinstallpath=x'\n[secret]\nkey = 'x'",
];
const SHELL: [&str; 7] = ["takeover.sh", "late.sh", "gate.sh", "watch.sh", "finish.sh", "onerror.sh", "late-fetch.sh"];

fn matrix() -> impl Iterator<Item = (String, Context)> {
    let firmware = [(Firmware::Bios, "bios"), (Firmware::Uefi, "uefi")];
    NODES
        .into_iter()
        .enumerate()
        .flat_map(move |(at, toml)| firmware.map(|(firmware, name)| (format!("{name}-{at}"), autoinstall_context(toml, firmware))))
}

fn yes(context: &Context) -> String {
    let machine = Machine { kind: Installer::Autoinstall, firmware: context.node.firmware, memory: 8 << 30 };
    gate::answer("/dev/vda", &context.settings, machine)
}

/// The file as the installer reads it after its early commands.
fn whole(context: &Context) -> String {
    render(context, "autoinstall.yaml") + &yes(context)
}

/// What PyYAML makes of a text.
fn pyyaml(text: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.yaml"), text).unwrap();
    let read = run("/usr/bin/python3", &["-c", "import json, yaml; print(json.dumps(yaml.safe_load(open('x.yaml'))))"], folder.path());
    assert!(read.status.success(), "{}\n{text}", printed(&read));
    serde_json::from_slice(&read.stdout).unwrap()
}

/// cloud-init's word on a file of user data; `setup.sh` has unpacked it.
fn cloud_init(file: &Path) -> Output {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("cloud-init");
    assert!(root.exists(), "{} is missing: run tests/lab/setup.sh test", root.display());
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-m", "cloudinit.cmd.main", "schema", "--config-file"]).arg(file);
    command.env("PYTHONPATH", root.join("usr/lib/python3/dist-packages")).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap()
}

#[test]
fn the_lint_and_the_installers_own_parser_take_every_file() {
    for (node, context) in matrix() {
        for (name, text) in [("user-data", render(&context, "user-data")), ("whole", whole(&context))] {
            assert_eq!(lint(&text), [], "{node} {name}\n{text}");
        }
        let user_data = pyyaml(&render(&context, "user-data"));
        let early = user_data["autoinstall"]["early-commands"][0].as_str().unwrap();
        assert!(early.contains("/takeover.sh &&\n") && early.ends_with("until sh /tmp/kickctl/gate; do sleep 10; done\n"), "{early}");
        let read = pyyaml(&whole(&context));
        assert_eq!(read["version"], 1);
        assert_eq!(read["keyboard"]["layout"], context.settings.keyboard.as_str(), "{node}");
        assert_eq!(read["locale"], context.settings.locale.as_str());
        assert_eq!(read["packages"], json!(context.packages()), "{node}");
        assert_eq!(read["network"]["ethernets"]["boot"]["match"]["macaddress"], "52:54:00:00:00:07");
        assert_eq!(
            read["apt"]["mirror-selection"]["primary"][0]["uri"],
            "http://10.0.0.1:8080/snapshots/ubuntu-24.04/20261121T045300Z-3f9a2c41"
        );
        assert_eq!(read["apt"]["disable_suites"], json!(["updates", "backports", "security"]));
        assert_eq!(read["apt"]["disable_components"], json!(["universe", "multiverse"]));
        let actions = read["storage"]["config"].as_array().unwrap();
        assert_eq!((&actions[0]["type"], &actions[0]["path"]), (&json!("disk"), &json!("/dev/vda")));
        assert!(actions[1..].iter().all(|action| action["type"] != "disk"), "{node}: one disk");
        assert_eq!(actions.iter().rev().find(|action| action["type"] == "partition").unwrap()["size"], -1);
        let meta = pyyaml(&render(&context, "meta-data"));
        assert_eq!(meta, json!({"instance-id": "kickctl-3", "local-hostname": "node07"}));
        assert_eq!(pyyaml(&render(&context, "vendor-data")), json!({}));
    }
    let mut bare = autoinstall_context("", Firmware::Bios);
    bare.mirror.suites.clear();
    bare.node.mac = None;
    assert_eq!(lint(&whole(&bare)), []);
    let read = pyyaml(&whole(&bare));
    assert!(read["apt"].get("mirror-selection").is_none() && read["apt"]["fallback"] == "offline-install", "{read}");
    assert_eq!(read["network"]["ethernets"]["boot"]["match"]["name"], "e*");
}

/// Files as the installer's documentation and its own tests have them, in what they use: written anew, with other values.
const EXAMPLES: [&str; 10] = [
    "version: 1\nidentity:\n  hostname: a\n  username: ada\n  password: $6$x$y\n",
    "#cloud-config\nautoinstall:\n  version: 1\n  identity: {hostname: a, username: ada, password: $6$x$y, realname: ''}\n  ssh:\n    install-server: yes\n    \
     allow-pw: no\n    authorized-keys: [ssh-ed25519 AAAA a]\n",
    "version: 1\nearly-commands:\n- echo one\n- [echo, two]\nlate-commands:\n- curtin in-target --target=/target -- true\nerror-commands:\n- tar c /var/log\n\
     refresh-installer:\n  update: yes\n  channel: edge\nsnaps:\n- name: hello\n  channel: latest/stable\n  classic: true\nupdates: all\nshutdown: poweroff\n\
     identity: {hostname: a, username: ada, password: $6$x$y}\n",
    "version: 1\ninteractive-sections:\n- network\n- storage\npackages: ['dns-server^', foo=1.1]\ndebconf-selections: |\n  a b string c\nstorage:\n  layout:\n    \
     name: zfs\nuser-data: {}\n",
    "version: 1\nnetwork:\n  network:\n    version: 2\n    ethernets:\n      eno1:\n        dhcp4: yes\nproxy: http://10.0.0.1:3128\nsource: {id: ubuntu-server-minimal, search_drivers: true}\nuser-data:\n  \
     users:\n  - name: ada\n    passwd: $6$x$y\n",
    "version: 1\napt:\n  mirror-selection:\n    primary:\n    - country-mirror\n    - uri: http://a.example/ubuntu\n      arches: [amd64]\n  fallback: abort\n  geoip: true\n  \
     preferences:\n  - {package: 'python-*', pin: origin a.example, pin-priority: -1}\n  sources:\n    mine:\n      source: deb http://b.example noble main\n  disable_components: [multiverse]\nuser-data: {}\n",
    "version: 1\nstorage:\n  layout:\n    name: lvm\n    sizing-policy: all\n    password: x\n    match:\n    - serial: CT*\n    - ssd: true\n      size: largest\n  swap:\n    size: 0\nuser-data: {}\n",
    "version: 1\nuser-data: {}\nstorage:\n  config:\n  - {type: disk, id: a, path: /dev/vda, ptable: gpt, wipe: superblock, preserve: false, grub_device: true}\n  \
     - {type: disk, id: b, match: {size: smallest}, ptable: gpt, wipe: superblock, grub_device: true}\n  - {type: partition, id: a1, device: a, size: 1M, flag: bios_grub, number: 1}\n  \
     - {type: partition, id: b1, device: b, size: 1M, flag: bios_grub, number: 1}\n  - {type: partition, id: a2, device: a, size: 17%}\n  - {type: partition, id: b2, device: b, size: 17%}\n  \
     - {type: raid, id: md, name: md0, raidlevel: raid1, devices: [a2, b2]}\n  - {type: format, id: f, volume: md, fstype: ext4}\n  - {type: mount, id: m, device: f, path: /, options: errors=remount-ro}\n",
    "version: 1\nuser-data: {}\nstorage:\n  version: 2\n  config:\n  - {type: disk, id: d, ptable: gpt, match: {size: largest}, wipe: superblock}\n  \
     - {type: partition, id: p1, device: d, size: 1G, flag: boot, grub_device: true}\n  - {type: format, id: f1, volume: p1, fstype: fat32, label: efi}\n  - {type: partition, id: p2, device: d, size: -1}\n  \
     - {type: zpool, id: pool, pool: rpool, vdevs: [p2], mountpoint: /}\n  - {type: zfs, id: z, pool: pool, volume: /ROOT}\n  - {type: mount, id: m1, device: f1, path: /boot/efi}\n",
    "version: 1\nzdevs:\n- {id: 0.0.1507, enabled: true}\noem:\n  install: auto\nubuntu-pro:\n  token: C1\nkernel:\n  flavor: hwe\nkernel-crash-dumps:\n  enabled: null\nreporting:\n  \
     central:\n    type: rsyslog\n    destination: '@10.0.0.1'\ncodecs: {install: true}\ndrivers: {install: false}\nuser-data: {}\n",
];

#[test]
fn the_lint_takes_what_others_write_too() {
    for example in EXAMPLES {
        assert!(pyyaml(example).is_object());
        assert_eq!(lint(example), [], "{example}");
    }
}

#[test]
fn cloud_init_takes_every_file_of_user_data_and_says_what_is_wrong_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user-data");
    for (node, context) in matrix() {
        for name in ["user-data", "vendor-data"] {
            fs::write(&file, render(&context, name)).unwrap();
            let judged = cloud_init(&file);
            assert!(judged.status.success() && printed(&judged).contains("Valid cloud-config"), "{node} {name}: {}", printed(&judged));
        }
        // What the new system's own cloud-init is given.
        let inner = pyyaml(&whole(&context))["user-data"].clone();
        fs::write(&file, format!("#cloud-config\n{inner}\n")).unwrap();
        let judged = cloud_init(&file);
        assert!(judged.status.success(), "{node}: {}", printed(&judged));
    }
    let good = render(&autoinstall_context("", Firmware::Bios), "user-data");
    for bad in [
        good.replace("#cloud-config\n", ""),
        good.replace("  version: 1\n", "  version: one\n"),
        good.replace("early-commands:\n", "early-commands: [\n"),
    ] {
        fs::write(&file, &bad).unwrap();
        let judged = cloud_init(&file);
        assert!(!judged.status.success(), "cloud-init takes it: {}\n{bad}", printed(&judged));
        assert!(!lint(&bad).is_empty() || !bad.starts_with("#cloud-config"), "the lint takes it\n{bad}");
    }
}

#[test]
fn without_the_yes_there_is_no_disk_to_write_to() {
    for (node, context) in matrix() {
        let storage = pyyaml(&render(&context, "user-data"))["autoinstall"]["storage"].clone();
        assert_eq!(storage, json!({"layout": {"name": "direct", "match": {"serial": "no disk before the write gate"}}}), "{node}");
        assert!(pyyaml(&render(&context, "autoinstall.yaml")).get("storage").is_none(), "{node}");
        for file in Installer::Autoinstall.boot_files() {
            for secret in ["saltsalt", "j9T", TOKEN] {
                assert!(!render(&context, file).contains(secret), "{node} {file}: {secret}");
            }
        }
        for secret in ["saltsalt", "j9T", TOKEN] {
            assert!(!kernel_args(&context).contains(secret) && !whole(&context).contains(secret), "{node}: {secret}");
        }
        // One that asks for a secret does not render: the view has none.
        assert!(context.view(None).unwrap().get("secrets").is_none());
        let yes = yes(&context);
        assert!(yes.starts_with("storage:\n") && yes.ends_with("# kickctl: yes\n"), "{yes}");
        assert_eq!(yes.matches("/dev/").count(), 1, "{yes}");
    }
}

#[test]
fn kernel_arguments_lead_the_live_system_to_its_image_and_its_answers() {
    let context = autoinstall_context(
        "kernel_args = 'mitigations=off'\ninstaller_args = 'toram'\nconsole = ['tty0', 'ttyS0,115200']",
        Firmware::Bios,
    );
    assert_eq!(
        kernel_args(&context),
        "ip=dhcp BOOTIF=01-52-54-00-00-00-07 netboot=url url=http://10.0.0.1:8080/snapshots/ubuntu-24.04/20261121T045300Z-3f9a2c41/medium.iso \
         cloud-config-url=/dev/null autoinstall ds=nocloud;s=http://10.0.0.1:8080/boot/3-00112233445566778899aabbccddeeff00112233/ \
         console=tty0 console=ttyS0,115200 toram --- console=tty0 console=ttyS0,115200 mitigations=off"
    );
}

#[test]
fn the_shells_of_the_live_system_parse_every_script() {
    let folder = tempfile::tempdir().unwrap();
    // SC1090 and SC1091: sourced files are written by takeover.sh. SC2154, SC2034: their variables. SC2016: quoted hashes hold $.
    const EXCEPT: &str = "SC1090,SC1091,SC2034,SC2154,SC2016";
    for (node, context) in matrix() {
        let early = pyyaml(&render(&context, "user-data"))["autoinstall"]["early-commands"][0].as_str().unwrap().to_owned();
        let late = pyyaml(&whole(&context))["late-commands"][0].as_str().unwrap().to_owned();
        let scripts = SHELL.map(|name| (name.to_owned(), render(&context, name)));
        for (name, text) in scripts.into_iter().chain([("early".to_owned(), early), ("late".to_owned(), late)]) {
            let file = format!("{node}-{name}");
            fs::write(folder.path().join(&file), text).unwrap();
            for shell in ["dash", "bash"] {
                let parsed = run(shell, &["-n", &file], folder.path());
                assert!(parsed.status.success() && printed(&parsed).is_empty(), "{file} {shell}: {}", printed(&parsed));
            }
        }
    }
    for name in SHELL.into_iter().chain(["lib.sh", "inventory.sh"]) {
        fs::write(folder.path().join(name), render(&autoinstall_context(NODES[4], Firmware::Uefi), name)).unwrap();
        let judged = run("shellcheck", &["-s", "dash", "-e", EXCEPT, name], folder.path());
        assert!(judged.status.success(), "{name}: {}", printed(&judged));
    }
}

#[test]
fn the_installed_systems_sources_name_the_published_mirror_alone() {
    let late = render(&autoinstall_context("", Firmware::Bios), "late.sh");
    assert!(
        late.contains(
            "Types: deb\nURIs: http://10.0.0.1:8080/mirror/ubuntu-24.04\nSuites: noble\nComponents: main restricted\nSigned-By: \
             /usr/share/keyrings/ubuntu-archive-keyring.gpg\n"
        ),
        "{late}"
    );
    assert!(late.contains("mv \"$file\" \"$file.disabled\""));
}

/// The live system's file system, as far as the scripts look at it.
struct Live {
    folder: TempDir,
    context: Context,
}

impl Live {
    fn new(head: &Head) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut context = autoinstall_context(NODES[4], Firmware::Uefi);
        context.head.url = format!("http://{}", head.address);
        for made in ["root/etc/rsyslog.d", "bin", "sys/block", "dev", "log/installer", "target"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        fs::write(folder.path().join("console"), "").unwrap();
        // Programs of the live system that must not reach this one.
        for (name, text) in [("systemctl", "#!/bin/sh\nexit 0\n"), ("logger", "#!/bin/sh\nexit 0\n")] {
            let program = folder.path().join("bin").join(name);
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(folder.path().join("takeover.sh"), render(&context, "takeover.sh")).unwrap();
        let live = Self { folder, context };
        // The watcher is another test's; without it nothing runs on when this one ends.
        fs::create_dir_all(live.path("kickctl")).unwrap();
        fs::write(live.path("kickctl/watching"), "").unwrap();
        assert!(live.start("takeover.sh").succeeds());
        live
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    fn start(&self, script: &str) -> Running {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("dash");
        command.arg(self.path(script)).env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null());
        for (variable, folder) in [
            ("KICKCTL_DIR", "kickctl"),
            ("KICKCTL_ROOT", "root"),
            ("KICKCTL_CONSOLE", "console"),
            ("KICKCTL_LOGS", "log"),
            ("KICKCTL_SYS", "sys"),
            ("KICKCTL_DEV", "dev"),
            ("KICKCTL_TARGET", "target"),
            ("KICKCTL_MOUNTS", "mounts"),
        ] {
            command.env(variable, self.path(folder));
        }
        Running::start(&mut command)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gates_yes_becomes_the_file_that_the_installer_reads_anew() {
    let head = Head::start(503, "later").await;
    let live = Live::new(&head);
    assert!(!live.path("root/autoinstall.yaml").exists(), "nothing is replaced before the yes");
    assert_eq!(live.read("root/etc/rsyslog.d/90-kickctl.conf"), "*.* @10.0.0.1:514\n");
    let mut gate = live.start("kickctl/gate");
    head.hears(|(path, ..)| path == "/report/gate").await;
    assert!(gate.runs() && !live.path("root/autoinstall.yaml").exists(), "no answer is no yes");
    head.say(200, &yes(&live.context));
    assert!(gate.ended().await);
    let (path, token, inventory) = head.heard().pop().unwrap();
    assert_eq!((path.as_str(), token.as_str()), ("/report/gate", format!("Bearer {TOKEN}").as_str()));
    assert!(inventory.starts_with("machine\tmemory="), "{inventory}");
    assert_eq!(live.read("root/autoinstall.yaml"), whole(&live.context));
    assert!(live.read("console").contains("write gate: yes, /dev/vda"), "{}", live.read("console"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_stops_the_installer_for_ever() {
    let head = Head::start(403, "two disks match the disk selector equally\n").await;
    let live = Live::new(&head);
    let mut gate = live.start("kickctl/gate");
    for _ in 0..600 {
        if live.read("console").contains("Nothing was written to any disk.") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(live.read("console").contains("two disks match"), "{}", live.read("console"));
    head.say(200, &yes(&live.context));
    assert!(gate.runs() && !live.path("root/autoinstall.yaml").exists());
    assert_eq!(head.heard().len(), 1, "it does not ask again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_fails_brings_its_logs_home_and_says_why_once() {
    let head = Head::start(200, "").await;
    let live = Live::new(&head);
    fs::write(
        live.path("log/installer/subiquity-server-debug.log"),
        "2026-11-29 08:00:00,000 DEBUG x\n2026-11-29 08:00:01,000 ERROR subiquity.server: curtin install failed\n",
    )
    .unwrap();
    fs::write(live.path("log/installer/curtin-install.log"), "curtin: Installation failed\n").unwrap();
    assert!(live.start("kickctl/onerror").ended().await);
    let (_, token, logs) = head.hears(|(path, ..)| path == "/report/logs").await;
    assert_eq!(token, format!("Bearer {TOKEN}"));
    assert!(logs.contains("== the end of installer/curtin-install.log\ncurtin: Installation failed"), "{logs}");
    let (.., reason) = head.hears(|(path, ..)| path == "/report/failed").await;
    assert!(reason.contains("curtin install failed"), "{reason}");
    let heard = head.heard().len();
    assert!(live.start("kickctl/onerror").ended().await);
    assert_eq!(head.heard().len(), heard, "twice does no harm");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watcher_tells_where_the_installer_is() {
    let head = Head::start(200, "").await;
    let live = Live::new(&head);
    fs::write(live.path("mounts"), "").unwrap();
    let mut watcher = live.start("kickctl/watch");
    head.hears(|(_, _, body)| body == "step=started&percent=1&units=0").await;
    fs::write(live.path("kickctl/storage.yaml"), "").unwrap();
    head.hears(|(_, _, body)| body == "step=disks&percent=12&units=0").await;
    fs::write(live.path("mounts"), format!("/dev/vda2 {} ext4 rw 0 0\n", live.path("target").display())).unwrap();
    head.hears(|(_, _, body)| body.starts_with("step=packages&percent=")).await;
    fs::write(live.path("kickctl/stopped"), "").unwrap();
    assert!(watcher.ended().await);
}

#[test]
fn the_takeover_script_writes_what_the_tests_above_ran() {
    let context = autoinstall_context(NODES[4], Firmware::Uefi);
    let takeover = render(&context, "takeover.sh");
    for name in ["lib.sh", "inventory.sh", "gate.sh", "watch.sh", "finish.sh", "late-fetch.sh", "onerror.sh", "autoinstall.yaml"] {
        assert!(takeover.contains(&format!("<<'KICKCTL_END'\n{}KICKCTL_END\n", render(&context, name))), "{name}");
    }
    assert_eq!(takeover.matches(TOKEN).count(), 1);
    assert!(!takeover.contains("j9T") && render(&context, "late.sh").contains("j9T"), "passwords come after the gate alone");
}
