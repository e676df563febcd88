//! One package's part of primary.xml, filelists.xml and other.xml, made from its header.
//!
//! The content is what createrepo_c writes, element by element; only the indentation is left out.
//!
//! ```
//! # use kickctl::repo::rpm::{fragment::{FileFacts, Fragments}, header::Header};
//! # use kickctl::domain::checksum::Sha256;
//! # fn f(mut file: std::fs::File) -> Result<(), Box<dyn std::error::Error>> {
//! let header = Header::read(&mut file)?;
//! let facts = FileFacts { size: 4711, mtime: 1_700_000_000, sha256: Sha256::of(b"the whole file"), location: "Packages/b/bash-5.2-1.rpm" };
//! let fragments = Fragments::of(&header, &facts);
//! assert!(fragments.primary.starts_with(b"<package type=\"rpm\">"));
//! # Ok(()) }
//! ```

use super::depends::{Dependencies, Relation};
use super::header::{File, FileKind, Header};
use super::tag;
use super::text::{push_number, push_text, push_value};
use crate::domain::checksum::Sha256;

/// How many changelog entries other.xml carries a package: what createrepo_c takes by default.
pub const CHANGELOG_ENTRIES: usize = 10;

/// What metadata tells of a package that its header does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts<'a> {
    /// Size of the file, bytes.
    pub size: u64,
    /// When the file was last changed, seconds since 1970.
    pub mtime: u64,
    /// Digest of the whole file; the package's identifier (`pkgid`) in the metadata.
    pub sha256: Sha256,
    /// Path relative to the folder that holds `repodata/`.
    pub location: &'a str,
}

/// A package's three `<package>` elements, each with a line feed at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragments {
    /// For primary.xml.
    pub primary: Vec<u8>,
    /// For filelists.xml.
    pub filelists: Vec<u8>,
    /// For other.xml.
    pub other: Vec<u8>,
    /// The identifier by which the three belong together.
    pub pkgid: Sha256,
}

impl Fragments {
    /// Makes the three fragments. Never fails: what a header lacks is written empty, text that is no text is made one.
    pub fn of(header: &Header, facts: &FileFacts<'_>) -> Self {
        let files = header.files();
        let pkgid = facts.sha256.to_string();
        Self {
            primary: primary(header, facts, &pkgid, &files),
            filelists: filelists(header, &pkgid, &files),
            other: other(header, &pkgid),
            pkgid: facts.sha256,
        }
    }
}

fn primary(header: &Header, facts: &FileFacts<'_>, pkgid: &str, files: &[File<'_>]) -> Vec<u8> {
    let listed = primary_files(files);
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(b"<package type=\"rpm\">\n");
    element(&mut out, "name", header.text(tag::NAME));
    element(&mut out, "arch", header.arch());
    version(&mut out, header);
    put(&mut out, &["<checksum type=\"sha256\" pkgid=\"YES\">", pkgid, "</checksum>\n"]);
    element(&mut out, "summary", header.text(tag::SUMMARY));
    element(&mut out, "description", header.text(tag::DESCRIPTION));
    element(&mut out, "packager", header.text(tag::PACKAGER));
    element(&mut out, "url", header.text(tag::URL));
    numbers(&mut out, "time", &[("file", facts.mtime), ("build", header.number(tag::BUILD_TIME))]);
    let size = [("package", facts.size), ("installed", header.installed_size()), ("archive", header.archive_size())];
    numbers(&mut out, "size", &size);
    out.extend_from_slice(b"<location href=\"");
    push_value(&mut out, facts.location.as_bytes());
    out.extend_from_slice(b"\"/>\n<format>\n");
    element(&mut out, "rpm:license", header.text(tag::LICENSE));
    element(&mut out, "rpm:vendor", header.text(tag::VENDOR));
    element(&mut out, "rpm:group", header.text(tag::GROUP));
    element(&mut out, "rpm:buildhost", header.text(tag::BUILD_HOST));
    element(&mut out, "rpm:sourcerpm", source_rpm(header));
    numbers(&mut out, "rpm:header-range", &[("start", header.range().start), ("end", header.range().end)]);
    let dependencies = Dependencies::of(header, &listed);
    for (name, relations) in dependencies.sections() {
        section(&mut out, name, relations);
    }
    for (path, kind) in &listed {
        file(&mut out, &[path.as_slice()], *kind);
    }
    out.extend_from_slice(b"</format>\n</package>\n");
    out
}

fn filelists(header: &Header, pkgid: &str, files: &[File<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + files.len() * 80);
    opening(&mut out, header, pkgid);
    for entry in files {
        file(&mut out, &[entry.folder, entry.name], entry.kind);
    }
    out.extend_from_slice(b"</package>\n");
    out
}

fn other(header: &Header, pkgid: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    opening(&mut out, header, pkgid);
    for change in changes(header).iter().rev() {
        out.extend_from_slice(b"<changelog author=\"");
        push_value(&mut out, change.author);
        out.extend_from_slice(b"\" date=\"");
        push_number(&mut out, change.time);
        out.extend_from_slice(b"\">");
        push_text(&mut out, change.text);
        out.extend_from_slice(b"</changelog>\n");
    }
    out.extend_from_slice(b"</package>\n");
    out
}

