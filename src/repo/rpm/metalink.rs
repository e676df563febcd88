//! Reading metalinks: where repomd.xml can be had, and what its checksums have to be.
//!
//! Version 3 (what MirrorManager and its kind answer, with `mm0:alternates` for the repomd.xml of some hours ago) and version 4 (RFC 5854).

use super::checksum::Checksum;
use super::xml::{Tag, Xml, XmlError, number};

/// The most bytes that a metalink may have; real ones have under 100 kB.
pub const MAX_METALINK: u64 = 4 << 20;
const MAX_URLS: usize = 2000;

/// What a metalink says of repomd.xml.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metalink {
    /// What repomd.xml has to be, the current one first, then older ones that slow mirrors may still have.
    pub versions: Vec<Version>,
    /// Addresses of repomd.xml, the best first; only `http` and `https`.
    pub urls: Vec<String>,
}

/// One acceptable repomd.xml.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// When it was made, seconds since 1970; 0 if it is not told.
    pub timestamp: u64,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its checksums, of every kind that is known.
    pub checksums: Vec<Checksum>,
}

impl Version {
    /// True if `bytes` have the size and the strongest checksum, and that is SHA-256 or stronger.
    pub fn is(&self, bytes: &[u8]) -> bool {
        let strongest = self.checksums.iter().max_by_key(|checksum| checksum.hex().len()).filter(|checksum| checksum.hex().len() >= 64);
        self.size.is_none_or(|size| size == bytes.len() as u64) && strongest.is_some_and(|checksum| checksum.matches(bytes))
    }
}

impl Metalink {
    /// The version that `bytes` are: 0 is the current one. `None`: the mirror's repomd.xml is none that the metalink vouches for.
    pub fn version_of(&self, bytes: &[u8]) -> Option<usize> {
        self.versions.iter().position(|version| version.is(bytes))
    }

    /// Reads a metalink. The caller bounds its size by [`MAX_METALINK`].
    ///
    /// Errors: not well-formed; nothing about a file `repomd.xml`; no checksum of SHA-256 or stronger; no address.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let (mut xml, _) = Xml::open(bytes, "metalink")?;
        let mut found = None;
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "file" => read_file(&mut xml, &tag, &mut found)?,
                "files" => {
                    let depth = xml.depth();
                    while let Some(tag) = xml.child(depth)? {
                        if tag.name() == "file" {
                            read_file(&mut xml, &tag, &mut found)?;
                        }
                    }
                }
                _ => {}
            }
        }
        xml.end()?;
        let metalink = found.ok_or_else(|| XmlError::content("metalink", "it says nothing of a file `repomd.xml`"))?;
        if !metalink.versions.iter().flat_map(|version| &version.checksums).any(|checksum| checksum.hex().len() >= 64) {
            return Err(XmlError::content("metalink", "it has no checksum of SHA-256 or stronger"));
        }
        if metalink.urls.is_empty() {
            return Err(XmlError::content("metalink", "it has no http or https address"));
        }
        Ok(metalink)
    }
}

fn read_file(xml: &mut Xml<'_>, tag: &Tag<'_>, found: &mut Option<Metalink>) -> Result<(), XmlError> {
    if tag.attribute("name")? != "repomd.xml" || found.is_some() {
        return Ok(());
    }
    let mut file = Metalink { versions: vec![Version::default()], urls: vec![] };
    // Preference descends in version 3, priority ascends in version 4.
    let mut urls: Vec<(i64, String)> = vec![];
    let depth = xml.depth();
    while let Some(tag) = xml.child(depth)? {
        match tag.name() {
            "alternates" => {
                let depth = xml.depth();
                while let Some(tag) = xml.child(depth)? {
                    if tag.name() == "alternate" {
                        file.versions.push(read_version(xml)?);
                    }
                }
            }
            "resources" => {
                let depth = xml.depth();
                while let Some(tag) = xml.child(depth)? {
                    take_url(xml, &tag, &mut urls)?;
                }
            }
            "url" => take_url(xml, &tag, &mut urls)?,
            name => {
                let name = name.to_owned();
                read_part(xml, &name, &tag, &mut file.versions[0])?;
            }
        }
    }
    urls.sort_by_key(|(order, _)| *order);
    file.urls = urls.into_iter().map(|(_, url)| url).collect();
    *found = Some(file);
    Ok(())
}

fn read_version(xml: &mut Xml<'_>) -> Result<Version, XmlError> {
    let mut version = Version::default();
    let depth = xml.depth();
    while let Some(tag) = xml.child(depth)? {
        let name = tag.name().to_owned();
        read_part(xml, &name, &tag, &mut version)?;
    }
    Ok(version)
}

