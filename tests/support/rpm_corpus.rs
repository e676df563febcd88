//! A corpus of packages of many kinds, made on the spot: by the `rpm` crate, by rpmbuild, byte by byte, and by alien from real .debs.

use std::path::Path;
use std::process::Command;

use rpm::{Dependency, DependencyFlags, FileOptions, PackageBuilder};

use crate::rpm_file::{RpmFile, Value, text};

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const VERSIONS: &[&str] = &["1.0", "2.3.4", "1.0~rc1", "1.0^20240101git", "0.9~beta2^git1", "20240101", "5.2.15", "1.2.3a"];
const RELEASES: &[&str] = &["1", "3.el9", "1.fc40", "0.1.rc2", "12.el9_4.1"];
const ARCHES: &[&str] = &["x86_64", "noarch", "aarch64", "i686", "ppc64le"];
const TEXTS: &[&str] = &[
    "Plain words",
    "Ampersands & <angles> \"quotes\" 'apostrophes'",
    "Größe, naïve, 漢字, emoji 🐧",
    "  blanks around  ",
    "several\nlines\n\n  with indentation\n",
    "tabs\tand more\ttabs",
    "]]> and &amp; already escaped",
    "",
];
const NAMES: &[&str] = &[
    "foo",
    "bar",
    "baz(x86-64)",
    "libqux.so.1()(64bit)",
    "pkgconfig(zlib)",
    "perl(Foo::Bar)",
    "/bin/sh",
    "/usr/bin/python3",
    "config(foo)",
];
const RICH: &[&str] = &["(foo if bar)", "(a and (b or c) unless d)", "(x >= 1.0 with x < 2.0)", "(langpacks-de or langpacks-en)"];
const EVRS: &[&str] = &["1.0", "1:2.0-3", "0:1.0~rc1-1.el9", "2^git-1", "bad:1.0", ":1", "3.0-1-1"];

fn dependency(dice: &mut Dice) -> Dependency {
    let name = if dice.roll(6) == 0 { dice.pick(RICH) } else { dice.pick(NAMES) };
    let comparison = [
        DependencyFlags::ANY,
        DependencyFlags::LESS,
        DependencyFlags::GREATER,
        DependencyFlags::EQUAL,
        DependencyFlags::LESS | DependencyFlags::EQUAL,
        DependencyFlags::GREATER | DependencyFlags::EQUAL,
    ];
    let flags = comparison[dice.roll(6)];
    let version = if flags == DependencyFlags::ANY { "" } else { dice.pick(EVRS) };
    Dependency { name: name.into(), flags, version: version.into() }
}

fn requirement(dice: &mut Dice) -> Dependency {
    let mut dependency = dependency(dice);
    match dice.roll(8) {
        0 => dependency.flags |= DependencyFlags::SCRIPT_PRE,
        1 => dependency.flags |= DependencyFlags::SCRIPT_POST,
        2 => dependency.flags |= DependencyFlags::MISSINGOK,
        3 => dependency.flags |= DependencyFlags::INTERP,
        4 => dependency.flags |= DependencyFlags::PREREQ,
        5 => {
            dependency = Dependency::any(dice.pick(&[
                "libc.so.6()(64bit)",
                "libc.so.6(GLIBC_2.4)(64bit)",
                "libc.so.6(GLIBC_2.34)(64bit)",
                "libc.so.6(GLIBC_2.3.4)(64bit)",
                "libc.so.6",
            ]))
        }
        _ => {}
    }
    dependency
}

