//! Everything that the shipped kickstart profiles render, for a matrix of nodes, held against the programs that will read it: pykickstart
//! (Anaconda's own parser), bash and shellcheck. `tests/lab/setup.sh test` installs pykickstart.

#![allow(clippy::unwrap_used, clippy::panic)]

mod profile_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kickctl::domain::node::Firmware;
use kickctl::domain::profile::Installer;
use kickctl::provision::context::Context;
use kickctl::provision::kickstart::{Release, lint};
use kickctl::provision::{Machine, gate, kernel_args};
use profile_support::{TOKEN, kickstart_context, printed, render, run};

/// One row a line: what a node may be like.
const NODES: [&str; 7] = [
    "",
    "swap = 'ram/2'\nrecommends = true\nsecurity = false\nkernel = 'kernel-rt'\ninitramfs = 'most'",
    "swap = '4 GiB'\nlabel = 'msdos'\nfilesystem = 'ext4'\npartitions = [ { mount = '/home', size = '5 GiB' }, { mount = '/scratch', size = 1000000, filesystem = 'xfs' } ]",
    "root_password_hash = '$6$saltsalt$hashhash'\nroot_ssh_keys = ['ssh-ed25519 AAAA root@x']\nwhen_done = 'power-off'\npackages = ['@development', '-plymouth', 'python3-PyYAML']",
    "[users.ada]\nssh_keys = ['ssh-ed25519 AAAA ada', 'ssh-rsa BBBB ada']\nsudo = true\ngroups = ['video', 'lab']\nfull_name = 'Ada Lovelace'\n\
     [users.bob]\npassword_hash = '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'\nsudo = true\nuid = 2000\nshell = '/bin/sh'",
    "post_install = [\"echo it's done > /root/x\", \"\"\"for x in 1 2; do\n  echo \\\"$x\\\"\ndone\"\"\"]\nntp = ['10.0.0.1', 'time.cluster.test']\n\
     mounts = [ { source = '10.0.0.1:/home', target = '/shared' } ]\nnetwork_first = false\nswap = 'ram'",
    "hosts = false\nlocale = 'de_DE.UTF-8'\nlanguage = 'de'\ncountry = 'DE'\nkeyboard = 'de'\ntimezone = 'Europe/Berlin'\nconsole = []\n\
     kernel_args = 'mitigations=off net.ifnames=0'\ninstaller_args = 'inst.debug'\n[secret]\nkey = 'x'",
];
const PROFILES: [(&str, &str); 2] = [("rocky-9", "RHEL9"), ("fedora", "F43")];
const INCLUDE: &str = "%include /tmp/kickctl/disk.ks\n";

fn matrix(profile: &str) -> impl Iterator<Item = (String, Context)> {
    let firmware = [(Firmware::Bios, "bios"), (Firmware::Uefi, "uefi")];
    NODES.into_iter().enumerate().flat_map(move |(at, toml)| {
        firmware.map(|(firmware, name)| (format!("{profile}-{name}-{at}"), kickstart_context(profile, toml, firmware)))
    })
}

fn yes(context: &Context) -> String {
    let machine = Machine { kind: Installer::Kickstart, firmware: context.node.firmware, memory: 8 << 30 };
    gate::answer("/dev/vda", &context.settings, machine)
}

/// The file as Anaconda reads it after `%pre` has run.
fn whole(context: &Context) -> String {
    let answers = render(context, "ks.cfg");
    assert!(answers.contains(INCLUDE), "{answers}");
    answers.replace(INCLUDE, &yes(context))
}

/// A program of the folder into which setup.sh installs pykickstart.
fn pykickstart(program: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("pykickstart/bin").join(program);
    assert!(path.exists(), "{} is missing: run tests/lab/setup.sh test", path.display());
    path
}

fn judge(version: &str, folder: &Path, files: &[String]) -> Output {
    Command::new(pykickstart("ksvalidator")).args(["-v", version]).args(files).current_dir(folder).output().unwrap()
}

/// Warnings of things that will go one day, which are no errors.
fn complaints(judged: &Output) -> Vec<String> {
    printed(judged).lines().filter(|line| !line.is_empty() && !line.starts_with("Checking kickstart file ")).map(str::to_owned).collect()
}

