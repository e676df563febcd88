//! The traps of headers and metadata, one test each. `tests/rpm_metadata.rs` holds the same rules against createrepo_c.

use proptest::prelude::*;

use super::checksum::Checksum;
use super::depends::Comparison;
use super::filelists::{FileList, pkgid_of};
use super::fragment::{FileFacts, Fragments};
use super::header::{FileKind, Header, HeaderError, Part};
use super::other::Changelog;
use super::primary::{Kind, Package, Packages, relocate};
use super::repomd::{Record, Repomd};
use super::rpm_file::{RpmFile, Value, text, texts};
use super::write::{Listing, ListingWriter, MetadataWriter, Packing, write_whole};
use crate::domain::checksum::Sha256;
use crate::repo::compress::{Compression, decompress};

const REQUIRES: (u32, u32, u32) = (1049, 1048, 1050);
const PROVIDES: (u32, u32, u32) = (1047, 1112, 1113);
const EQ: u32 = 8;

fn header(file: &RpmFile) -> Header {
    Header::read(&mut file.bytes().as_slice()).unwrap()
}

fn fragments(file: &RpmFile) -> Fragments {
    let facts = FileFacts { size: 123_456, mtime: 1_650_000_000, sha256: Sha256::of(b"file"), location: "Packages/t/test & more.rpm" };
    Fragments::of(&header(file), &facts)
}

fn package(file: &RpmFile) -> Package {
    Package::parse(&fragments(file).primary).unwrap()
}

fn test() -> RpmFile {
    RpmFile::new("test", "1.0~rc1", "3.el9", "x86_64")
}

fn names(package: &Package, kind: Kind) -> Vec<&str> {
    package.of_kind(kind).iter().map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn requirements_lose_rpmlib_own_provides_own_primary_files_and_duplicates() {
    let file = test()
        .with_files(&[(b"/usr/bin/", b"own", 0o100_755, 0), (b"/usr/share/", b"own", 0o100_644, 0)])
        .with_dependencies(PROVIDES, &[("own-capability", 0, ""), ("versioned", EQ, "1-1")])
        .with_dependencies(
            REQUIRES,
            &[
                ("rpmlib(CompressedFileNames)", 1 << 24 | 10, "3.0.4-1"),
                ("/usr/bin/own", 0, ""),
                ("/usr/share/own", 0, ""),
                ("own-capability", 0, ""),
                ("versioned", EQ, "1-2"),
                ("versioned", EQ, "1-1"),
                ("other", 0, ""),
                ("other", 0, ""),
                ("other", 12, "2"),
            ],
        );
    // A file outside primary.xml stays, and so does another version of what is provided.
    assert_eq!(names(&package(&file), Kind::Requires), ["/usr/share/own", "versioned", "other", "other"]);
}

#[test]
fn requirements_on_glibc_symbols_collapse_to_the_highest_at_the_end() {
    let file = test().with_dependencies(
        REQUIRES,
        &[
            ("libc.so.6()(64bit)", 0, ""),
            ("libc.so.6(GLIBC_2.4)(64bit)", 0, ""),
            ("libc.so.6(GLIBC_2.34)(64bit)", 0, ""),
            ("libc.so.6(GLIBC_2.14)(64bit)", 0, ""),
            ("libm.so.6(GLIBC_2.29)(64bit)", 0, ""),
        ],
    );
    assert_eq!(names(&package(&file), Kind::Requires), ["libm.so.6(GLIBC_2.29)(64bit)", "libc.so.6(GLIBC_2.34)(64bit)"]);
}

#[test]
fn pre_marks_only_what_is_needed_before_or_in_the_middle() {
    let flags = [("prereq", 6), ("pre", 9), ("post", 10), ("pretrans", 7), ("posttrans", 5), ("preun", 11), ("postun", 12), ("interp", 8)];
    let entries: Vec<_> = flags.iter().map(|(name, bit)| (*name, 1 << bit, "")).collect();
    let package = package(&test().with_dependencies(REQUIRES, &entries));
    let pre: Vec<_> =
        package.of_kind(Kind::Requires).iter().filter(|dependency| dependency.pre).map(|dependency| &dependency.name).collect();
    assert_eq!(pre, ["prereq", "pre", "post", "pretrans", "posttrans"]);
    assert_eq!(package.of_kind(Kind::Requires).len(), flags.len());
}

#[test]
fn weak_dependencies_of_every_age_find_their_element() {
    const MISSING_OK: u32 = 1 << 19;
    const STRONG: u32 = 1 << 27;
    let package = package(
        &test()
            .with_dependencies(REQUIRES, &[("hint", MISSING_OK, ""), ("need", 0, "")])
            .with_dependencies((5046, 5048, 5047), &[("recommended", 0, "")])
            .with_dependencies((5049, 5051, 5050), &[("suggested", 0, "")])
            .with_dependencies((5052, 5054, 5053), &[("supplemented", 0, "")])
            .with_dependencies((5055, 5057, 5056), &[("enhanced", 0, "")])
            .with_dependencies((1156, 1158, 1157), &[("old-strong", STRONG, ""), ("old", 0, "")])
            .with_dependencies((1159, 1161, 1160), &[("old-back-strong", STRONG, ""), ("old-back", 0, "")]),
    );
    assert_eq!(names(&package, Kind::Requires), ["need"]);
    assert_eq!(names(&package, Kind::Recommends), ["hint", "recommended", "old-strong"]);
    assert_eq!(names(&package, Kind::Suggests), ["suggested", "old"]);
    assert_eq!(names(&package, Kind::Supplements), ["supplemented", "old-back-strong"]);
    assert_eq!(names(&package, Kind::Enhances), ["enhanced", "old-back"]);
}

#[test]
fn primary_lists_etc_bin_and_sendmail_only() {
    let mode = 0o100_644;
    let package = package(&test().with_files(&[
        (b"/etc/", b"test.conf", mode, 0),
        (b"/opt/test/sbin/", b"tool", mode, 0),
        (b"/usr/lib/", b"sendmail", mode, 0),
        (b"/usr/lib/", b"sendmail2", mode, 0),
        (b"/usr/share/cabin/", b"door", mode, 0),
        (b"/usr/", b"bin", 0o040_755, 0),
        (b"/", b"etc", 0o040_755, 0),
    ]));
    let paths: Vec<_> = package.files.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["/etc/test.conf", "/opt/test/sbin/tool", "/usr/lib/sendmail", "/usr/share/cabin/door"]);
}

