//! Reading updateinfo.xml: the advisories (errata) of a repository, one at a time.
//!
//! The file is carried unchanged on a full mirror; of a filtered one the advisories are kept that name a package that is still there.
//! Nothing is merged: identifiers are unique neither within a repository nor across several.

use std::io::Read;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::elements::{Elements, ElementsError};
use super::version::Evr;
use super::xml::{Tag, Xml, XmlError};

/// The most bytes that one advisory may have; those of large module builds have 2 MB.
pub const MAX_UPDATE: usize = 16 << 20;

/// The `<update>` elements of updateinfo.xml, decompressed by the caller.
pub struct Updates<R>(Elements<R>);

impl<R: Read> Updates<R> {
    /// Of a document.
    pub fn new(reader: R) -> Self {
        Self(Elements::new(reader, "update", MAX_UPDATE))
    }

    /// The next `<update>` as it stands in the file; it can be written again unchanged. `None` at the end.
    pub fn next_raw(&mut self) -> Result<Option<&[u8]>, ElementsError> {
        self.0.next_element()
    }
}

/// An advisory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Such as `RLSA-2024:1234`. Not unique: of several the highest `version` counts.
    pub id: String,
    /// `security`, `bugfix`, `enhancement`, `newpackage`, or anything else.
    pub kind: String,
    /// `final`, `stable`, `retracted` ... `retracted` ones are to be ignored by clients.
    pub status: String,
    /// Who says so; empty if it is not told.
    pub from: String,
    /// The advisory's own version, higher is newer.
    pub version: String,
    /// One line.
    pub title: String,
    /// Free text: `Critical`, `important`, `None` ... Empty if it is not told.
    pub severity: String,
    /// When it was issued.
    pub issued: Option<OffsetDateTime>,
    /// When it was last changed.
    pub updated: Option<OffsetDateTime>,
    /// What it is about.
    pub description: String,
    /// What to do.
    pub solution: String,
    /// Links.
    pub references: Vec<Reference>,
    /// Packages with the fix, by collection.
    pub collections: Vec<Collection>,
    /// The node has to be restarted afterwards, said of the whole advisory.
    pub reboot_suggested: bool,
}

/// A link of an advisory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// `cve`, `bugzilla`, `self` ...
    pub kind: String,
    /// Such as `CVE-2024-1234`.
    pub id: String,
    /// The address.
    pub href: String,
    /// Words.
    pub title: String,
}

/// Packages of one repository or module stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collection {
    /// Its short name.
    pub short: String,
    /// Its name.
    pub name: String,
    /// The module stream: name, stream, version, context, architecture.
    pub module: Option<[String; 5]>,
    /// The packages.
    pub packages: Vec<UpdatePackage>,
}

/// A package with the fix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdatePackage {
    /// Name.
    pub name: String,
    /// Epoch, version, release.
    pub evr: Evr,
    /// Architecture; may be one that the repository does not have.
    pub arch: String,
    /// File name, where it is told.
    pub filename: String,
    /// The node has to be restarted after this package.
    pub reboot_suggested: bool,
}

impl Update {
    /// True if it was withdrawn.
    pub fn is_retracted(&self) -> bool {
        self.status == "retracted"
    }

    /// True if the node has to be restarted, by the advisory or one of its packages.
    pub fn needs_reboot(&self) -> bool {
        self.reboot_suggested || self.packages().any(|package| package.reboot_suggested)
    }

    /// All packages of all collections.
    pub fn packages(&self) -> impl Iterator<Item = &UpdatePackage> {
        self.collections.iter().flat_map(|collection| &collection.packages)
    }

