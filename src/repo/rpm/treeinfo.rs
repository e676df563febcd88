//! Reading .treeinfo: what an installer tree consists of, with checksums.
//!
//! The tree of productmd's format 1.x has `[header]`, `[release]`, `[tree]`, `[variant-...]`; the older one has everything in
//! `[general]`, and both are often there at once. Anaconda reads either.

use std::collections::BTreeMap;

use super::checksum::Checksum;

/// The most bytes that a .treeinfo may have; real ones have under 10 kB.
pub const MAX_TREEINFO: u64 = 1 << 20;
const MAX_ENTRIES: usize = 10_000;

/// What a .treeinfo says. Paths are as written: relative to the tree, not to be followed before they passed
/// [`crate::repo::path::archive_path`]; those of variants may begin with `..` on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeInfo {
    /// Such as `Rocky Linux`.
    pub family: String,
    /// Such as `9.4`.
    pub version: String,
    /// Architecture.
    pub arch: String,
    /// When it was made, seconds since 1970; 0 if it is not told.
    pub timestamp: u64,
    /// Images by platform (`x86_64`, `xen`): name (`kernel`, `initrd`, `boot.iso`) and path.
    pub images: Vec<Image>,
    /// The installer's second stage: `mainimage` (`images/install.img`) and perhaps `instimage`.
    pub stage2: Vec<(String, String)>,
    /// Checksums of files of the tree. May be none, may name files that do not exist, may cover `repodata/repomd.xml`.
    pub checksums: Vec<(String, Checksum)>,
    /// Variants; without any, the tree itself is the only repository.
    pub variants: Vec<Variant>,
    /// Lines of `[checksums]` that are no checksum: path and value.
    pub bad_checksums: Vec<(String, String)>,
}

/// An image of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Platform: an architecture or `xen`.
    pub platform: String,
    /// Such as `kernel`.
    pub name: String,
    /// Such as `images/pxeboot/vmlinuz`.
    pub path: String,
}

/// A variant: a repository in the tree or beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// Such as `AppStream`.
    pub id: String,
    /// `variant`, `addon`, `optional` ...
    pub kind: String,
    /// The folder of the packages, relative to the tree.
    pub packages: String,
    /// The folder that holds `repodata`, relative to the tree: `.`, `AppStream`, `../../../AppStream/x86_64/os`.
    pub repository: String,
}

impl Variant {
    /// True if its repository lies outside the tree.
    pub fn is_outside(&self) -> bool {
        self.repository.starts_with('/') || self.repository.contains("://") || self.repository.split('/').any(|segment| segment == "..")
    }
}

/// Why a .treeinfo is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeInfoError {
    /// It is not UTF-8.
    #[error("the .treeinfo is not UTF-8: byte {0} of it")]
    NotUtf8(usize),
    /// A line is neither a section nor an entry.
    #[error("line {line} of the .treeinfo is neither a `[section]` nor `key = value`: `{text}`")]
    BadLine {
        /// Which, counted from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// More than ten thousand entries.
    #[error("the .treeinfo has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// Neither `[general]` nor `[tree]`.
    #[error("the .treeinfo has neither a `[general]` nor a `[tree]` section")]
    NoTree,
}