#[test]
fn anacondas_parser_and_the_lint_take_every_kickstart_file_and_every_yes() {
    for (profile, version) in PROFILES {
        let folder = tempfile::tempdir().unwrap();
        let mut files = vec![];
        for (node, context) in matrix(profile) {
            let release = context.mirror.release.unwrap();
            for (name, text) in [("ks.cfg", render(&context, "ks.cfg")), ("gate", yes(&context)), ("whole", whole(&context))] {
                assert_eq!(lint(&text, release), [], "{node} {name}\n{text}");
                let file = format!("{node}-{name}");
                fs::write(folder.path().join(&file), &text).unwrap();
                files.push(file);
            }
        }
        let judged = judge(version, folder.path(), &files);
        assert!(judged.status.success(), "{}", printed(&judged));
        assert_eq!(complaints(&judged), [""; 0], "{profile}");
    }
}

#[test]
fn the_parser_and_the_lint_agree_on_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (bad, release, version) in [
        ("bootlader --location=mbr", Release::Rhel(9), "RHEL9"),
        ("part / --fsttype=ext4 --size=1", Release::Rhel(9), "RHEL9"),
        ("part / --size=big", Release::Rhel(9), "RHEL9"),
        ("part --size=5", Release::Rhel(9), "RHEL9"),
        ("part / --grow=yes", Release::Rhel(9), "RHEL9"),
        ("bootloader --location=nowhere", Release::Rhel(9), "RHEL9"),
        ("network --bootproto=DHCP", Release::Rhel(9), "RHEL9"),
        ("repo --baseurl=http://x/y", Release::Rhel(9), "RHEL9"),
        ("timesource --ntp-disable", Release::Rhel(8), "RHEL8"),
        ("timezone --nontp Etc/UTC", Release::Rhel(10), "RHEL10"),
        ("autostep", Release::Fedora(43), "F43"),
        ("%packages --excludeWeakdeps\n%end", Release::Rhel(10), "RHEL10"),
        ("%pre --nochroot\n%end", Release::Rhel(9), "RHEL9"),
        ("%pakages\n%end", Release::Rhel(9), "RHEL9"),
        ("%post\necho", Release::Rhel(9), "RHEL9"),
        ("lang 'x", Release::Rhel(9), "RHEL9"),
    ] {
        fs::write(folder.path().join("bad"), format!("cmdline\n{bad}\n")).unwrap();
        let judged = judge(version, folder.path(), &["bad".into()]);
        assert!(!complaints(&judged).is_empty(), "{bad}: pykickstart takes it");
        assert_eq!(lint(&format!("cmdline\n{bad}\n"), release).len(), 1, "{bad}: the lint takes it");
    }
}

#[test]
fn the_syntax_table_is_what_pykickstart_knows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(pykickstart("python")).arg(root.join("tests/lab/kickstart-syntax.py")).output().unwrap();
    assert!(made.status.success(), "{}", printed(&made));
    let table = fs::read_to_string(root.join("src/provision/kickstart/syntax.txt")).unwrap();
    assert!(String::from_utf8_lossy(&made.stdout) == table, "run tests/lab/kickstart-syntax.py again, and look at what changed");
}

#[test]
fn without_the_yes_there_is_no_disk_to_write_to() {
    for (profile, _) in PROFILES {
        for (node, context) in matrix(profile) {
            let answers = render(&context, "ks.cfg");
            for line in answers.lines() {
                let command = line.split_whitespace().next().unwrap_or_default();
                let writes =
                    ["part", "partition", "clearpart", "zerombr", "autopart", "ignoredisk", "bootloader", "reqpart", "volgroup", "raid"];
                assert!(!writes.contains(&command), "{node}: {line}");
            }
            for secret in ["saltsalt", "j9T", TOKEN] {
                assert!(!answers.contains(secret) && !kernel_args(&context).contains(secret), "{node}: {secret}");
            }
            let yes = yes(&context);
            assert!(yes.starts_with("ignoredisk --only-use=vda\n") && yes.ends_with("# kickctl: yes\n"), "{yes}");
            assert!(yes.lines().filter(|line| line.starts_with("part ")).all(|line| line.contains(" --ondisk=vda")), "{yes}");
        }
    }
}

