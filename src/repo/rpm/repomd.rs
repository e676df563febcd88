//! repomd.xml: the root of a repository's metadata, which names every other file with its checksum.

use super::checksum::{BadChecksum, Checksum};
use super::text::{push_number, push_text, push_value};
use super::xml::{Tag, Xml, XmlError, number};

/// The most bytes that a repomd.xml may have; real ones have under 10 kB.
pub const MAX_REPOMD: u64 = 4 << 20;
const MAX_RECORDS: usize = 1000;

/// What repomd.xml says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repomd {
    /// Any text; usually seconds since 1970. Empty if there is none.
    pub revision: String,
    /// Tags such as `content`, `repo` and `distro`, in order: name, `cpeid` or empty, text.
    pub tags: Vec<(String, String, String)>,
    /// The files, in order. Kinds need not be unique, and unknown ones are ordinary.
    pub records: Vec<Record>,
}

/// One metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `primary`, `filelists`, `other`, `updateinfo`, `group`, `group_gz`, `modules`, or anything else.
    pub kind: String,
    /// Path relative to the folder that holds `repodata/`; not to be followed before it passed
    /// [`crate::repo::path::archive_path`].
    pub href: String,
    /// `xml:base`, empty if there is none.
    pub base: String,
    /// Of the file as it lies there.
    pub checksum: Checksum,
    /// Of the file decompressed.
    pub open_checksum: Option<Checksum>,
    /// Of a zchunk file's header.
    pub header_checksum: Option<Checksum>,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Size of the file, bytes.
    pub size: Option<u64>,
    /// Size decompressed, bytes.
    pub open_size: Option<u64>,
    /// Size of a zchunk file's header, bytes.
    pub header_size: Option<u64>,
    /// Version of the schema of a database.
    pub database_version: Option<u64>,
}

impl Record {
    /// A record without the things that few have.
    pub fn new(kind: &str, href: &str, checksum: Checksum) -> Self {
        Self {
            kind: kind.to_owned(),
            href: href.to_owned(),
            base: String::new(),
            checksum,
            open_checksum: None,
            header_checksum: None,
            timestamp: 0,
            size: None,
            open_size: None,
            header_size: None,
            database_version: None,
        }
    }
}

impl Repomd {
    /// The first record of a kind.
    pub fn record(&self, kind: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.kind == kind)
    }

    /// Reads repomd.xml. The caller bounds its size by [`MAX_REPOMD`].
    ///
    /// Errors: not well-formed or no repomd; a record without location or checksum; more than 1000 records.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let (mut xml, _) = Xml::open(bytes, "repomd")?;
        let mut repomd = Self::default();
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "revision" => repomd.revision = xml.text()?.trim().to_owned(),
                "tags" => {
                    let depth = xml.depth();
                    while let Some(tag) = xml.child(depth)? {
                        // Written again under this name, so only the names that are known.
                        if !matches!(tag.name(), "content" | "repo" | "distro") {
                            continue;
                        }
                        repomd.tags.push((tag.name().to_owned(), tag.attribute("cpeid")?, xml.text()?.trim().to_owned()));
                    }
                }
                "data" if repomd.records.len() == MAX_RECORDS => {
                    return Err(XmlError::content("repomd", format!("more than {MAX_RECORDS} records")));
                }
                "data" => repomd.records.push(record(&mut xml, &tag)?),
                _ => {}
            }
        }
        xml.end()?;
        Ok(repomd)
    }

    /// Writes repomd.xml.
    pub fn to_xml(&self) -> Vec<u8> {
        let mut out = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec();
        out.extend_from_slice(b"<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n");
        text_element(&mut out, "revision", &[], &self.revision);
        if !self.tags.is_empty() {
            out.extend_from_slice(b"  <tags>\n");
            for (name, cpeid, text) in &self.tags {
                text_element(&mut out, name, &[("cpeid", cpeid)], text);
            }
            out.extend_from_slice(b"  </tags>\n");
        }
        self.records.iter().for_each(|record| write_record(&mut out, record));
        out.extend_from_slice(b"</repomd>\n");
        out
    }
}

