//! Makes packages for the benchmark, quickly: `lab-packages rpm|deb DIR COUNT BYTES [FIRST [RELEASE]]`.
//!
//! COUNT packages of about BYTES each (contents that do not compress), numbered from FIRST, spread over folders by their first letters.
//! Headers are like a distribution's: a dozen dependencies, twenty files, five changelog entries. Another RELEASE of a number takes the
//! place of the one before. Equal arguments give equal packages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool of the lab")]
#![allow(missing_docs, reason = "a program")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use kickctl::repo::compress::compress_xz;
use rayon::prelude::*;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, folder, count, bytes, rest @ ..] = args.as_slice() else {
        eprintln!("usage: lab-packages rpm|deb DIR COUNT BYTES [FIRST [RELEASE]]");
        std::process::exit(2);
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (count, bytes) = (number(count), number(bytes));
    let first = rest.first().map_or(0, number);
    let release = rest.get(1).map_or(1, number);
    let make = match kind.as_str() {
        "rpm" => rpm,
        "deb" => deb,
        other => panic!("{other}: rpm or deb"),
    };
    let (folder, step) = (Path::new(folder), if release == 1 { 1 } else { 97 });
    // Changed packages are not neighbours: numbers FIRST, FIRST + 97, ...
    (0..count).into_par_iter().for_each(|at| make(folder, first + at * step, bytes, release));
}

/// Splitmix64: the same noise for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

const WORDS: [&str; 16] = [
    "alpha", "bravo", "cargo", "delta", "engine", "filter", "graph", "helper", "index", "journal", "kernel", "library", "monitor",
    "network", "object", "parser",
];

/// A name such as `k-kernel-monitor-00042`, and the folder it lies in.
fn name(number: usize) -> (String, String) {
    let words = [WORDS[number % 16], WORDS[number / 16 % 16]].join("-");
    let letter = words.chars().next().unwrap_or('x');
    (format!("{words}-{number:05}"), letter.to_string())
}

/// Some sentences that differ from package to package.
fn prose(number: usize, words: usize) -> String {
    let word = |at: usize| WORDS[(number.wrapping_mul(31) + at * at + at * 7) % 16];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// Where a package goes; former releases of it are removed.
fn place(folder: &Path, letter: &str, name: &str, file: &str) -> PathBuf {
    let folder = folder.join(letter);
    fs::create_dir_all(&folder).unwrap();
    // Only a later release can have a former one: do not look through folders of thousands for each new package.
    if !file.contains("-1.x86_64") && !file.contains("-1_amd64") {
        let old = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(name);
        fs::read_dir(&folder).unwrap().flatten().filter(old).for_each(|entry| fs::remove_file(entry.path()).unwrap());
    }
    folder.join(file)
}

fn rpm(folder: &Path, number: usize, bytes: usize, release: usize) {
    use rpm::{BuildConfig, CompressionType, Dependency, FileOptions, PackageBuilder};
    let (name, letter) = name(number);
    let mut builder = PackageBuilder::new(&name, "1.2.3", "MIT", "x86_64", &prose(number, 6));
    builder
        .using_config(BuildConfig::v4().compression(CompressionType::None).reserved_space(None).source_date(1_700_000_000_u32))
        .release(release.to_string())
        .description(prose(number, 40))
        .vendor("Example")
        .url(format!("https://example.org/{name}"));
    builder.with_file_contents(noise(number as u64 ^ (release as u64) << 32, bytes), FileOptions::new(format!("/usr/bin/{name}"))).unwrap();
    for file in 0..19 {
        let path = format!("/usr/share/{name}/{}/{}-{file}.conf", WORDS[file % 16], WORDS[(file + number) % 16]);
        builder.with_file_contents("", FileOptions::new(path)).unwrap();
    }
    for at in 0..12 {
        builder.requires(Dependency::greater_eq(format!("lib{}-{at}.so", WORDS[(number + at) % 16]), format!("1.{at}")));
    }
    for word in &WORDS[..3] {
        builder.provides(Dependency::eq(format!("{name}({word})"), "1.2.3"));
    }
    for at in 0..5_u32 {
        let author = format!("A Person <person@example.org> - 1.2.{at}-1");
        builder.add_changelog_entry(author, format!("- {}", prose(number + at as usize, 15)), 1_600_000_000_u32 + at * 86_400);
    }
    let package = builder.build().unwrap();
    let path = place(folder, &letter, &name, &format!("{name}-1.2.3-{release}.x86_64.rpm"));
    package.write_file(path).unwrap();
}

fn deb(folder: &Path, number: usize, bytes: usize, release: usize) {
    let (name, letter) = name(number);
    let depends: Vec<String> = (0..12).map(|at| format!("lib{}{at} (>= 1.{at})", WORDS[(number + at) % 16])).collect();
    let description = prose(number, 40);
    let control = format!(
        "Package: {name}\nVersion: 1.2.3-{release}\nArchitecture: amd64\nMaintainer: A Person <person@example.org>\nInstalled-Size: 120\n\
         Depends: {}\nSection: utils\nPriority: optional\nHomepage: https://example.org/{name}\nDescription: {}\n {description}\n",
        depends.join(", "),
        prose(number, 6),
    );
    let tar = |files: &[(&str, &[u8])]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, *bytes).unwrap();
        }
        compress_xz(&tar.into_inner().unwrap()).unwrap()
    };
    let sums = format!("{:032x}  usr/bin/{name}\n", number);
    let control = tar(&[("./control", control.as_bytes()), ("./md5sums", sums.as_bytes())]);
    let data = noise(number as u64 ^ (release as u64) << 32, bytes);
    let data = tar(&[(&format!("./usr/bin/{name}"), &data)]);
    let path = place(folder, &letter, &format!("{name}_"), &format!("{name}_1.2.3-{release}_amd64.deb"));
    let mut out = std::io::BufWriter::new(fs::File::create(path).unwrap());
    out.write_all(b"!<arch>\n").unwrap();
    for (member, bytes) in [("debian-binary", b"2.0\n".as_slice()), ("control.tar.xz", &control), ("data.tar.xz", &data)] {
        writeln!(out, "{member:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 1_700_000_000, 0, 0, "100644", bytes.len()).unwrap();
        out.write_all(bytes).unwrap();
        if bytes.len() % 2 == 1 {
            out.write_all(b"\n").unwrap();
        }
    }
}