/// One package by the `rpm` crate.
fn built_by_the_crate(n: usize, into: &Path) {
    let mut dice = Dice(n as u64 * 7919 + 1);
    let name = format!("made-{n}");
    let mut package =
        PackageBuilder::new(&name, dice.pick(VERSIONS), "MIT AND (GPL-2.0-or-later)", dice.pick(ARCHES), dice.pick(&TEXTS[..4]));
    package.using_config(rpm::BuildConfig::default().compression(rpm::CompressionType::None).source_date(1_600_000_000 + n as u32));
    package.release(dice.pick(RELEASES)).description(dice.pick(TEXTS)).build_host("builder.example.com");
    if dice.roll(3) == 0 {
        package.epoch(dice.roll(9) as u32);
    }
    if dice.roll(2) == 0 {
        package.url("https://example.com/?a=1&b=2").vendor(dice.pick(&TEXTS[..4])).packager("Änne <anne@example.com>").group("System/Base");
    }
    for _ in 0..dice.roll(8) {
        package.requires(requirement(&mut dice));
    }
    for _ in 0..dice.roll(5) {
        package.provides(dependency(&mut dice));
    }
    for _ in 0..dice.roll(3) {
        package.conflicts(dependency(&mut dice)).obsoletes(dependency(&mut dice));
    }
    for _ in 0..dice.roll(3) {
        package
            .recommends(dependency(&mut dice))
            .suggests(dependency(&mut dice))
            .supplements(dependency(&mut dice))
            .enhances(dependency(&mut dice));
    }
    let folders = ["/usr/bin", "/etc/sub dir", "/usr/share/doc/x&y", "/opt/größe/sbin", "/usr/lib", "/var/lib/cabin"];
    for at in 0..dice.roll(12) {
        let path = format!("{}/file-{at}", dice.pick(&folders));
        match dice.roll(6) {
            0 => package.with_dir_entry(FileOptions::dir(path)).unwrap(),
            1 => package.with_ghost(FileOptions::ghost(path)).unwrap(),
            2 => package.with_ghost(FileOptions::ghost_dir(path)).unwrap(),
            3 => package.with_symlink(FileOptions::symlink(path, "target")).unwrap(),
            _ => package.with_file_contents("content\n", FileOptions::new(path)).unwrap(),
        };
    }
    if dice.roll(4) == 0 {
        package.with_file_contents("x", FileOptions::new("/usr/lib/sendmail")).unwrap();
        package.with_file_contents("x", FileOptions::new("/usr/bin/python3")).unwrap();
    }
    let mut time = 1_500_000_000_u32;
    for _ in 0..dice.roll(15) {
        package.add_changelog_entry(
            dice.pick(&["A <a@example.com> - 1.0-1", "B & C   ", "\"D\""]),
            format!("- {}", dice.pick(&TEXTS[..7])),
            time,
        );
        // Several on one day, as packagers write them, and some out of order.
        time = time.wrapping_sub([0, 0, 86_400, 1][dice.roll(4)]);
    }
    package.build().unwrap().write_file(into.join(format!("{name}.rpm"))).unwrap();
}