fn record(xml: &mut Xml<'_>, tag: &Tag<'_>) -> Result<Record, XmlError> {
    let kind = tag.attribute("type")?;
    let bad = |error: BadChecksum| XmlError::content("data", format!("{kind}: {error}"));
    let mut found = Record::new(&kind, "", crate::domain::checksum::Sha256::new([0; 32]).into());
    let mut checksum = None;
    let depth = xml.depth();
    while let Some(tag) = xml.child(depth)? {
        match tag.name() {
            "location" => (found.href, found.base) = (tag.attribute("href")?, tag.attribute("base")?),
            "checksum" => checksum = Some(Checksum::parse(&tag.attribute("type")?, xml.text()?.trim()).map_err(bad)?),
            "open-checksum" => found.open_checksum = Some(Checksum::parse(&tag.attribute("type")?, xml.text()?.trim()).map_err(bad)?),
            "header-checksum" => found.header_checksum = Some(Checksum::parse(&tag.attribute("type")?, xml.text()?.trim()).map_err(bad)?),
            // Seconds, which some tools write with a fraction.
            "timestamp" => found.timestamp = number("timestamp", xml.text()?.split('.').next().unwrap_or_default())?,
            "size" => found.size = Some(number("size", &xml.text()?)?),
            "open-size" => found.open_size = Some(number("open-size", &xml.text()?)?),
            "header-size" => found.header_size = Some(number("header-size", &xml.text()?)?),
            "database_version" => found.database_version = Some(number("database_version", &xml.text()?)?),
            _ => {}
        }
    }
    if found.href.is_empty() {
        return Err(XmlError::content("data", format!("{kind}: it has no location")));
    }
    found.checksum = checksum.ok_or_else(|| XmlError::content("data", format!("{kind}: it has no checksum")))?;
    Ok(found)
}

fn write_record(out: &mut Vec<u8>, record: &Record) {
    out.extend_from_slice(b"  <data type=\"");
    push_value(out, record.kind.as_bytes());
    out.extend_from_slice(b"\">\n");
    for (name, checksum) in [
        ("checksum", Some(&record.checksum)),
        ("open-checksum", record.open_checksum.as_ref()),
        ("header-checksum", record.header_checksum.as_ref()),
    ] {
        if let Some(checksum) = checksum {
            text_element(out, name, &[("type", checksum.kind().name())], checksum.hex());
        }
    }
    out.extend_from_slice(b"    <location");
    for (key, value) in [("xml:base", &record.base), ("href", &record.href)] {
        if !value.is_empty() {
            out.extend_from_slice(format!(" {key}=\"").as_bytes());
            push_value(out, value.as_bytes());
            out.push(b'"');
        }
    }
    out.extend_from_slice(b"/>\n");
    let numbers = [
        ("timestamp", Some(record.timestamp)),
        ("size", record.size),
        ("open-size", record.open_size),
        ("header-size", record.header_size),
        ("database_version", record.database_version),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            out.extend_from_slice(format!("    <{name}>").as_bytes());
            push_number(out, number);
            out.extend_from_slice(format!("</{name}>\n").as_bytes());
        }
    }
    out.extend_from_slice(b"  </data>\n");
}

/// `<name key="value">text</name>`, attributes without a value left out.
fn text_element(out: &mut Vec<u8>, name: &str, attributes: &[(&str, &str)], text: &str) {
    out.extend_from_slice(format!("    <{name}").as_bytes());
    for (key, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
        out.extend_from_slice(format!(" {key}=\"").as_bytes());
        push_value(out, value.as_bytes());
        out.push(b'"');
    }
    out.push(b'>');
    push_text(out, text.as_bytes());
    out.extend_from_slice(format!("</{name}>\n").as_bytes());
}