    /// Reads one `<update>` element. A date that cannot be understood is none.
    ///
    /// Errors: not well-formed, or no identifier.
    pub fn parse(element: &[u8]) -> Result<Self, XmlError> {
        let (mut xml, tag) = Xml::open(element, "update")?;
        let mut update = Self {
            kind: tag.attribute("type")?,
            status: tag.attribute("status")?,
            from: tag.attribute("from")?,
            version: tag.attribute("version")?,
            ..Self::default()
        };
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "id" => update.id = xml.text()?.trim().to_owned(),
                "title" => update.title = xml.text()?,
                "severity" => update.severity = xml.text()?.trim().to_owned(),
                "issued" => update.issued = read_date(&mut xml, &tag)?,
                "updated" => update.updated = read_date(&mut xml, &tag)?,
                "description" => update.description = xml.text()?,
                "solution" => update.solution = xml.text()?,
                "reboot_suggested" => update.reboot_suggested = is_set(&xml.text()?),
                "references" => update.references = references(&mut xml)?,
                "pkglist" => update.collections.append(&mut collections(&mut xml)?),
                _ => {}
            }
        }
        xml.end()?;
        if update.id.is_empty() {
            return Err(XmlError::content("update", "it has no id"));
        }
        Ok(update)
    }
}

/// `<reboot_suggested/>` and `True` mean yes; `False` is written by some tools where others leave the element out.
fn is_set(text: &str) -> bool {
    !matches!(text.trim().to_ascii_lowercase().as_str(), "false" | "0" | "no")
}

/// The date stands in the attribute `date`, or is the element's text.
fn read_date(xml: &mut Xml<'_>, tag: &Tag<'_>) -> Result<Option<OffsetDateTime>, XmlError> {
    let attribute = tag.attribute("date")?;
    let text = xml.text()?;
    Ok(date(if attribute.is_empty() { &text } else { &attribute }))
}

/// `2024-03-01 12:30:00`, the same with ` UTC`, `2024-03-01`, or seconds since 1970.
fn date(text: &str) -> Option<OffsetDateTime> {
    const MINUTE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
    const SECOND: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
    let text = text.trim();
    let text = text.strip_suffix("UTC").unwrap_or(text).trim_end().replacen('T', " ", 1);
    let text = text.strip_suffix('Z').unwrap_or(&text);
    if let Ok(seconds) = text.parse::<i64>() {
        return OffsetDateTime::from_unix_timestamp(seconds).ok();
    }
    [SECOND, MINUTE]
        .iter()
        .find_map(|format| time::PrimitiveDateTime::parse(text, format).ok())
        .or_else(|| time::Date::parse(text, DAY).ok().map(time::Date::midnight))
        .map(time::PrimitiveDateTime::assume_utc)
}

fn references(xml: &mut Xml<'_>) -> Result<Vec<Reference>, XmlError> {
    let depth = xml.depth();
    let mut found = vec![];
    while let Some(tag) = xml.child(depth)? {
        if tag.name() == "reference" {
            found.push(Reference {
                kind: tag.attribute("type")?,
                id: tag.attribute("id")?,
                href: tag.attribute("href")?,
                title: tag.attribute("title")?,
            });
        }
    }
    Ok(found)
}

fn collections(xml: &mut Xml<'_>) -> Result<Vec<Collection>, XmlError> {
    let depth = xml.depth();
    let mut found = vec![];
    while let Some(tag) = xml.child(depth)? {
        if tag.name() != "collection" {
            continue;
        }
        let mut collection = Collection { short: tag.attribute("short")?, ..Collection::default() };
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "name" => collection.name = xml.text()?,
                "module" => {
                    let part = |key| tag.attribute(key);
                    collection.module = Some([part("name")?, part("stream")?, part("version")?, part("context")?, part("arch")?]);
                }
                "package" => collection.packages.push(package(xml, &tag)?),
                _ => {}
            }
        }
        found.push(collection);
    }
    Ok(found)
}

fn package(xml: &mut Xml<'_>, tag: &Tag<'_>) -> Result<UpdatePackage, XmlError> {
    let mut package = UpdatePackage { name: tag.attribute("name")?, arch: tag.attribute("arch")?, ..UpdatePackage::default() };
    package.evr = Evr { epoch: tag.attribute("epoch")?, version: tag.attribute("version")?, release: tag.attribute("release")? };
    let depth = xml.depth();
    while let Some(tag) = xml.child(depth)? {
        match tag.name() {
            "filename" => package.filename = xml.text()?.trim().to_owned(),
            "reboot_suggested" => package.reboot_suggested = is_set(&xml.text()?),
            _ => {}
        }
    }
    Ok(package)
}