fn read_part(xml: &mut Xml<'_>, name: &str, tag: &Tag<'_>, version: &mut Version) -> Result<(), XmlError> {
    match name {
        "timestamp" => version.timestamp = number("timestamp", &xml.text()?)?,
        "size" => version.size = Some(number("size", &xml.text()?)?),
        "hash" => take_hash(xml, tag, version)?,
        "verification" => {
            let depth = xml.depth();
            while let Some(tag) = xml.child(depth)? {
                if tag.name() == "hash" {
                    take_hash(xml, &tag, version)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// A hash of an unknown kind says nothing; one of a known kind has to be one.
fn take_hash(xml: &mut Xml<'_>, tag: &Tag<'_>, version: &mut Version) -> Result<(), XmlError> {
    let kind = tag.attribute("type")?.replace('-', "");
    let digits = xml.text()?;
    if super::checksum::ChecksumKind::of_name(&kind).is_some() && version.checksums.len() < 10 {
        let checksum = Checksum::parse(&kind, digits.trim()).map_err(|error| XmlError::content("hash", error.to_string()))?;
        version.checksums.push(checksum);
    }
    Ok(())
}

fn take_url(xml: &mut Xml<'_>, tag: &Tag<'_>, urls: &mut Vec<(i64, String)>) -> Result<(), XmlError> {
    if tag.name() != "url" {
        return Ok(());
    }
    let order = |key| Ok::<_, XmlError>(tag.attribute(key)?.trim().parse::<i32>().ok().map(i64::from));
    let order = order("priority")?.or(order("preference")?.map(|preference| -preference)).unwrap_or(1000);
    let url = xml.text()?.trim().to_owned();
    if super::mirrorlist::is_web(&url) && urls.len() < MAX_URLS {
        urls.push((order, url));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::checksum::Sha256;

    fn sample() -> String {
        format!(
            r#"<?xml version="1.0" encoding="utf-8"?><metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://x/"><files>
            <file name="repomd.xml"><mm0:timestamp>1700000000</mm0:timestamp><size>3</size>
            <verification><hash type="md5">900150983cd24fb0d6963f7d28e17f72</hash><hash type="sha256">{}</hash><hash type="crc32">1</hash></verification>
            <mm0:alternates><mm0:alternate><mm0:timestamp>1600000000</mm0:timestamp><size>3</size>
              <verification><hash type="sha256">{}</hash></verification></mm0:alternate></mm0:alternates>
            <resources maxconnections="1"><url protocol="rsync" preference="100">rsync://a/repomd.xml</url>
              <url protocol="http" location="DE" preference="90">http://slow.example/repodata/repomd.xml</url>
              <url protocol="https" location="DE" preference="99">https://fast.example/repodata/repomd.xml</url></resources></file></files></metalink>"#,
            Sha256::of(b"new"),
            Sha256::of(b"old")
        )
    }

    #[test]
    fn the_best_address_comes_first_and_older_versions_are_known() {
        let metalink = Metalink::parse(sample().as_bytes()).unwrap();
        assert_eq!(metalink.urls, ["https://fast.example/repodata/repomd.xml", "http://slow.example/repodata/repomd.xml"]);
        assert_eq!((metalink.version_of(b"new"), metalink.version_of(b"old"), metalink.version_of(b"lie")), (Some(0), Some(1), None));
        assert_eq!((metalink.versions[0].timestamp, metalink.versions[1].timestamp), (1_700_000_000, 1_600_000_000));
    }

    #[test]
    fn version_4_is_read_too() {
        let text = format!(
            r#"<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="repomd.xml"><size>3</size><hash type="sha-256">{}</hash>
            <url priority="2">http://b/</url><url priority="1">http://a/</url></file></metalink>"#,
            Sha256::of(b"new")
        );
        let metalink = Metalink::parse(text.as_bytes()).unwrap();
        assert_eq!((metalink.urls.as_slice(), metalink.version_of(b"new")), (&["http://a/".to_owned(), "http://b/".into()][..], Some(0)));
    }

    #[test]
    fn a_metalink_that_vouches_for_nothing_says_why() {
        let sample = sample();
        for (text, why) in [
            (sample.replace("repomd.xml", "other.xml"), "nothing of a file"),
            (sample.replace("type=\"sha256\"", "type=\"unknown\""), "no checksum"),
            (sample.replace("http", "gopher"), "no http"),
            (sample.replace("type=\"md5\">9", "type=\"md5\">"), "not a checksum"),
            ("<html/>".into(), "a <metalink> is expected"),
        ] {
            let error = Metalink::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(<(file name=\"repomd.xml\"|files|resources|url preference=\"-?[0-9]{1,12}\"|hash type=\"sha256\"|size|alternates|alternate)/?>|</[a-z]{3,10}>|[a-z0-9:/]{0,9}){0,20}") {
            let _ = Metalink::parse(format!("<metalink>{noise}</metalink>").as_bytes());
        }
    }
}