#[test]
fn a_directory_that_is_a_ghost_is_a_directory() {
    const GHOST: u32 = 1 << 6;
    let file = test().with_files(&[
        (b"/var/", b"dir", 0o040_755, GHOST),
        (b"/var/", b"ghost", 0o100_644, GHOST),
        (b"/var/", b"link", 0o120_777, 0),
    ]);
    let list = FileList::parse(&fragments(&file).filelists).unwrap();
    let kinds: Vec<_> = list.files.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [FileKind::Dir, FileKind::Ghost, FileKind::File]);
    assert_eq!((list.name.as_str(), list.arch.as_str(), list.pkgid), ("test", "x86_64", Sha256::of(b"file").to_string()));
}

#[test]
fn files_of_packages_older_than_rpm_4_are_listed() {
    let file = test()
        .with(1027, texts(["/usr/bin/old", "/etc/old.conf"]))
        .with(1030, Value::Int16(vec![0o100_755, 0o100_644]))
        .with(1037, Value::Int32(vec![0, 0]));
    assert_eq!(package(&file).files.len(), 2);
}

#[test]
fn a_source_package_is_src_with_or_without_its_tag() {
    let source = test().without(1044);
    assert_eq!(package(&source.clone().with(1106, Value::Int32(vec![1]))).arch, "src");
    let old = RpmFile { is_source: true, ..source.clone() };
    assert_eq!((package(&old).arch, package(&old).sourcerpm), ("src".into(), String::new()));
    // A package that is not one, but does not say where it comes from: what rpm makes of that.
    assert_eq!((package(&source).arch, package(&source).sourcerpm), ("x86_64".into(), "(none)".into()));
}

