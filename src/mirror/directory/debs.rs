//! Directories of Debian packages: `.deb` and `.udeb` files.

use std::io::BufRead;

use super::kind::{Kind, Read, Told};
use crate::mirror::error::chain;
use crate::repo::compress::Compression;
use crate::repo::deb::control::{control, index_stanza};
use crate::repo::deb::paragraph::Paragraph;
use crate::repo::path::archive_path;

/// What the label of an installer package ends in.
const UDEB: &str = "/udeb";

/// Debian packages.
#[derive(Clone, Debug)]
pub struct Debs {
    /// What stands before their paths in the index: `pool/`, or nothing.
    pub prefix: &'static str,
}

impl Kind for Debs {
    fn recipe(&self) -> String {
        format!("deb 1 {}", self.prefix)
    }

    fn parts(&self) -> usize {
        1
    }

    fn compression(&self) -> Compression {
        Compression::Gz
    }

    fn takes(&self, name: &str) -> bool {
        name.ends_with(".deb") || name.ends_with(".udeb")
    }

    fn read(&self, file: &Read<'_>, package: &mut dyn BufRead) -> Result<Told, String> {
        let path = archive_path(&format!("{}{}", self.prefix, file.path)).map_err(|error| error.to_string())?;
        let control = control(package).map_err(|error| chain(&error))?;
        let mut stanza = index_stanza(&control, &path, file.stamp.size, file.sha256).map_err(|error| chain(&error))?;
        stanza.truncate(stanza.trim_end().len());
        stanza.push_str("\n\n");
        // That it is there was checked with the stanza.
        let architecture = Paragraph::of(&control).get("Architecture").unwrap_or_default();
        let suffix = if file.path.ends_with(".udeb") { UDEB } else { "" };
        Ok(Told { label: format!("{architecture}{suffix}"), parts: vec![stanza.into_bytes()] })
    }
}

/// An index of a Debian archive: of one component and architecture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Document {
    /// `main`, or `main/debian-installer`.
    pub component: &'static str,
    /// Such as `amd64`.
    pub architecture: String,
}

impl Document {
    /// The indices that packages of these labels need: packages for all architectures stand in each one's index, and an archive without
    /// any other is for the head's own architecture.
    pub fn of(labels: impl IntoIterator<Item = String>, own: &str) -> Vec<Self> {
        let labels: Vec<String> = labels.into_iter().collect();
        let mut architectures: Vec<&str> = labels.iter().map(|label| parse(label).0).filter(|name| *name != "all").collect();
        if architectures.is_empty() {
            architectures.push(own);
        }
        let udebs = labels.iter().any(|label| parse(label).1);
        let components = ["main"].into_iter().chain(udebs.then_some("main/debian-installer"));
        let document = |component| architectures.iter().map(move |name| Self { component, architecture: (*name).to_owned() });
        let mut documents: Vec<Self> = components.flat_map(document).collect();
        documents.sort();
        documents.dedup();
        documents
    }

    /// True if a package of this label stands in it.
    pub fn holds(&self, label: &str) -> bool {
        let (architecture, is_udeb) = parse(label);
        is_udeb == (self.component != "main") && (architecture == "all" || architecture == self.architecture)
    }
}

fn parse(label: &str) -> (&str, bool) {
    label.strip_suffix(UDEB).map_or((label, false), |architecture| (architecture, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_for_all_architectures_stand_in_each_index() {
        let of = |labels: &[&str]| {
            let documents = Document::of(labels.iter().map(|label| (*label).to_owned()), "amd64");
            documents.iter().map(|document| format!("{} {}", document.component, document.architecture)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), ["main amd64"]);
        assert_eq!(of(&["all"]), ["main amd64"]);
        assert_eq!(of(&["all", "arm64"]), ["main arm64"]);
        assert_eq!(of(&["i386", "amd64/udeb"]), ["main amd64", "main i386", "main/debian-installer amd64", "main/debian-installer i386"]);
        let document = Document { component: "main", architecture: "arm64".to_owned() };
        assert!(document.holds("all") && document.holds("arm64") && !document.holds("amd64") && !document.holds("all/udeb"));
    }
}