/// Headers that neither builder writes.
///
/// Left out because createrepo_c 0.17 differs, on purpose: a source package of before rpm 4.6 (it says x86_64 for `src`), control characters
/// (it refuses the package), `Requires(pretrans)` and `Requires(posttrans)` (it does not mark them). Unit tests have them.
fn made_by_hand(into: &Path) {
    let requires = (1049, 1048, 1050);
    let base = |name: &str| RpmFile::new(name, "1.0", "1", "x86_64");
    let mut large = base("large").without(1009).with(5009, Value::Int64(vec![5 << 30]));
    large.signature = vec![(271, Value::Int64(vec![6 << 30]))];
    let files: Vec<(RpmFile, &str)> = vec![
        (base("latin1").with(1004, Value::Translated(vec![b"caf\xe9 & \xa9 cr\xe8me".to_vec()])).with(1011, text(b"\xc4nne")), "latin1"),
        (
            base("latin1-files").with_files(&[(b"/etc/\xe9t\xe9/", b"\xe0", 0o100_644, 0), (b"/usr/bin/", b"\xfc", 0o100_755, 0)]),
            "latin1-files",
        ),
        (base("mixed-files").with_files(&[(b"/etc/\xe9t\xe9/", b"\xc3\xa9", 0o100_644, 0)]), "mixed-files"),
        (
            base("latin1-changes").with_changelog(&[(1_600_000_000, "x", "y")]).with(1081, Value::Texts(vec![b"Andr\xe9  ".to_vec()])),
            "latin1-changes",
        ),
        (
            base("latin1-depends")
                .with(1049, Value::Texts(vec![b"caf\xe9".to_vec()]))
                .with(1048, Value::Int32(vec![0]))
                .with(1050, Value::Texts(vec![vec![]])),
            "latin1-depends",
        ),
        (
            base("old-weak")
                .with_dependencies((1156, 1158, 1157), &[("s", 0, ""), ("r", 1 << 27, "")])
                .with_dependencies((1159, 1161, 1160), &[("e", 0, ""), ("p", 1 << 27 | 8, "1:2-3")]),
            "old-weak",
        ),
        (base("source-tag").without(1044).with(1106, Value::Int32(vec![1])), "source-tag"),
        (
            base("carriage").with(1005, Value::Translated(vec![b"one\r\ntwo\rthree four".to_vec()])).with(1011, text(b"a\r\n\tb")),
            "carriage",
        ),
        (base("no-sourcerpm").without(1044), "no-sourcerpm"),
        (large, "large"),
        (base("bare").without(1004).without(1005).without(1006).without(1007).without(1009).without(1014).without(1016), "bare"),
        (
            base("translated")
                .with(100, Value::Texts(vec![b"C".to_vec(), b"de".to_vec()]))
                .with(1004, Value::Translated(vec![b"house".to_vec(), b"Haus".to_vec()])),
            "translated",
        ),
        (
            base("ghost-dir").with_files(&[
                (b"/var/", b"d", 0o040_755, 64),
                (b"/var/", b"g", 0o100_644, 64),
                (b"/var/", b"f", 0o100_644, 1),
            ]),
            "ghost-dir",
        ),
        (
            base("requires-own")
                .with_files(&[(b"/usr/bin/", b"own", 0o100_755, 0), (b"/usr/share/", b"own", 0o100_644, 0)])
                .with_dependencies((1047, 1112, 1113), &[("cap", 0, ""), ("ver", 8, "1-1")])
                .with_dependencies(
                    requires,
                    &[
                        ("/usr/bin/own", 0, ""),
                        ("/usr/share/own", 0, ""),
                        ("cap", 0, ""),
                        ("ver", 8, "1-1"),
                        ("ver", 8, "1-2"),
                        ("a", 0, ""),
                        ("b", 0, ""),
                        ("a", 0, ""),
                        ("a", 8, "1"),
                        ("a", 0, ""),
                    ],
                ),
            "requires-own",
        ),
        (
            base("old-files")
                .with(1027, Value::Texts(vec![b"/usr/bin/old".to_vec(), b"/etc/old.conf".to_vec(), b"/usr/share/x".to_vec()]))
                .with(1030, Value::Int16(vec![0o100_755, 0o100_644, 0o040_755]))
                .with(1037, Value::Int32(vec![0, 0, 0])),
            "old-files",
        ),
    ];
    for (file, name) in files {
        std::fs::write(into.join(format!("hand-{name}.rpm")), file.bytes()).unwrap();
    }
}

const SPEC: &str = "
%global debug_package %{nil}
%global _build_id_links none
Name: built
Version: 1.5~rc2
Release: 2%{?dist}
Epoch: 3
Summary: Built by rpmbuild, with <all> & sundry
License: MIT
URL: https://example.com/
BuildArch: noarch
Requires(pre): /usr/sbin/useradd
Requires(postun): after-everything
Requires(preun): before-everything
Requires: (alpha if beta)
Recommends: weak >= 1.0
Suggests: weaker
Supplements: (built and langpacks-de)
Enhances: gamma = 2:1.0^git
Conflicts: enemy < 2
Obsoletes: ancestor < 1.0~
Provides: virtual(thing) = 1.5
%description
Some lines.
  Indented.
%prep
%build
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc %{buildroot}/usr/share/built
echo x > %{buildroot}/usr/bin/built
echo x > %{buildroot}/etc/built.conf
for n in $(seq 20); do echo $n > %{buildroot}/usr/share/built/$n; done
%files
/usr/bin/built
%config(noreplace) /etc/built.conf
%ghost /var/log/built.log
%dir /usr/share/built
%pre
exit 0
%changelog
* Mon Jan 01 2024 Anne <anne@example.com> - 3:1.5~rc2-2
- newest
* Mon Jan 01 2024 Bert <bert@example.com> - 1
- same day
";