#[test]
fn a_missing_epoch_is_zero_and_one_that_is_no_number_drops_the_dependency() {
    let file = test().with_dependencies(
        REQUIRES,
        &[("a", EQ, "1.0-1"), ("b", EQ, "2:1.0~rc1^git-1.el9"), ("c", EQ, "x:1"), ("(d if (e and f))", 0, ""), ("g", 2, "3")],
    );
    let package = package(&file);
    assert_eq!(package.evr.epoch, "0");
    let [a, b, rich, g] = package.of_kind(Kind::Requires) else { panic!("{:?}", package.of_kind(Kind::Requires)) };
    let (comparison, evr) = a.version.as_ref().unwrap();
    assert_eq!((*comparison, evr.epoch.as_str(), evr.version.as_str(), evr.release.as_str()), (Comparison::Eq, "0", "1.0", "1"));
    let evr = &b.version.as_ref().unwrap().1;
    assert_eq!((evr.epoch.as_str(), evr.version.as_str(), evr.release.as_str()), ("2", "1.0~rc1^git", "1.el9"));
    assert_eq!((rich.name.as_str(), &rich.version), ("(d if (e and f))", &None));
    assert_eq!(g.version.as_ref().map(|(comparison, evr)| (*comparison, evr.release.as_str())), Some((Comparison::Lt, "")));
    assert_eq!(header(&test().with(1003, Value::Int32(vec![7]))).epoch(), 7);
}

#[test]
fn the_newest_ten_changes_come_oldest_first_and_never_at_the_same_second() {
    let mut entries: Vec<_> = (0..12).map(|n| (1_000_000 - n * 100, "Somebody <a@b>  ", "- change")).collect();
    entries[1].0 = entries[0].0;
    entries[2].0 = entries[0].0;
    let log = Changelog::parse(&fragments(&test().with_changelog(&entries)).other).unwrap();
    let dates: Vec<_> = log.entries.iter().map(|entry| entry.date).collect();
    assert_eq!(dates, [999_100, 999_200, 999_300, 999_400, 999_500, 999_600, 999_700, 1_000_000, 1_000_001, 1_000_002]);
    assert!(log.entries.iter().all(|entry| entry.author == "Somebody <a@b>"));
}

#[test]
fn text_that_is_no_utf8_still_becomes_well_formed() {
    let file = test().with(1004, Value::Translated(vec![b"caf\xe9 \x01<&>".to_vec()])).with(1011, text(b"\xff\xfe\x00")).with_files(&[(
        b"/etc/\xe9t\xe9/",
        b"\xc3\xa9",
        0o100_644,
        0,
    )]);
    let package = package(&file);
    assert_eq!(package.summary, "café <&>");
    // Half of the path is UTF-8, the whole is not: one text has one encoding.
    assert_eq!(package.files[0].1, "/etc/été/Ã");
    assert_eq!(FileList::parse(&fragments(&file).filelists).unwrap().files[0].1, "/etc/été/Ã");
}

#[test]
fn sizes_beyond_32_bits_and_both_times_are_told() {
    let mut file = test().without(1009).with(5009, Value::Int64(vec![5 << 30]));
    file.signature = vec![(271, Value::Int64(vec![6 << 30]))];
    let package = package(&file);
    assert_eq!((package.size_package, package.size_installed, package.size_archive), (123_456, 5 << 30, 6 << 30));
    assert_eq!((package.time_file, package.time_build), (1_650_000_000, 1_600_000_000));
    assert_eq!((package.href.as_str(), package.base.as_str()), ("Packages/t/test & more.rpm", ""));
}

#[test]
fn the_header_begins_behind_the_padding_of_the_signature() {
    for length in 0..9 {
        let mut file = test();
        file.signature.push((1000, text("x".repeat(length))));
        let bytes = file.bytes();
        let mut reader = bytes.as_slice();
        let header = Header::read(&mut reader).unwrap();
        let range = header.range();
        assert_eq!(range.start % 8, 0);
        assert_eq!(&bytes[range.start as usize..][..3], &[0x8e, 0xad, 0xe8]);
        assert_eq!((range.end as usize, reader.len()), (bytes.len(), 0), "not a byte more is read");
    }
}

#[test]
fn a_location_that_leaves_the_repository_is_told_as_written_and_can_be_replaced() {
    let primary = String::from_utf8(fragments(&test()).primary).unwrap();
    let moved = primary
        .replace("<location href=\"Packages/t/test &amp; more.rpm\"/>", "<location xml:base=\"http://else.where/\" href=\"../../x.rpm\"/>");
    let package = Package::parse(moved.as_bytes()).unwrap();
    assert_eq!((package.href.as_str(), package.base.as_str()), ("../../x.rpm", "http://else.where/"));
    assert!(crate::repo::path::archive_path(&package.href).is_err());
    assert_eq!(relocate(moved.as_bytes(), "Packages/t/test & more.rpm").unwrap(), primary.as_bytes());
    assert_eq!(relocate(b"<package/>", "x"), None);
}

