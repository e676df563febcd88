//! Everything that the shipped profiles render, for a matrix of nodes, held against the programs that will read it:
//! debconf-set-selections, three shells and shellcheck.

#![allow(clippy::unwrap_used, clippy::panic)]

mod profile_support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use kickctl::domain::node::Firmware;
use kickctl::provision::{gate_answer, kernel_args, preseed};
use profile_support::{context, library, printed, render, run, settings};

/// One row a line: what a node may be like.
const NODES: [&str; 7] = [
    "",
    "swap = 'ram/2'\nkernel = 'linux-image-cloud-amd64'\nrecommends = true\nhardware_packages = true\nsecurity = false",
    "swap = '4 GiB'\nlabel = 'msdos'\nfilesystem = 'xfs'\npartitions = [ { mount = '/home', size = '5 GiB' }, { mount = '/scratch', size = 1000000, filesystem = 'btrfs' } ]",
    "root_password_hash = '$6$saltsalt$hashhash'\nroot_ssh_keys = ['ssh-ed25519 AAAA root@x']\nwhen_done = 'power-off'\nupgrade = 'full'",
    "[users.ada]\nssh_keys = ['ssh-ed25519 AAAA ada', 'ssh-rsa BBBB ada']\nsudo = true\ngroups = ['video', 'lab']\nfull_name = 'Ada Lovelace'\n\
     [users.bob]\npassword_hash = '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'\nsudo = true\nuid = 2000\nshell = '/bin/sh'",
    "post_install = [\"echo it's done > /root/x\", \"\"\"for x in 1 2; do\n  echo \\\"$x\\\"\ndone\"\"\"]\nntp = ['10.0.0.1', 'time.cluster.test']\n\
     mounts = [ { source = '10.0.0.1:/home', target = '/shared' } ]\nnetwork_first = false",
    "hosts = false\nlocale = 'de_DE.UTF-8'\nlanguage = 'de'\ncountry = 'DE'\nkeyboard = 'de'\ntimezone = 'Europe/Berlin'\nconsole = []\n\
     kernel_args = 'mitigations=off net.ifnames=0'\ninstaller_args = 'DEBCONF_DEBUG=5'\n[secret]\nkey = 'x'",
];
const SHELL: [&str; 5] = ["takeover.sh", "late.sh", "gate.sh", "watch.sh", "finish.sh"];

fn matrix() -> impl Iterator<Item = (String, kickctl::provision::context::Context)> {
    let firmware = [(Firmware::Bios, "bios"), (Firmware::Uefi, "uefi")];
    NODES
        .into_iter()
        .enumerate()
        .flat_map(move |(at, toml)| firmware.map(|(firmware, name)| (format!("{name}-{at}"), context(toml, firmware))))
}

/// What debconf says to a file; with a data base of its own, because debconf waits for nobody who holds the machine's.
fn judge(folder: &Path, file: &Path) -> Output {
    let base = |name: &str| format!("Name: {name}\nDriver: File\nFilename: {}/{name}.dat\n\n", folder.display());
    let configuration = folder.join("debconf.conf");
    fs::write(&configuration, format!("Config: config\nTemplates: templates\n\n{}{}", base("config"), base("templates"))).unwrap();
    let mut debconf = Command::new("debconf-set-selections");
    debconf.arg("--checkonly").arg(file).env("DEBCONF_SYSTEMRC", configuration).output().unwrap()
}

#[test]
fn debconf_and_the_lint_take_every_preseed_and_every_yes() {
    let folder = tempfile::tempdir().unwrap();
    for (node, context) in matrix() {
        let yes = gate_answer("/dev/vda", &context.settings, context.node.firmware);
        for (name, text) in [("preseed.cfg", render(&context, "preseed.cfg")), ("gate", yes)] {
            let file = folder.path().join(format!("{node}-{name}"));
            fs::write(&file, &text).unwrap();
            let judged = judge(folder.path(), &file);
            assert!(judged.status.success() && printed(&judged).is_empty(), "{node} {name}: {}\n{text}", printed(&judged));
            assert_eq!(preseed::lint(&text), [], "{node} {name}\n{text}");
        }
    }
}

#[test]
fn the_oracle_and_the_lint_agree_on_what_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["d-i passwd/make-user", "d-i", "d-i passwd/make-user bool true", "d-i a/b stringvalue"] {
        fs::write(folder.path().join("bad"), format!("{bad}\n")).unwrap();
        let judged = judge(folder.path(), &folder.path().join("bad"));
        assert!(!printed(&judged).is_empty(), "{bad}: debconf takes it");
        assert_eq!(preseed::lint(bad).len(), 1, "{bad}: the lint takes it");
    }
}

#[test]
fn every_shell_that_may_run_a_script_parses_it() {
    let folder = tempfile::tempdir().unwrap();
    for (node, context) in matrix() {
        for name in SHELL {
            let file = format!("{node}-{name}");
            fs::write(folder.path().join(&file), render(&context, name)).unwrap();
            for shell in [&["busybox", "ash"][..], &["dash"], &["bash"]] {
                let arguments: Vec<&str> = shell[1..].iter().copied().chain(["-n", &file]).collect();
                let parsed = run(shell[0], &arguments, folder.path());
                assert!(parsed.status.success() && printed(&parsed).is_empty(), "{file} {shell:?}: {}", printed(&parsed));
            }
        }
        fs::write(folder.path().join("firstboot"), render(&context, "firstboot")).unwrap();
        let parsed = run("bash", &["-n", "firstboot"], folder.path());
        assert!(parsed.status.success(), "{node} firstboot: {}", printed(&parsed));
    }
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let folder = tempfile::tempdir().unwrap();
    // SC1090 and SC1091: sourced files are written by takeover.sh. SC2154, SC2034: their variables. SC2016: quoted hashes hold $.
    const EXCEPT: &str = "SC1090,SC1091,SC2034,SC2154,SC2016";
    let context = context(NODES[4], Firmware::Uefi);
    for name in SHELL.into_iter().chain(["inventory.sh", "lib.sh", "late-fetch.sh", "firstboot"]) {
        fs::write(folder.path().join(name), render(&context, name)).unwrap();
        let dialect = if name == "firstboot" { "bash" } else { "dash" };
        let judged = run("shellcheck", &["-s", dialect, "-e", EXCEPT, name], folder.path());
        assert!(judged.status.success(), "{name}: {}", printed(&judged));
    }
}