/// A source package and its binary packages, by rpmbuild.
fn built_by_rpmbuild(into: &Path) {
    let mut spec = SPEC.to_owned();
    for n in 1..=20 {
        let section = format!(
            "%package sub{n}\nSummary: Part {n}\nRequires: %{{name}} = %{{epoch}}:%{{version}}-%{{release}}\nRequires(post): tool{n}\n%description sub{n}\nPart.\n%files sub{n}\n/usr/share/built/{n}\n"
        );
        spec = spec.replace("%prep\n", &format!("{section}%prep\n"));
    }
    std::fs::write(into.join("built.spec"), spec).unwrap();
    let top = format!("_topdir {}", into.join("rpmbuild").display());
    let output = Command::new("rpmbuild")
        .args(["-ba", "--quiet", "--define", &top, "--define", "_rpmfilename %%{NAME}.rpm"])
        .arg(into.join("built.spec"))
        .output()
        .unwrap();
    assert!(output.status.success(), "rpmbuild: {}", String::from_utf8_lossy(&output.stderr));
    for folder in ["RPMS", "SRPMS"] {
        for entry in std::fs::read_dir(into.join("rpmbuild").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::rename(&path, into.join(format!("{folder}-{}", path.file_name().unwrap().to_string_lossy()))).unwrap();
        }
    }
    std::fs::remove_dir_all(into.join("rpmbuild")).unwrap();
    std::fs::remove_file(into.join("built.spec")).unwrap();
}

/// A package of 64 MiB, compressed to little: its sizes as it lies, installed and unpacked are far apart.
fn with_a_large_file(into: &Path) {
    let mut package = PackageBuilder::new("large-file", "1", "MIT", "x86_64", "one large file");
    package.using_config(rpm::BuildConfig::default().compression(rpm::CompressionType::Gzip).source_date(1_600_000_000_u32));
    package.with_file_contents(vec![b'x'; 64 << 20], FileOptions::new("/usr/share/large/data")).unwrap();
    package.build().unwrap().write_file(into.join("large-file.rpm")).unwrap();
}

/// Real packages: .debs of the machine's own archive, converted. Returns how many.
fn converted_by_alien(names: &[&str], into: &Path) -> usize {
    let work = tempfile::tempdir().unwrap();
    for name in names {
        let _ = Command::new("apt-get").args(["download", "-q", name]).current_dir(work.path()).output();
    }
    let debs: Vec<_> = std::fs::read_dir(work.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "deb"))
        .collect();
    for deb in &debs {
        let output = Command::new("alien").args(["--to-rpm", "--scripts"]).arg(deb).current_dir(work.path()).output().unwrap();
        if !output.status.success() {
            eprintln!("alien: {}: {}", deb.display(), String::from_utf8_lossy(&output.stderr));
        }
    }
    let mut count = 0;
    for entry in std::fs::read_dir(work.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "rpm") {
            std::fs::copy(&path, into.join(format!("alien-{}", path.file_name().unwrap().to_string_lossy()))).unwrap();
            count += 1;
        }
    }
    count
}

/// Fills a folder with packages and returns how many there are.
pub fn fill(into: &Path) -> usize {
    let count = || {
        let is_package = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path().extension().is_some_and(|end| end == "rpm");
        std::fs::read_dir(into).unwrap().map(is_package).filter(|is| *is).count()
    };
    if count() > 0 {
        return count();
    }
    (0..480).for_each(|n| built_by_the_crate(n, into));
    made_by_hand(into);
    built_by_rpmbuild(into);
    with_a_large_file(into);
    let real = ["hostname", "tzdata", "bash", "perl-base", "adduser", "cpio"];
    assert_eq!(converted_by_alien(&real, into), real.len(), "real packages, from the machine's apt sources by alien");
    count()
}