#[test]
fn what_is_no_package_or_lies_about_its_size_is_refused() {
    let read = |bytes: &[u8]| Header::read(&mut &bytes[..]).unwrap_err();
    let good = test().bytes();
    assert!(matches!(read(b""), HeaderError::NotRpm));
    assert!(matches!(read(&[b'x'; 200]), HeaderError::NotRpm));
    assert!(matches!(read(&good[..100]), HeaderError::CutShort(Part::Signature)));
    assert!(matches!(read(&good[..good.len() - 1]), HeaderError::CutShort(Part::Header)));
    assert!(matches!(read(&test().without(1000).bytes()), HeaderError::Missing("name")));
    let mut bad = good.clone();
    bad[96] = 0;
    assert!(matches!(read(&bad), HeaderError::NoHeader(Part::Signature)));
    let mut huge = good.clone();
    huge[96 + 12..96 + 16].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(read(&huge), HeaderError::TooLarge { part: Part::Signature, store: u32::MAX, .. }));
    // The first entry behind the region of the header points out of its store.
    let start = header(&test()).range().start as usize;
    let mut outside = good;
    outside[start + 16 + 16 + 8..start + 16 + 16 + 12].copy_from_slice(&0x00ff_ffff_u32.to_be_bytes());
    assert!(matches!(read(&outside), HeaderError::BadEntry { part: Part::Header, .. }));
}

#[test]
fn what_is_written_is_read_again_and_named_after_its_checksum() {
    for packing in [Packing::Plain, Packing::Gz(6), Packing::Zst(3)] {
        let all: Vec<_> = (0..50).map(|n| fragments(&RpmFile::new(&format!("p{n}"), "1", "1", "noarch"))).collect();
        let mut writer = MetadataWriter::start(50, packing, [vec![], vec![], vec![]]);
        all.iter().for_each(|fragments| writer.add(fragments).unwrap());
        let written = writer.finish().unwrap();
        for (written, listing) in written.iter().zip(Listing::ALL) {
            assert_eq!(written.checksum, Sha256::of(&written.sink));
            assert_eq!(written.size, written.sink.len() as u64);
            let open = decompress(&written.sink, Compression::of_name(&written.href()), 10 << 20).unwrap();
            assert_eq!((written.open_checksum, written.open_size), (Sha256::of(&open), open.len() as u64));
            assert!(written.href().starts_with(&format!("repodata/{}-{}.xml", written.checksum, listing.name())));
            let mut packages = Packages::new(open.as_slice());
            let mut nth = 0;
            while let Some(raw) = packages.next_raw().unwrap() {
                let fragment = [&all[nth].primary, &all[nth].filelists, &all[nth].other][listing as usize];
                assert_eq!(raw, fragment.strip_suffix(b"\n").unwrap());
                nth += 1;
            }
            assert_eq!((nth, packages.declared()), (50, Some(50)));
        }
        let records = written.iter().map(|written| written.record(7)).collect();
        let repomd = Repomd { revision: "7".into(), tags: vec![], records };
        assert_eq!(Repomd::parse(&repomd.to_xml()).unwrap(), repomd);
    }
}

#[test]
fn a_root_that_does_not_say_how_many_packages_it_has_is_no_reason_to_stop() {
    let declared = |root: &str| {
        let document = format!("{root}<package/></metadata>");
        let mut packages = Packages::new(document.as_bytes());
        packages.next_raw().unwrap();
        packages.declared()
    };
    assert_eq!((declared("<metadata packages='7'>"), declared("<metadata packages=\"8\">")), (Some(7), Some(8)));
    // The first of these is what fuzzing found: it was a panic.
    for root in ["<metadata packages=", "<metadata packages=ä", "<metadata packages='", "<metadata packages='x'>", "<metadata>"] {
        assert_eq!(declared(root), None, "{root}");
    }
}

#[test]
fn a_listing_with_another_number_of_packages_than_it_says_is_never_finished() {
    let writer = || ListingWriter::start(Listing::Other, 1, Packing::Plain, vec![]);
    assert!(writer().finish().is_err());
    let mut writer = writer();
    writer.add(b"<package/>").unwrap();
    assert!(writer.add(b"<package/>").is_err());
}