/// A package without a SOURCERPM tag that is no source package: rpm itself reads `(none)` there, and so do all who ask it.
fn source_rpm(header: &Header) -> &[u8] {
    if !header.is_source() && !header.has(tag::SOURCE_RPM) { b"(none)" } else { header.text(tag::SOURCE_RPM) }
}

/// An entry of the changelog.
struct Change<'a> {
    time: u64,
    author: &'a [u8],
    text: &'a [u8],
}

/// The newest entries, newest first. Of entries with equal times the newer ones are moved by a second each, since clients order by time.
fn changes(header: &Header) -> Vec<Change<'_>> {
    // A time beyond all calendars would overflow where it is moved.
    let times = header.numbers(tag::CHANGELOG_TIMES).map(|time| time.min(1 << 48));
    let entries = times.zip(header.texts(tag::CHANGELOG_NAMES)).zip(header.texts(tag::CHANGELOG_TEXTS));
    let mut changes: Vec<Change<'_>> = Vec::with_capacity(CHANGELOG_ENTRIES);
    let mut last = None;
    for ((time, author), text) in entries.take(CHANGELOG_ENTRIES) {
        if last == Some(time) {
            for (newer, taken) in changes.iter_mut().rev().zip(time..) {
                if newer.time != taken {
                    break;
                }
                newer.time += 1;
            }
        }
        last = Some(time);
        // One character always stays, be it a blank.
        let end = author.iter().rposition(|byte| *byte != b' ').unwrap_or(0) + 1;
        changes.push(Change { time, author: &author[..end.min(author.len())], text });
    }
    changes
}

/// The files that primary.xml lists besides filelists.xml, so that common file dependencies need no other file.
fn primary_files(files: &[File<'_>]) -> Vec<(Vec<u8>, FileKind)> {
    files
        .iter()
        .filter(|file| may_be_primary(file))
        .map(|file| ([file.folder, file.name].concat(), file.kind))
        .filter(|(path, _)| is_primary(path))
        .collect()
}

/// A cheap look that spares most files the concatenation.
fn may_be_primary(file: &File<'_>) -> bool {
    file.folder.starts_with(b"/etc/")
        || file.folder.len() < 5
        || file.name == b"sendmail"
        || has_bin(file.folder)
        || file.name.contains(&b'/')
}

/// The rule of yum and all its heirs.
pub(super) fn is_primary(path: &[u8]) -> bool {
    path.starts_with(b"/etc/") || path == b"/usr/lib/sendmail" || has_bin(path)
}

fn has_bin(path: &[u8]) -> bool {
    path.windows(4).any(|window| window == b"bin/")
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn element(out: &mut Vec<u8>, name: &str, text: &[u8]) {
    if text.is_empty() {
        return put(out, &["<", name, "/>\n"]);
    }
    put(out, &["<", name, ">"]);
    push_text(out, text);
    put(out, &["</", name, ">\n"]);
}

fn numbers(out: &mut Vec<u8>, name: &str, values: &[(&str, u64)]) {
    put(out, &["<", name]);
    for (key, value) in values {
        put(out, &[" ", key, "=\""]);
        push_number(out, *value);
        out.push(b'"');
    }
    put(out, &["/>\n"]);
}

fn value(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    put(out, &[" ", key, "=\""]);
    push_value(out, value);
    out.push(b'"');
}

fn version(out: &mut Vec<u8>, header: &Header) {
    put(out, &["<version epoch=\""]);
    push_number(out, header.epoch());
    out.push(b'"');
    value(out, "ver", header.text(tag::VERSION));
    value(out, "rel", header.text(tag::RELEASE));
    put(out, &["/>\n"]);
}

/// The beginning of a package in filelists.xml and other.xml.
fn opening(out: &mut Vec<u8>, header: &Header, pkgid: &str) {
    put(out, &["<package pkgid=\"", pkgid, "\""]);
    value(out, "name", header.text(tag::NAME));
    value(out, "arch", header.arch());
    put(out, &[">\n"]);
    version(out, header);
}

fn section(out: &mut Vec<u8>, name: &str, relations: &[Relation<'_>]) {
    if relations.is_empty() {
        return;
    }
    put(out, &["<rpm:", name, ">\n"]);
    for relation in relations.iter().filter(|relation| !relation.name.is_empty()) {
        put(out, &["<rpm:entry"]);
        value(out, "name", relation.name);
        if let Some(comparison) = relation.comparison {
            value(out, "flags", comparison.as_str().as_bytes());
            for (key, part) in ["epoch", "ver", "rel"].into_iter().zip(relation.evr) {
                if !part.is_empty() {
                    value(out, key, part);
                }
            }
        }
        put(out, &[if relation.pre { " pre=\"1\"/>\n" } else { "/>\n" }]);
    }
    put(out, &["</rpm:", name, ">\n"]);
}

fn file(out: &mut Vec<u8>, path: &[&[u8]], kind: FileKind) {
    put(
        out,
        &[match kind {
            FileKind::File => "<file>",
            FileKind::Dir => "<file type=\"dir\">",
            FileKind::Ghost => "<file type=\"ghost\">",
        }],
    );
    // A path is one text: two halves of which one is not UTF-8 must not be judged apart.
    match path {
        [folder, name] if !(folder.is_ascii() && name.is_ascii()) => push_text(out, &[*folder, *name].concat()),
        parts => parts.iter().for_each(|part| push_text(out, part)),
    }
    out.extend_from_slice(b"</file>\n");
}
