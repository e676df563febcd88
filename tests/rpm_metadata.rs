//! What kickctl writes of packages against createrepo_c, package by package, and against libsolv through dnf.
//!
//! Needs createrepo_c, rpmbuild, dnf, alien, and the archive of the machine's own apt sources.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/rpm_corpus.rs"]
mod rpm_corpus;
#[path = "support/rpm_file.rs"]
mod rpm_file;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use kickctl::domain::checksum::Sha256;
use kickctl::repo::compress::{Compression, decompress};
use kickctl::repo::rpm::filelists::FileList;
use kickctl::repo::rpm::fragment::{FileFacts, Fragments};
use kickctl::repo::rpm::header::Header;
use kickctl::repo::rpm::other::Changelog;
use kickctl::repo::rpm::primary::{Package, Packages};
use kickctl::repo::rpm::repomd::Repomd;
use kickctl::repo::rpm::write::{Listing, MetadataWriter, Packing};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

/// Writes a repository's metadata as `kickctl` does: every header read, fragments in order of file names.
fn write_repository(packages: &Path, repository: &Path, packing: Packing) {
    fs::create_dir_all(repository.join("repodata")).unwrap();
    let mut files: Vec<_> = fs::read_dir(packages)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "rpm"))
        .collect();
    files.sort();
    let sinks = Listing::ALL.map(|listing| File::create(repository.join("repodata").join(listing.name())).unwrap());
    let mut writer = MetadataWriter::start(files.len() as u64, packing, sinks);
    for path in files {
        let bytes = fs::read(&path).unwrap();
        let mtime = fs::metadata(&path).unwrap().modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let header = Header::read(&mut bytes.as_slice()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let location = path.file_name().unwrap().to_str().unwrap();
        writer.add(&Fragments::of(&header, &FileFacts { size: bytes.len() as u64, mtime, sha256: Sha256::of(&bytes), location })).unwrap();
    }
    let written = writer.finish().unwrap();
    for one in &written {
        fs::rename(repository.join("repodata").join(&one.name), repository.join(one.href())).unwrap();
    }
    let records = written.iter().map(|one| one.record(1_700_000_000)).collect();
    fs::write(repository.join("repodata/repomd.xml"), Repomd { revision: "1".into(), tags: vec![], records }.to_xml()).unwrap();
}

/// A listing of a repository, checked against its record, as `<package>` elements by identifier.
fn listing(repository: &Path, name: &str) -> BTreeMap<String, Vec<u8>> {
    let repomd = Repomd::parse(&fs::read(repository.join("repodata/repomd.xml")).unwrap()).unwrap();
    let record = repomd.record(name).unwrap();
    let packed = fs::read(repository.join(&record.href)).unwrap();
    assert!(record.checksum.matches(&packed), "{name}");
    let open = decompress(&packed, Compression::of_name(&record.href), 100 << 20).unwrap();
    assert!(record.open_checksum.as_ref().unwrap().matches(&open), "{name}");
    let mut packages = Packages::new(open.as_slice());
    let mut found = BTreeMap::new();
    while let Some(raw) = packages.next_raw().unwrap() {
        let id = match name {
            "primary" => Package::parse(raw).unwrap().checksum.hex().to_owned(),
            "filelists" => FileList::parse(raw).unwrap().pkgid,
            _ => Changelog::parse(raw).unwrap().pkgid,
        };
        found.insert(id, raw.to_vec());
    }
    found
}

/// What an element says, without indentation and the order of attributes: by a parser of its own, not by the readers under test.
fn content(element: &[u8]) -> Vec<String> {
    fn tag(tag: &BytesStart<'_>) -> String {
        let mut parts: Vec<_> = tag
            .attributes()
            .map(|part| part.unwrap())
            .map(|part| format!(" {}={:?}", part.key.0, part.normalized_value(XmlVersion::Explicit1_0).unwrap()))
            .collect();
        parts.sort();
        format!("<{}{}", tag.name().0, parts.concat())
    }
    let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(element).unwrap());
    let (mut out, mut text, mut leaf) = (vec![], String::new(), false);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                out.push(tag(&start));
                text.clear();
                leaf = true;
            }
            Event::Empty(start) => {
                out.extend([tag(&start), ">".into()]);
                leaf = false;
            }
            Event::End(_) => {
                if leaf && !text.is_empty() {
                    out.push(text.clone());
                }
                out.push(">".into());
                leaf = false;
            }
            Event::Text(piece) => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().unwrap() {
                Some(c) => text.push(c),
                None => text.push_str(quick_xml::escape::resolve_predefined_entity(&reference.xml10_content()).unwrap()),
            },
            Event::Eof => return out,
            _ => {}
        }
    }
}

