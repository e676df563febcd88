//! `image build`: makes a version of an image from its recipe and a mirror's snapshot, and publishes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::add_mirror::read_mirror;
use super::image_source::{package_format, package_source};
use super::{Error, Result};
use crate::config::Source;
use crate::config::recipe_file::{self, RecipeFile};
use crate::domain::image::{ImageName, ImageVersion, Recipe};
use crate::domain::name::{MirrorName, SnapshotId};
use crate::image::build::{Build, Built};
use crate::image::layout::ImageDir;
use crate::image::shipped::{SHIPPED, shipped};
use crate::image::source::{PackageSource, needs};
use crate::image::{self, Progress, publish};
use crate::sys::atomic;
use crate::sys::data_dir::DataDir;
use crate::sys::lock::{self, Lock, Mode};

/// How long to wait for another command on the same image.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The image.
    pub name: ImageName,
    /// A recipe that replaces the one that is there.
    pub recipe: Option<PathBuf>,
    /// The mirror to take packages from, instead of the recipe's.
    pub mirror: Option<MirrorName>,
    /// The kernel's package, instead of the recipe's.
    pub kernel: Option<String>,
    /// Packages besides the recipe's.
    pub packages: Vec<String>,
    /// A snapshot other than the published one.
    pub snapshot: Option<SnapshotId>,
    /// Make the version, but do not publish it.
    pub no_publish: bool,
    /// Check everything, say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What a build came to.
#[derive(Clone, Debug)]
pub enum BuildReport {
    /// What would be built (`dry_run`).
    Planned {
        /// The mirror.
        mirror: MirrorName,
        /// Its snapshot.
        snapshot: SnapshotId,
        /// Packages that are named; those that they need come on top.
        packages: usize,
    },
    /// The version that this input makes.
    Done {
        /// It.
        version: Box<ImageVersion>,
        /// False if it was there already.
        new: bool,
        /// Whether it is published now, and if not, why.
        published: Published,
    },
}

/// Whether a version is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is.
    Yes,
    /// A rollback holds the image at another version.
    Held,
    /// Nobody wanted it.
    NotAsked,
}

/// Builds an image. Its recipe is, in this order: the one of the request, that of the last build, the shipped one of its name, or an empty
/// one; what the request says besides is written into it.
///
/// # Errors
/// [`Error::Image`]; what was published stays published.
pub async fn build_image(data: &DataDir, request: &BuildRequest, progress: Arc<dyn Progress>) -> Result<BuildReport> {
    let dir = ImageDir::new(data, &request.name);
    let (recipe, text) = recipe(data, &dir, request)?;
    let source = package_source(data, &recipe, request.snapshot.as_ref())?;
    if request.dry_run {
        return plan(dir, recipe, source, progress).await;
    }
    image::build::check_tools(&[])?;
    atomic::private_folder(&data.images()).map_err(image::Error::from)?;
    atomic::private_folder(dir.root()).map_err(image::Error::from)?;
    let _building = lock_building(&dir).await?;
    if fs::read_to_string(dir.recipe()).ok().as_ref() != Some(&text) {
        atomic::write(&dir.recipe(), text.as_bytes(), 0o644).map_err(image::Error::from)?;
    }
    let at = dir.clone();
    let work = move || Build { dir: &at, recipe: &recipe, source: &source, progress }.run();
    let built = tokio::task::spawn_blocking(work).await.map_err(cut_off)??;
    let (version, new) = match built {
        Built::Same(version) => (version, false),
        Built::New(version) => (version, true),
    };
    let published = publish_made(&dir, &version, !request.no_publish).await?;
    Ok(BuildReport::Done { version, new, published })
}