#[test]
fn a_sink_that_fails_fails_the_file() {
    #[derive(Debug)]
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = write_whole("updateinfo", "updateinfo.xml", &[b'x'; 1000], Packing::Plain, Full).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn repomd_keeps_unknown_records_all_its_checksums_and_its_tags() {
    let mut strange = Record::new("prestodelta", "drpms/x.xml.zck", Checksum::parse("sha", &"a".repeat(40)).unwrap());
    strange.base = "http://example.com/a&b/".into();
    strange.header_checksum = Some(Checksum::parse("sha512", &"b".repeat(128)).unwrap());
    (strange.header_size, strange.database_version) = (Some(133), Some(10));
    let group = |kind: &str| Record::new(kind, "repodata/comps.xml", Sha256::of(kind.as_bytes()).into());
    let repomd = Repomd {
        revision: "8.9 <odd>".into(),
        tags: vec![("distro".into(), "cpe:/o:rocky:9".into(), "Rocky 9".into()), ("content".into(), String::new(), "binary-x86_64".into())],
        records: vec![group("group"), strange, group("group_gz")],
    };
    let read = Repomd::parse(&repomd.to_xml()).unwrap();
    assert_eq!(read, repomd);
    // `sha` is SHA-1 and is written under its own name.
    assert_eq!(read.record("prestodelta").unwrap().checksum.to_string(), format!("sha1:{}", "a".repeat(40)));
}

#[test]
fn a_repomd_that_is_none_says_why() {
    for (xml, why) in [
        ("<html><body/></html>", "a <repomd> is expected"),
        ("<repomd><data type='primary'/></repomd>", "no location"),
        ("<repomd><data type='primary'><location href='x'/></data></repomd>", "no checksum"),
        ("<repomd><data type='p'><checksum type='sha256'>00</checksum></data></repomd>", "not a checksum"),
        ("<!DOCTYPE r [<!ENTITY a 'b'>]><repomd><revision>&a;</revision></repomd>", "entity"),
        ("<repomd>", "ends within"),
        ("", "there is none"),
        ("<repomd/><repomd/>", "follows the end"),
    ] {
        let error = Repomd::parse(xml.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{xml}: {error}");
    }
    let many = format!(
        "<repomd>{}</repomd>",
        "<data type='a'><location href='x'/><checksum type='sha'>da39a3ee5e6b4b0d3255bfef95601890afd80709</checksum></data>".repeat(1001)
    );
    assert!(Repomd::parse(many.as_bytes()).unwrap_err().to_string().contains("more than 1000"));
    assert!(Package::parse("<a>".repeat(100).as_bytes()).is_err());
}

#[test]
fn an_identifier_is_found_without_reading_the_rest() {
    assert_eq!(pkgid_of(b"<package name='a' pkgid='0123' arch=\"b\"><rest"), Some("0123"));
    assert_eq!(pkgid_of(b"<package name='a'>"), None);
}

proptest! {
    #[test]
    fn damaged_headers_never_panic(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), cut: prop::sample::Index) {
        let file = test()
            .with_dependencies(REQUIRES, &[("a", EQ, "1"), ("/etc/x", 0, "")])
            .with_dependencies(PROVIDES, &[("test", EQ, "1.0")])
            .with_files(&[(b"/etc/", b"x", 0o100_644, 0)])
            .with_changelog(&[(5, "a", "b"), (5, "", "c")]);
        let mut bytes = file.bytes();
        // The magic numbers are left alone, or hardly anything else would be reached.
        for (at, value) in damage {
            let at = 104 + at.index(bytes.len() - 104);
            bytes[at] = value;
        }
        if cut.index(4) == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(header) = Header::read(&mut bytes.as_slice()) {
            let facts = FileFacts { size: 1, mtime: 2, sha256: Sha256::of(b""), location: "x" };
            let fragments = Fragments::of(&header, &facts);
            let _ = Package::parse(&fragments.primary);
            FileList::parse(&fragments.filelists).unwrap();
            Changelog::parse(&fragments.other).unwrap();
        }
    }

    #[test]
    fn noise_in_xml_never_panics(noise in "(<[a-z:]{1,9}( [a-z]{1,5}=\"[^<\"]{0,5}\")?/?>|</[a-z]{1,7}>|&[a-z#0-9]{0,5};?|[ a-z<>&]{0,5}){0,30}") {
        let _ = Repomd::parse(noise.as_bytes());
        let inner = format!("<package>{noise}</package>");
        let _ = Package::parse(inner.as_bytes());
        let _ = FileList::parse(inner.as_bytes());
        let _ = Changelog::parse(inner.as_bytes());
    }
}