impl TreeInfo {
    /// Reads a .treeinfo (or treeinfo). The caller bounds its size by [`MAX_TREEINFO`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TreeInfoError> {
        let sections = sections(bytes)?;
        if !sections.contains_key("general") && !sections.contains_key("tree") {
            return Err(TreeInfoError::NoTree);
        }
        let first = |places: &[(&str, &str)]| {
            let value =
                places.iter().find_map(|(section, key)| sections.get(section)?.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)));
            value.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
        };
        let seconds = first(&[("tree", "build_timestamp"), ("general", "timestamp")]);
        let mut info = Self {
            family: first(&[("release", "name"), ("general", "family"), ("product", "name")]),
            version: first(&[("release", "version"), ("general", "version"), ("product", "version")]),
            arch: first(&[("tree", "arch"), ("general", "arch")]),
            // Some write a fraction.
            timestamp: seconds.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0),
            ..Self::default()
        };
        for (section, entries) in &sections {
            if let Some(platform) = section.strip_prefix("images-") {
                let image = |(name, path): &(&str, &str)| Image { platform: platform.into(), name: (*name).into(), path: (*path).into() };
                info.images.extend(entries.iter().map(image));
            }
        }
        if let Some(entries) = sections.get("stage2") {
            info.stage2 = entries.iter().map(|(key, path)| ((*key).to_owned(), (*path).to_owned())).collect();
        }
        for (path, value) in sections.get("checksums").into_iter().flatten() {
            match value.split_once(':').and_then(|(kind, digits)| Checksum::parse(kind.trim(), digits.trim()).ok()) {
                Some(checksum) => info.checksums.push(((*path).to_owned(), checksum)),
                None => info.bad_checksums.push(((*path).to_owned(), (*value).to_owned())),
            }
        }
        info.variants = variants(&sections, &first(&[("tree", "variants"), ("general", "variants")]));
        Ok(info)
    }

    /// The path of an image of the tree's own architecture, such as `kernel`, `initrd`, `boot.iso`.
    pub fn image(&self, name: &str) -> Option<&str> {
        let named = || self.images.iter().filter(|image| image.name == name);
        named().find(|image| image.platform == self.arch).or_else(|| named().next()).map(|image| image.path.as_str())
    }

    /// Every file that the tree names, once: images, second stage, and what has a checksum.
    pub fn files(&self) -> Vec<&str> {
        let images = self.images.iter().map(|image| image.path.as_str());
        let stage2 = self.stage2.iter().map(|(_, path)| path.as_str());
        let sums = self.checksums.iter().map(|(path, _)| path.as_str());
        let mut files: Vec<_> = images.chain(stage2).chain(sums).filter(|path| !path.is_empty()).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// The checksum of a file of the tree, if it has one.
    pub fn checksum(&self, path: &str) -> Option<&Checksum> {
        self.checksums.iter().find(|(known, _)| known == path).map(|(_, checksum)| checksum)
    }
}

type Sections<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a str)>>;

/// INI as Python's ConfigParser reads it, as far as .treeinfo uses it: no continuation lines, `=` or `:`, comments on lines of their own.
fn sections(bytes: &[u8]) -> Result<Sections<'_>, TreeInfoError> {
    let text = std::str::from_utf8(bytes).map_err(|error| TreeInfoError::NotUtf8(error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sections = Sections::new();
    let (mut current, mut count) = (None, 0);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let bad = || TreeInfoError::BadLine { line: at + 1, text: line.chars().take(80).collect() };
        count += 1;
        if count > MAX_ENTRIES {
            return Err(TreeInfoError::TooMany);
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(bad)?;
            sections.entry(name).or_default();
            current = Some(name);
            continue;
        }
        let (key, value) = line.split_once(['=', ':']).ok_or_else(bad)?;
        let section = current.and_then(|name| sections.get_mut(name)).ok_or_else(bad)?;
        section.push((key.trim(), value.trim()));
    }
    Ok(sections)
}