/// The head and tail of an updateinfo.xml that is written from `<update>` elements as they stand.
pub const DOCUMENT: (&str, &str) = ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<updates>\n", "</updates>\n");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const SAMPLE: &str = r#"<?xml version="1.0"?><updates>
      <update from="a@b" status="final" type="security" version="2"><id>RLSA-2024:1</id><title>Important: x &amp; y</title>
        <issued date="2024-03-01 12:30:00"/><updated date="1709296200"/><severity>Important</severity><description>Words</description>
        <references><reference href="https://x/" id="CVE-2024-1" type="cve" title="t"/></references>
        <pkglist><collection short="c"><name>C</name><module name="m" stream="1" version="8" context="abc" arch="x86_64"/>
          <package name="x" version="1" release="2" epoch="3" arch="aarch64" src="x.src.rpm"><filename>x.rpm</filename><reboot_suggested>True</reboot_suggested></package>
          <package name="y" version="1" release="2" arch="noarch"/></collection></pkglist></update>
      <update status="retracted" type="bugfix"><id>RLSA-2024:1</id><issued>2024-03-01 12:30:00 UTC</issued><reboot_suggested/></update>
      <update type="enhancement"><id>Z</id><reboot_suggested>False</reboot_suggested><issued date="soon"/></update></updates>"#;

    fn all(text: &str) -> Vec<Update> {
        let mut updates = Updates::new(text.as_bytes());
        let mut found = vec![];
        while let Some(raw) = updates.next_raw().unwrap() {
            found.push(Update::parse(raw).unwrap());
        }
        found
    }

    #[test]
    fn advisories_are_read_one_by_one_and_none_is_merged() {
        let [security, retracted, odd] = all(SAMPLE).try_into().unwrap();
        assert_eq!((security.id.as_str(), retracted.id.as_str()), ("RLSA-2024:1", "RLSA-2024:1"));
        assert_eq!(
            (security.title.as_str(), security.severity.as_str(), security.version.as_str()),
            ("Important: x & y", "Important", "2")
        );
        assert_eq!(security.references[0].id, "CVE-2024-1");
        let package = security.packages().next().unwrap();
        assert_eq!((package.evr.to_string().as_str(), package.filename.as_str()), ("3:1-2", "x.rpm"));
        assert_eq!(security.collections[0].module.as_ref().unwrap()[3], "abc");
        assert!(retracted.is_retracted() && retracted.from.is_empty() && odd.severity.is_empty());
    }

    #[test]
    fn dates_are_understood_in_every_form_they_come_in() {
        let [security, retracted, odd] = all(SAMPLE).try_into().unwrap();
        let expected = Some(datetime!(2024-03-01 12:30 UTC));
        assert_eq!((security.issued, security.updated, retracted.issued, odd.issued), (expected, expected, expected, None));
        assert_eq!(date("2024-03-01"), Some(datetime!(2024-03-01 0:00 UTC)));
        assert_eq!(date("2024-03-01T12:30:00Z"), expected);
        assert_eq!(date("99999999999999999"), None);
    }

    #[test]
    fn a_reboot_is_suggested_by_an_empty_element_and_by_a_package_but_not_by_false() {
        let [security, retracted, odd] = all(SAMPLE).try_into().unwrap();
        assert!(!security.reboot_suggested && security.needs_reboot());
        assert!(retracted.needs_reboot());
        assert!(!odd.needs_reboot());
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(<(id|issued|pkglist|collection|package|references|reference|module)( date=\"[0-9TZ: -]{0,22}\")?/?>|</[a-z]{2,10}>|[0-9: -]{0,20}){0,20}") {
            let _ = Update::parse(format!("<update>{noise}</update>").as_bytes());
            let _ = date(&noise);
        }
    }
}
