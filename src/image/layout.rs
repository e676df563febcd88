//! Where everything of one image lies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::image::{ImageName, ImageVersion, VersionId};
use crate::domain::name::NodeName;
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;

/// The folder of one image, its owner's alone (0700): the root holds setuid programs and other people's secrets.
///
/// ```text
/// recipe.toml             what it is made from; read anew by every build, so it can be edited
/// lock                    held by whoever publishes or prunes it, for a moment only
/// building                the lock of whoever makes a version, which may take long
/// failed.log              what the last build said, if it failed
/// versions/ID/            one version, see [`VersionDir`]; it never changes
/// versions/.new-.../      a build that is under way, or was killed: the next one removes it
/// work/NODE/              a copy that this node may change: root/, and version with the name of what it began as
/// current -> versions/ID  what is published: what a node gets at its next boot
/// held                    there after a rollback: only an explicit publish releases it
/// ```
#[derive(Clone, Debug)]
pub struct ImageDir {
    root: PathBuf,
    name: ImageName,
}

impl ImageDir {
    /// The folder of an image; nothing is created.
    pub fn new(data: &DataDir, name: &ImageName) -> Self {
        Self { root: data.image(name), name: name.clone() }
    }

    /// The image.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it is made from.
    pub fn recipe(&self) -> PathBuf {
        self.root.join("recipe.toml")
    }

    /// The lock of whoever changes it.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The lock of whoever makes a version.
    pub fn building(&self) -> PathBuf {
        self.root.join("building")
    }

    /// The log of the last build, if it failed.
    pub fn failed_log(&self) -> PathBuf {
        self.root.join("failed.log")
    }

    /// All versions.
    pub fn versions(&self) -> PathBuf {
        self.root.join("versions")
    }

    /// One version's folder, whether or not it is there.
    pub fn version(&self, id: &VersionId) -> VersionDir {
        VersionDir(self.versions().join(id.as_str()))
    }

    /// The copies that nodes may change.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// The root that a node may change, whether or not it is there.
    pub fn writable_root(&self, node: &NodeName) -> PathBuf {
        self.work().join(node.as_str()).join("root")
    }

    /// The link to what is published.
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The mark of a rollback.
    pub fn held(&self) -> PathBuf {
        self.root.join("held")
    }

    /// True after a rollback.
    pub fn is_held(&self) -> bool {
        self.held().exists()
    }

    /// The published version, if any.
    pub fn published(&self) -> Option<VersionId> {
        let target = fs::read_link(self.current()).ok()?;
        let id = target.file_name()?.to_str()?.parse().ok()?;
        self.version(&id).record().is_file().then_some(id)
    }

    /// All versions, the oldest first. What a killed build left half-made has other names and is not among them.
    ///
    /// # Errors
    /// If a version's record does not read.
    pub fn list(&self) -> io::Result<Vec<ImageVersion>> {
        let mut versions: Vec<ImageVersion> = Vec::new();
        for name in names(&self.versions())? {
            let Ok(id) = name.parse::<VersionId>() else { continue };
            versions.extend(self.read(&id)?);
        }
        versions.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(versions)
    }

    /// One version's record.
    ///
    /// # Errors
    /// If the file is there and does not read.
    pub fn read(&self, id: &VersionId) -> io::Result<Option<ImageVersion>> {
        let path = self.version(id).record();
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(atomic::named(error, "read", &path)),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}; was it written by a newer kickctl?", path.display()))
            }),
        }
    }
}

/// The folder of one version.
///
/// ```text
/// version.json      what is known of it
/// root/             the tree, with the owners and modes that nodes see
/// vmlinuz           kernel and initial RAM disk, copies of those in the tree
/// initrd.img
/// root.squashfs     the whole tree
/// base.squashfs     the tree without what is below /usr
/// files.list        every file of the tree with its digest, see `manifest`
/// build.log         all that the build said
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionDir(PathBuf);

impl VersionDir {
    /// A version's folder, finished or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is known of it.
    pub fn record(&self) -> PathBuf {
        self.0.join("version.json")
    }

    /// The tree.
    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.0.join("vmlinuz")
    }

    /// The initial RAM disk.
    pub fn initrd(&self) -> PathBuf {
        self.0.join("initrd.img")
    }

    /// The whole tree, compressed.
    pub fn root_squashfs(&self) -> PathBuf {
        self.0.join("root.squashfs")
    }

    /// The tree without what is below `/usr`, compressed.
    pub fn base_squashfs(&self) -> PathBuf {
        self.0.join("base.squashfs")
    }

    /// Every file of the tree.
    pub fn manifest(&self) -> PathBuf {
        self.0.join("files.list")
    }

    /// All that the build said.
    pub fn log(&self) -> PathBuf {
        self.0.join("build.log")
    }
}

/// All images of a head that have a recipe, by name.
///
/// # Errors
/// If the folder does not read.
pub fn images(data: &DataDir) -> io::Result<Vec<ImageDir>> {
    let mut found: Vec<ImageName> = names(&data.images())?.iter().filter_map(|name| name.parse().ok()).collect();
    found.sort();
    Ok(found.iter().map(|name| ImageDir::new(data, name)).filter(|image| image.recipe().is_file()).collect())
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| atomic::named(error, "list", folder))?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