/// `[variant-AppStream]` and `[addon-HighAvailability]`; a variant that is listed without a section of its own is the tree itself.
fn variants(sections: &Sections<'_>, listed: &str) -> Vec<Variant> {
    let mut found = vec![];
    for (section, entries) in sections {
        let (prefix, id) = match section.split_once('-') {
            Some((prefix @ ("variant" | "addon"), id)) => (prefix, id),
            _ => continue,
        };
        let value = |key: &str| entries.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned());
        found.push(Variant {
            id: value("id").unwrap_or_else(|| id.to_owned()),
            kind: value("type").unwrap_or_else(|| prefix.to_owned()),
            packages: value("packages").or_else(|| value("packagedir")).unwrap_or_default(),
            repository: value("repository").unwrap_or_else(|| ".".to_owned()),
        });
    }
    for id in listed.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        if !found.iter().any(|variant| variant.id == id) {
            found.push(Variant { id: id.to_owned(), kind: "variant".to_owned(), packages: String::new(), repository: ".".to_owned() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROCKY: &str = "[header]\ntype = productmd.treeinfo\nversion = 1.2\n\n[checksums]\nimages/install.img = sha256:a\n\
        images/pxeboot/vmlinuz = sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nrepodata/repomd.xml = md5:zz\n\
        [general]\n; WARNING.0 = This section provides compatibility\nfamily = Old Name\nversion = 9.4\narch = x86_64\nvariant = BaseOS\nrepository = .\n\
        [images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n[images-xen]\nkernel = images/xen/vmlinuz\n\
        [release]\nname = Rocky Linux\nshort = Rocky\nversion = 9.4\n[stage2]\nmainimage = images/install.img\n\
        [tree]\narch = x86_64\nbuild_timestamp = 1714669389.7\nplatforms = x86_64,xen\nvariants = AppStream,BaseOS\n\
        [variant-AppStream]\nid = AppStream\nname = AppStream\npackages = ../../../AppStream/x86_64/os/Packages\nrepository = ../../../AppStream/x86_64/os\ntype = variant\n\
        [variant-BaseOS]\nid = BaseOS\npackages = Packages\nrepository = .\ntype = variant\n";

    #[test]
    fn a_tree_tells_its_images_checksums_and_variants_in_and_outside_of_it() {
        let tree = TreeInfo::parse(ROCKY.as_bytes()).unwrap();
        assert_eq!(
            (tree.family.as_str(), tree.version.as_str(), tree.arch.as_str(), tree.timestamp),
            ("Rocky Linux", "9.4", "x86_64", 1_714_669_389)
        );
        assert_eq!((tree.image("kernel"), tree.image("nothing")), (Some("images/pxeboot/vmlinuz"), None));
        assert_eq!(tree.files(), ["images/install.img", "images/pxeboot/initrd.img", "images/pxeboot/vmlinuz", "images/xen/vmlinuz"]);
        assert!(tree.checksum("images/pxeboot/vmlinuz").unwrap().matches(b""));
        assert_eq!(tree.bad_checksums.len(), 2);
        let outside: Vec<_> = tree.variants.iter().map(|variant| (variant.id.as_str(), variant.is_outside())).collect();
        assert_eq!(outside, [("AppStream", true), ("BaseOS", false)]);
    }

    #[test]
    fn a_tree_with_a_general_section_only_is_a_tree() {
        let tree = TreeInfo::parse(b"[general]\nfamily = CentOS\nversion = 6.10\narch = x86_64\ntimestamp = 1530000000.00\nvariant =\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\n").unwrap();
        assert_eq!((tree.family.as_str(), tree.timestamp, tree.variants.len(), tree.checksums.len()), ("CentOS", 1_530_000_000, 0, 0));
        assert_eq!(tree.image("kernel"), Some("images/pxeboot/vmlinuz"));
    }

    #[test]
    fn a_file_that_is_no_treeinfo_says_why() {
        assert_eq!(TreeInfo::parse(b"[header]\na=b\n"), Err(TreeInfoError::NoTree));
        assert_eq!(
            TreeInfo::parse(b"<html>\n").unwrap_err().to_string(),
            "line 1 of the .treeinfo is neither a `[section]` nor `key = value`: `<html>`"
        );
        assert!(matches!(TreeInfo::parse(b"a = b\n"), Err(TreeInfoError::BadLine { line: 1, .. })));
        assert_eq!(TreeInfo::parse(format!("[general]\n{}", "a=b\n".repeat(MAX_ENTRIES)).as_bytes()), Err(TreeInfoError::TooMany));
        assert_eq!(TreeInfo::parse(b"\xff"), Err(TreeInfoError::NotUtf8(0)));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(\\[(general|tree|checksums|variant-A|images-x)\\]|[a-z]{0,6} ?[=:] ?[a-z0-9:.]{0,8}|\n|[\\[\\];#-]){0,40}") {
            if let Ok(tree) = TreeInfo::parse(noise.as_bytes()) {
                let _ = (tree.files(), tree.image("kernel"));
            }
        }
    }
}