#[test]
fn a_boot_file_names_no_disk_no_confirmation_and_no_secret() {
    for (node, context) in matrix() {
        let preseed = render(&context, "preseed.cfg");
        for line in preseed.lines().filter(|line| !line.starts_with('#')) {
            let question = line.split_whitespace().nth(1).unwrap_or_default();
            assert!(!question.starts_with("partman") || question == "partman/early_command", "{node}: {line}");
            assert!(!question.contains("confirm") && !question.contains("bootdev"), "{node}: {line}");
        }
        for secret in ["saltsalt", "j9T", profile_support::TOKEN] {
            assert!(!preseed.contains(secret) && !kernel_args(&context).contains(secret), "{node}: {secret}");
        }
    }
}

#[test]
fn kernel_arguments_force_name_and_interface_and_keep_the_rest_for_the_installed_system() {
    let context = context("kernel_args = 'mitigations=off'\nconsole = ['tty0', 'ttyS0,115200']", Firmware::Bios);
    assert_eq!(
        kernel_args(&context),
        "auto=true priority=critical url=http://10.0.0.1:8080/boot/3-00112233445566778899aabbccddeeff00112233/preseed.cfg \
         interface=auto BOOTIF=01-52-54-00-00-00-07 hostname=node07 netcfg/hostname=node07 domain=cluster.test netcfg/no_default_route=true netcfg/get_nameservers=10.0.0.1 DEBIAN_FRONTEND=text \
         log_host=10.0.0.1 log_port=514 console=tty0 console=ttyS0,115200 --- console=tty0 console=ttyS0,115200 mitigations=off"
    );
}

#[test]
fn recipes_fit_the_firmware() {
    let recipe = |toml: &str, firmware| {
        let answer = gate_answer("/dev/vda", &settings(toml), firmware);
        answer.lines().find_map(|line| line.strip_prefix("d-i partman-auto/expert_recipe string ")).unwrap().to_owned()
    };
    let root = "1500 1000000 -1 ext4 method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ / } .";
    assert_eq!(recipe("", Firmware::Bios), format!("kickctl : 1 1 1 free $iflabel{{ gpt }} method{{ biosgrub }} . {root}"));
    assert_eq!(recipe("", Firmware::Uefi), format!("kickctl : 538 538 538 free $iflabel{{ gpt }} method{{ efi }} format{{ }} . {root}"));
    let msdos = recipe("label = 'msdos'\nswap = 'ram'", Firmware::Bios);
    assert!(msdos.starts_with("kickctl : 100% 100% 100% linux-swap method{ swap } format{ } . 1500"), "{msdos}");
    assert!(msdos.contains("$primary{ } $bootable{ } method{ format }") && !msdos.contains("gpt"), "{msdos}");
    let home = recipe("partitions = [ { mount = '/home', size = '1 GiB' } ]", Firmware::Bios);
    assert!(
        home.contains(" 1074 1074 1074 ext4 method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ /home } . 1500"),
        "{home}"
    );
    // UEFI firmware boots from a GUID partition table, whatever was asked for; the preflight tells.
    assert!(gate_answer("/dev/vda", &settings("label = 'msdos'"), Firmware::Uefi).contains("default_label string gpt"));
}

#[test]
fn the_installed_systems_sources_name_the_published_mirror_and_who_signed_it() {
    let late = render(&context("", Firmware::Bios), "late.sh");
    let stanza = |suite: &str, key: &str| {
        format!(
            "Types: deb\nURIs: http://10.0.0.1:8080/mirror/debian-13\nSuites: {suite}\nComponents: main\nSigned-By: /usr/share/keyrings/{key}\n"
        )
    };
    assert!(late.contains(&stanza("trixie", "kickctl-head.gpg")), "{late}");
    assert!(late.contains(&stanza("trixie-security", "debian-archive-keyring.gpg")), "{late}");
    let preseed = render(&context("", Firmware::Bios), "preseed.cfg");
    assert!(preseed.contains(
        "d-i apt-setup/local0/repository string http://10.0.0.1:8080/snapshots/debian-13/20261121T045300Z-3f9a2c41 trixie-security main\n"
    ));
}

#[test]
fn the_shipped_profiles_are_whole() {
    let library = library();
    let names: Vec<String> = library.iter().map(|entry| entry.profile.name.to_string()).collect();
    let diskless = ["debian-13-nfs", "debian-13-nfs-rw", "debian-13-ram", "debian-13-ram-usr"];
    let others = ["diskless", "fedora", "kickstart", "rocky-9", "ubuntu-24.04"];
    assert_eq!(names, [&["autoinstall", "base", "debian-13"], &diskless[..], &others].concat());
    for name in diskless {
        assert!(library.kind(&name.parse().unwrap()).unwrap().is_diskless());
        assert_eq!(library.image(&name.parse().unwrap()).unwrap().unwrap().as_str(), "worker");
    }
    assert!(library.kind(&"base".parse().unwrap()).is_err());
    assert_eq!(library.mirror(&"debian-13".parse().unwrap()).unwrap().unwrap().as_str(), "debian-13");
}