async fn plan(dir: ImageDir, recipe: Recipe, source: PackageSource, progress: Arc<dyn Progress>) -> Result<BuildReport> {
    let packages = needs(&recipe, source.format()).packages.len();
    let planned = BuildReport::Planned { mirror: source.mirror.clone(), snapshot: source.snapshot.clone(), packages };
    if !dir.root().is_dir() {
        return Ok(planned);
    }
    let published = dir.published();
    let work = move || Build { dir: &dir, recipe: &recipe, source: &source, progress }.same();
    let same = tokio::task::spawn_blocking(work).await.map_err(cut_off)??;
    Ok(same.map_or(planned, |version| {
        let published = if published.as_ref() == Some(&version.id) { Published::Yes } else { Published::NotAsked };
        BuildReport::Done { version: Box::new(version), new: false, published }
    }))
}

/// Publishes a version that was just made, unless a rollback holds the image.
pub(super) async fn publish_made(dir: &ImageDir, version: &ImageVersion, wanted: bool) -> Result<Published> {
    let _lock = lock_image(dir).await?;
    if dir.published().as_ref() == Some(&version.id) {
        return Ok(Published::Yes);
    }
    if dir.is_held() {
        return Ok(Published::Held);
    }
    if !wanted {
        return Ok(Published::NotAsked);
    }
    publish::publish(dir, &version.id)?;
    Ok(Published::Yes)
}

/// Takes the lock of whoever makes a version.
pub(super) async fn lock_building(dir: &ImageDir) -> Result<Lock> {
    Ok(lock::acquire(&dir.building(), Mode::Exclusive, LOCK_LIMIT).await.map_err(image::Error::from)?)
}

/// Takes the lock of whoever publishes or removes versions.
pub(super) async fn lock_image(dir: &ImageDir) -> Result<Lock> {
    Ok(lock::acquire(&dir.lock(), Mode::Exclusive, LOCK_LIMIT).await.map_err(image::Error::from)?)
}

pub(super) fn cut_off(error: tokio::task::JoinError) -> Error {
    Error::Refused(format!("the work was cut off: {error}"))
}

/// The recipe, and the text that is to be kept of it.
fn recipe(data: &DataDir, dir: &ImageDir, request: &BuildRequest) -> Result<(Recipe, String)> {
    let (place, text) = written(dir, request)?;
    let source = Source::new(place, text.clone());
    let mut file = recipe_file::read(&source)?;
    let before = file.clone();
    file.mirror = request.mirror.clone().unwrap_or(file.mirror);
    file.kernel = request.kernel.clone().or(file.kernel);
    let known: BTreeSet<String> = file.packages.iter().cloned().collect();
    file.packages.extend(request.packages.iter().filter(|name| !known.contains(*name)).cloned());
    let format = package_format(&read_mirror(data, &file.mirror)?)?;
    if file == before {
        // As it was written, with its comments.
        return Ok((file.meaning(&source, format)?, text));
    }
    let text = file.to_toml().map_err(|error| Error::Usage(format!("the recipe cannot be written: {error}")))?;
    let source = Source::new(dir.recipe(), text.clone());
    Ok((file.meaning(&source, format)?, text))
}

fn written(dir: &ImageDir, request: &BuildRequest) -> Result<(PathBuf, String)> {
    let read = |path: &Path| {
        let text = fs::read_to_string(path).map_err(|source| Error::Io { what: format!("cannot read {}", path.display()), source })?;
        Ok((path.to_owned(), text))
    };
    if let Some(path) = &request.recipe {
        return read(path);
    }
    if dir.recipe().is_file() {
        return read(&dir.recipe());
    }
    if let Some(text) = shipped(request.name.as_str()) {
        return Ok((format!("image/{}.toml", request.name).into(), text.to_owned()));
    }
    let Some(mirror) = &request.mirror else {
        let known: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        let remedy = format!(
            "recipes ship for {}; for another name the mirror to build it from (--mirror NAME) or a recipe (--recipe FILE.toml)",
            known.join(", ")
        );
        return Err(image::Error::NoImage { name: request.name.clone(), remedy }.into());
    };
    let text = RecipeFile::of_mirror(mirror.clone()).to_toml();
    Ok((dir.recipe(), text.map_err(|error| Error::Usage(format!("the recipe cannot be written: {error}")))?))
}