#[test]
fn every_package_of_a_corpus_of_500_reads_as_createrepo_c_writes_it_and_dnf_agrees() {
    // `RPM_CORPUS=DIR` keeps the corpus for another run, or for looking at it.
    let work = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("RPM_CORPUS").map(std::path::PathBuf::from);
    let work = kept.as_deref().unwrap_or(work.path());
    let (packages, ours) = (work.join("theirs"), work.join("ours"));
    fs::create_dir_all(&packages).unwrap();
    let count = rpm_corpus::fill(&packages);
    assert!(count >= 500, "only {count} packages");
    write_repository(&packages, &ours, Packing::Gz(6));
    let output = Command::new("createrepo_c").args(["--quiet", "--simple-md-filenames"]).arg(&packages).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut differences = vec![];
    for name in ["primary", "filelists", "other"] {
        let (theirs, ours) = (listing(&packages, name), listing(&ours, name));
        assert_eq!((ours.len(), theirs.keys().find(|id| !ours.contains_key(*id))), (count, None), "{name}");
        for (id, element) in &ours {
            let Some(theirs) = theirs.get(id) else {
                differences.push(format!("{name}: createrepo_c has no {}", content(element)[1..3].join("")));
                continue;
            };
            let (ours, theirs) = (content(element), content(theirs));
            if ours != theirs {
                let at = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
                let around = |lines: &[String]| lines[at.saturating_sub(1)..lines.len().min(at + 3)].join(" | ");
                differences.push(format!("{name} of {}\n  ours   {}\n  theirs {}", ours[1..3].join(""), around(&ours), around(&theirs)));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        3 * count,
        differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
    eprintln!("{count} packages: primary, filelists and other equal createrepo_c's");
    dnf_reads_both_alike(work, &packages, &ours);
}

/// dnf (libsolv) answers the same from both repositories. Hand-made packages of no real kind (two sources of one name) are in it too.
fn dnf_reads_both_alike(work: &Path, theirs: &Path, ours: &Path) {
    let questions: [&[&str]; 5] = [
        &["--qf", "%{name} %{evr} %{arch} %{size} %{installsize} %{buildtime} %{sourcerpm} %{summary}"],
        &["--qf", "%{name} %{requires}|%{provides}|%{conflicts}|%{obsoletes}"],
        &["--qf", "%{name} %{recommends}|%{suggests}|%{supplements}|%{enhances}|%{requires_pre}"],
        &["-l"],
        &["--changelogs"],
    ];
    let zst = work.join("zst");
    write_repository(theirs, &zst, Packing::Zst(3));
    for question in questions {
        let answers = [theirs, ours, &zst].map(|repository| repoquery(work, repository, question));
        assert!(answers[0].lines().count() > 500, "{question:?}: {}", answers[0]);
        assert!(answers[0] == answers[1], "{question:?} is answered otherwise");
        assert!(answers[0] == answers[2], "{question:?} is answered otherwise from zstd");
    }
}

fn repoquery(work: &Path, repository: &Path, question: &[&str]) -> String {
    let cache = work.join("cache").join(repository.file_name().unwrap());
    let root = work.join("root");
    fs::create_dir_all(&root).unwrap();
    fs::write(work.join("dnf.conf"), "[main]\nplugins=0\n").unwrap();
    let output = Command::new("dnf")
        .env("LC_ALL", "C.UTF-8")
        .arg("--config")
        .arg(work.join("dnf.conf"))
        .arg(format!("--installroot={}", root.display()))
        .arg(format!("--setopt=cachedir={}", cache.display()))
        .arg(format!("--setopt=reposdir={}", work.join("none").display()))
        .arg(format!("--repofrompath=it,file://{}", repository.display()))
        .args(["--quiet", "--releasever=9", "--forcearch=x86_64", "--disable-modular-filtering", "repoquery", "--all"])
        .args(question)
        .output()
        .unwrap();
    assert!(output.status.success(), "{question:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