#[test]
fn the_shells_of_anaconda_parse_every_script() {
    let folder = tempfile::tempdir().unwrap();
    // SC1090 and SC1091: sourced files are written by takeover.sh. SC2154, SC2034: their variables. SC2016: quoted hashes hold $.
    const EXCEPT: &str = "SC1090,SC1091,SC2034,SC2154,SC2016";
    for (node, context) in matrix("rocky-9") {
        for name in ["takeover.sh", "late.sh", "gate.sh", "watch.sh", "finish.sh", "onerror.sh", "late-fetch.sh"] {
            let file = format!("{node}-{name}");
            fs::write(folder.path().join(&file), render(&context, name)).unwrap();
            for shell in ["bash", "dash"] {
                let parsed = run(shell, &["-n", &file], folder.path());
                assert!(parsed.status.success() && printed(&parsed).is_empty(), "{file} {shell}: {}", printed(&parsed));
            }
        }
        for (at, script) in scripts(&render(&context, "ks.cfg")).into_iter().enumerate() {
            let file = format!("{node}-section-{at}");
            fs::write(folder.path().join(&file), script).unwrap();
            let parsed = run("bash", &["-n", &file], folder.path());
            assert!(parsed.status.success() && printed(&parsed).is_empty(), "{file}: {}", printed(&parsed));
        }
    }
    for name in ["takeover.sh", "late.sh", "onerror.sh", "lib.sh"] {
        let file = format!("rocky-9-uefi-4-{name}");
        fs::write(folder.path().join(&file), render(&kickstart_context("rocky-9", NODES[4], Firmware::Uefi), name)).unwrap();
        let judged = run("shellcheck", &["-s", "dash", "-e", EXCEPT, &file], folder.path());
        assert!(judged.status.success(), "{name}: {}", printed(&judged));
    }
}

/// The scripts between a section's first line and `%end`.
fn scripts(answers: &str) -> Vec<String> {
    let mut scripts: BTreeMap<usize, String> = BTreeMap::new();
    let mut open = None;
    for (at, line) in answers.lines().enumerate() {
        match open {
            Some(_) if line == "%end" => open = None,
            Some(begun) => *scripts.entry(begun).or_default() += &format!("{line}\n"),
            None if line.starts_with("%p") && !line.starts_with("%packages") || line.starts_with("%onerror") => open = Some(at),
            None => {}
        }
    }
    assert!(scripts.len() >= 3, "{answers}");
    scripts.into_values().collect()
}

#[test]
fn kernel_arguments_lead_anaconda_to_its_answers_its_tree_and_the_heads_log() {
    let context = kickstart_context("rocky-9", "kernel_args = 'mitigations=off'\ninstaller_args = 'inst.sshd'", Firmware::Bios);
    assert_eq!(
        kernel_args(&context),
        "inst.ks=http://10.0.0.1:8080/boot/3-00112233445566778899aabbccddeeff00112233/ks.cfg inst.ks.sendmac inst.ks.sendsn \
         inst.repo=http://10.0.0.1:8080/snapshots/rocky-9/20261121T045300Z-3f9a2c41/BaseOS/x86_64/os ip=dhcp BOOTIF=01-52-54-00-00-00-07 \
         inst.syslog=10.0.0.1:514 console=ttyS0,115200 inst.sshd"
    );
    let mut merged = context;
    merged.mirror.repositories.truncate(1);
    merged.mirror.repositories[0].path.clear();
    let arguments = kernel_args(&merged);
    let snapshot = "http://10.0.0.1:8080/snapshots/rocky-9/20261121T045300Z-3f9a2c41";
    assert!(arguments.contains(&format!(" inst.repo={snapshot} inst.stage2={snapshot}/BaseOS/x86_64/os ")), "{arguments}");
}

#[test]
fn the_installed_systems_repositories_name_the_published_mirror_and_its_keys() {
    let context = kickstart_context("rocky-9", "", Firmware::Bios);
    let late = render(&context, "late.sh");
    let section = |name: &str, keys: &str| {
        format!(
            "[kickctl-{name}]\nname={name} of rocky-9, from head\nbaseurl=http://10.0.0.1:8080/mirror/rocky-9/{name}/x86_64/os\nenabled=1\n\
             gpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/kickctl-rocky-9-keys-vendor{keys}\n"
        )
    };
    assert!(late.contains(&section("BaseOS", "")), "{late}");
    assert!(late.contains(&section("AppStream", " file:///etc/pki/rpm-gpg/kickctl-head")), "{late}");
    assert!(late.contains("get 'http://10.0.0.1:8080/key.asc' \"$K/key\"\n"), "{late}");
    let answers = render(&context, "ks.cfg");
    let snapshot = "http://10.0.0.1:8080/snapshots/rocky-9/20261121T045300Z-3f9a2c41";
    assert!(answers.contains(&format!(
        "url --url={snapshot}/BaseOS/x86_64/os\nrepo --name=kickctl-AppStream --baseurl={snapshot}/AppStream/x86_64/os\n"
    )));
}
