//! Images and versions, as they are printed.

use serde::Serialize;

use crate::app::TreeChange;
use crate::app::build_image::{BuildReport, Published};
use crate::app::diff_images::ImageDiff;
use crate::app::list_images::ImageReport;
use crate::cli::output::Record;
use crate::cli::progress::size;
use crate::cli::text::moment;
use crate::domain::image::{ImageName, ImageVersion, Origin, VersionId};

impl Record for ImageReport {
    const COLUMNS: &'static [&'static str] =
        &["image", "published", "made", "mirror", "snapshot", "kernel", "packages", "size", "in ram", "versions", "state", "path"];

    fn cells(&self) -> Vec<String> {
        let details = self.published.as_ref().map(|published| &published.details);
        let of = |tell: &dyn Fn(&ImageVersion) -> String| details.map(tell).unwrap_or_default();
        vec![
            self.name.to_string(),
            of(&|version| version.id.to_string()),
            of(&|version| moment(version.made)),
            of(&|version| version.mirror.to_string()),
            of(&|version| version.snapshot.to_string()),
            of(&|version| version.kernel_release.clone()),
            of(&|version| version.packages.len().to_string()),
            of(&|version| size(version.bytes)),
            of(&|version| size(version.root_squashfs.bytes)),
            self.versions.to_string(),
            if self.held { "held" } else { "" }.to_owned(),
            self.published.as_ref().map(|published| published.path.display().to_string()).unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

/// A version, for printing.
#[derive(Debug, Serialize)]
pub struct VersionLine {
    /// Its record.
    #[serde(flatten)]
    pub version: ImageVersion,
    /// Whether nodes get it at their next boot.
    pub published: bool,
}

impl Record for VersionLine {
    const COLUMNS: &'static [&'static str] =
        &["version", "made", "from", "kernel", "packages", "files", "size", "in ram", "without usr", "state"];

    fn cells(&self) -> Vec<String> {
        let version = &self.version;
        let from = match &version.origin {
            Origin::Build => format!("{} {}", version.mirror, version.snapshot),
            Origin::Change { from } => from.to_string(),
        };
        vec![
            version.id.to_string(),
            moment(version.made),
            from,
            version.kernel_release.clone(),
            version.packages.len().to_string(),
            version.files.to_string(),
            size(version.bytes),
            size(version.root_squashfs.bytes),
            size(version.base_squashfs.bytes),
            if self.published { "published" } else { "" }.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.version.id.to_string()
    }
}

/// What a build came to, for printing.
#[derive(Debug, Serialize)]
pub struct BuildLine {
    name: ImageName,
    /// `published`, `unchanged`, `held`, `not published`.
    result: &'static str,
    version: VersionId,
    kernel: String,
    packages: usize,
    bytes: u64,
    ram_bytes: u64,
}

impl BuildLine {
    /// `None` if nothing was built because nothing should be.
    pub fn of(name: &ImageName, report: BuildReport) -> Option<Self> {
        let BuildReport::Done { version, new, published } = report else { return None };
        let result = match (published, new) {
            (Published::Held, _) => "held",
            (Published::NotAsked, true) => "not published",
            (Published::Yes, true) => "published",
            (Published::Yes | Published::NotAsked, false) => "unchanged",
        };
        Some(Self {
            name: name.clone(),
            result,
            packages: version.packages.len(),
            kernel: version.kernel_release,
            bytes: version.bytes,
            ram_bytes: version.root_squashfs.bytes,
            version: version.id,
        })
    }
}

impl Record for BuildLine {
    const COLUMNS: &'static [&'static str] = &["image", "result", "version", "kernel", "packages", "size", "in ram"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.result.to_owned(),
            self.version.to_string(),
            self.kernel.clone(),
            self.packages.to_string(),
            size(self.bytes),
            size(self.ram_bytes),
        ]
    }

    fn name(&self) -> String {
        self.version.to_string()
    }
}

impl Record for ImageDiff {
    const COLUMNS: &'static [&'static str] = &["from", "to", "packages", "files"];

    fn cells(&self) -> Vec<String> {
        vec![self.from.to_string(), self.to.to_string(), self.packages.len().to_string(), self.files.len().to_string()]
    }

    fn name(&self) -> String {
        format!("{} {}", self.from, self.to)
    }
}

/// One line a difference: `+ package htop 3.4`, `- file /etc/x`, `~ package libc6 2.41-12 -> 2.41-13`.
pub fn diff_text(diff: &ImageDiff) -> String {
    let packages = diff.packages.iter().map(|package| {
        let versions: Vec<&str> = [&package.before, &package.after].into_iter().filter_map(|version| version.as_deref()).collect();
        format!("{} package {} {}\n", sign(package.change), package.name, versions.join(" -> "))
    });
    let files = diff.files.iter().map(|file| format!("{} file {}\n", sign(file.change), file.path));
    packages.chain(files).collect()
}

fn sign(change: TreeChange) -> char {
    match change {
        TreeChange::Added => '+',
        TreeChange::Removed => '-',
        TreeChange::Changed => '~',
    }
}
