//! The network installer: its kernel and initrd, and the udebs that it will load.
//!
//! Kernel, initrd and kernel modules must fit each other, and upstream does not always have all of them: its `installer-<arch>/` may be
//! absent, or newer than the udebs it still has. So candidates are tried in order until one has everything it needs.

use std::io::BufReader;
use std::path::PathBuf;

use super::error::{Incomplete, chain};
use super::fetch::{File, Obtained, Tools, describe};
use super::indices::suite_file;
use super::local;
use super::plan::{self, Item, Offer};
use super::root::Root;
use super::{Error, Result};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::Installer;
use crate::domain::node::Arch;
use crate::repo::deb::control;
use crate::repo::deb::initrd::{self, InitrdFacts};
use crate::repo::deb::installer::installer_closure;
use crate::repo::deb::path::archive_path;
use crate::sys::fetch::{GetError, Outcome, address};

/// Below `dists/<suite>/`.
pub fn images_folder(arch: Arch) -> String {
    format!("main/installer-{arch}/current/images")
}

/// Below [`images_folder`].
pub fn netboot_folder(arch: Arch) -> String {
    format!("netboot/debian-installer/{arch}")
}

/// The largest kernel or initrd that is fetched, bytes.
const MAX_IMAGE: u64 = 1 << 30;
/// The most that is decompressed of a package of images.
const MAX_UNPACKED: u64 = 4 << 30;
const MAX_SUMS: u64 = 4 << 20;
/// How often the udebs are chosen anew because upstream lost files.
const MOST_ROUNDS: usize = 5;

/// Kernel and initrd in the store.
#[derive(Clone, Debug)]
struct Images {
    kernel: (Sha256, u64),
    initrd: (Sha256, u64),
}

/// An installer that has everything it needs.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Its architecture.
    pub arch: Arch,
    /// Digest and size.
    pub kernel: (Sha256, u64),
    /// Digest and size.
    pub initrd: (Sha256, u64),
    /// The kernel's release.
    pub kernel_release: String,
    /// The udebs that it loads.
    pub udebs: Vec<Item>,
    /// What was left out, by leave.
    pub left_out: Vec<String>,
    /// What was fetched for it.
    pub obtained: Obtained,
}

/// A place that may have kernel and initrd.
enum Candidate<'a> {
    Upstream(&'a Root),
    Local(&'a (PathBuf, PathBuf)),
    Package(&'a str),
}

impl Candidate<'_> {
    fn name(&self, arch: Arch) -> String {
        match self {
            Self::Upstream(root) => address(&root.url, &format!("dists/{}/{}", root.suite, images_folder(arch))),
            Self::Local((kernel, _)) => kernel.parent().unwrap_or(kernel).display().to_string(),
            Self::Package(name) => format!("package {name}"),
        }
    }
}

/// Finds kernel, initrd and udebs for one architecture. In order: upstream's `installer-<arch>/`, the site's own `images/`, the package
/// of images that the definition names (150 MB: last).
///
/// # Errors
/// [`Error::Installer`] or [`Error::Incomplete`], with what was tried.
pub async fn choose(
    tools: &Tools,
    definition: &Installer,
    arch: Arch,
    roots: &[Root],
    listing: &local::Listing,
    offer: &mut Offer,
    allow_missing: bool,
) -> Result<Chosen> {
    let upstream = roots.iter().filter(|root| root.suite == definition.suite).take(1).map(Candidate::Upstream);
    let own = listing.images.iter().map(Candidate::Local);
    let package = definition.package.iter().map(|name| Candidate::Package(name));
    let mut tried = Vec::new();
    let mut last = None;
    for candidate in upstream.chain(own).chain(package) {
        let name = candidate.name(arch);
        match obtain_images(tools, &candidate, arch, offer).await {
            Ok(images) => match close(tools, definition, arch, &images, &name, offer, false).await? {
                Ok(chosen) => return Ok(chosen),
                Err(lacking) => {
                    tried.push(format!("{name}: {}", lacking.join("; ")));
                    last = Some((images, name));
                }
            },
            Err(problem) => tried.push(format!("{name}: {problem}")),
        }
    }
    let Some((images, name)) = last else {
        let remedy =
            "give a directory with images/linux and images/initrd.gz by `--local DIR`, or take the [installer] out of the definition";
        let problem = format!("no kernel and initrd to be had. Tried {}. To do: {remedy}", tried.join("; tried "));
        return Err(Error::Installer { arch: arch.to_string(), problem });
    };
    if allow_missing && let Ok(chosen) = close(tools, definition, arch, &images, &name, offer, true).await? {
        return Ok(chosen);
    }
    let remedy =
        "put the missing udebs (or images/linux and images/initrd.gz of a kernel that upstream has the udebs for) into a directory \
                  and add it to the mirror by `--local DIR`, or sync with --allow-missing"
            .to_owned();
    let dependencies = tried.into_iter().map(|line| format!("installer for {arch}: {line}")).collect();
    Err(Error::Incomplete(Box::new(Incomplete { dependencies, remedy, ..Incomplete::default() })))
}

async fn obtain_images(tools: &Tools, candidate: &Candidate<'_>, arch: Arch, offer: &Offer) -> std::result::Result<Images, String> {
    match candidate {
        Candidate::Upstream(root) => from_upstream(tools, root, arch).await,
        Candidate::Local((kernel, initrd)) => {
            let copy = |path: &PathBuf| local::copy(&tools.store, path).map_err(|error| chain(&error));
            Ok(Images { kernel: copy(kernel)?, initrd: copy(initrd)? })
        }
        Candidate::Package(name) => from_package(tools, name, arch, offer).await,
    }
}

/// Upstream's images: the Release file vouches for SHA256SUMS, which vouches for them.
async fn from_upstream(tools: &Tools, root: &Root, arch: Arch) -> std::result::Result<Images, String> {
    let folder = images_folder(arch);
    let sums_path = format!("{folder}/SHA256SUMS");
    let entry = archive_path(&sums_path).ok().and_then(|path| root.release.files.get(&path).copied());
    let entry = entry.filter(|entry| entry.size <= MAX_SUMS).ok_or("its Release file names no SHA256SUMS of installer images")?;
    let sums = suite_file(root, &sums_path, entry).map_err(|error| chain(&error))?;
    if let Some((_, outcome)) = tools.obtain(std::slice::from_ref(&sums)).await.map_err(|error| error.to_string())?.failed.first() {
        return Err(format!("SHA256SUMS {}", describe(outcome)));
    }
    let text = std::fs::read_to_string(tools.store.path(sums.sha256)).map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    for name in ["linux", "initrd.gz"] {
        let wanted = format!("{}/{name}", netboot_folder(arch));
        let line = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let digest = line.map(|(digest, path)| (digest, path.trim().trim_start_matches("./"))).find(|(_, path)| *path == wanted);
        let sha256: Sha256 = digest.ok_or(format!("SHA256SUMS names no {wanted}"))?.0.parse().map_err(|error| format!("{error}"))?;
        let url = address(&root.url, &format!("dists/{}/{folder}/{wanted}", root.suite));
        let size = match std::fs::metadata(tools.store.path(sha256)) {
            Ok(there) => there.len(),
            // SHA256SUMS tells no sizes.
            Err(_) => tools.fetcher.length(&url).await.map_err(|error| missing(&error, name))?,
        };
        if size > MAX_IMAGE {
            return Err(format!("{name} has {size} bytes, more than the {MAX_IMAGE} allowed"));
        }
        let path = archive_path(&format!("{folder}/{wanted}")).map_err(|error| error.to_string())?;
        files.push(File { path, size, sha256, urls: vec![url] });
    }
    if let Some((number, outcome)) = tools.obtain(&files).await.map_err(|error| error.to_string())?.failed.first() {
        return Err(format!("{} {}", files[*number].path.file_name(), describe(outcome)));
    }
    Ok(Images { kernel: (files[0].sha256, files[0].size), initrd: (files[1].sha256, files[1].size) })
}

fn missing(error: &GetError, name: &str) -> String {
    match error {
        GetError::Missing(_) => format!("{name} {}", describe(&Outcome::Missing)),
        other => format!("{name}: {other}"),
    }
}

/// Images out of a `debian-installer-*-netboot-*` package.
async fn from_package(tools: &Tools, name: &str, arch: Arch, offer: &Offer) -> std::result::Result<Images, String> {
    let newest = offer.debs.named(name).first().copied().ok_or("upstream has no such package")?;
    let items = plan::items(offer, &offer.debs, &[newest], &mut std::collections::BTreeMap::new()).map_err(|error| chain(&error))?;
    let files: Vec<File> = items.into_iter().map(|item| item.file).collect();
    if let Some((_, outcome)) = tools.obtain(&files).await.map_err(|error| error.to_string())?.failed.first() {
        return Err(describe(outcome));
    }
    let file = files.first().ok_or("it has no file")?;
    let deb = BufReader::new(tools.store.read(file.sha256).map_err(|error| error.to_string())?);
    // `usr/lib/debian-installer/images/13/amd64/text/debian-installer/amd64/linux`; the graphical installer is in `gtk`.
    let folder = format!("/text/debian-installer/{arch}/");
    let mut found = [None, None];
    let mut sink = |path: &str, reader: &mut dyn std::io::Read| {
        let slot = usize::from(path.ends_with("/initrd.gz"));
        found[slot] = Some(tools.store.import_reader(reader)?);
        Ok(())
    };
    let wanted = |path: &str| path.contains(&folder) && (path.ends_with("/linux") || path.ends_with("/initrd.gz"));
    control::extract(deb, &wanted, MAX_UNPACKED, &mut sink).map_err(|error| chain(&error))?;
    match found {
        [Some(kernel), Some(initrd)] => Ok(Images { kernel, initrd }),
        _ => Err(format!("it holds no *{folder}{{linux,initrd.gz}}")),
    }
}

/// Closes the udebs of the initrd's kernel and fetches them, going around those that upstream lost. The inner error lists what is missing.
async fn close(
    tools: &Tools,
    definition: &Installer,
    arch: Arch,
    images: &Images,
    name: &str,
    offer: &mut Offer,
    allow_missing: bool,
) -> Result<std::result::Result<Chosen, Vec<String>>> {
    let failed = |source| Error::Initrd { path: name.to_owned(), source };
    let facts: InitrdFacts = initrd::read_facts(BufReader::with_capacity(1 << 16, tools.store.read(images.initrd.0)?)).map_err(failed)?;
    let held = initrd::installed(&facts.dpkg_status).map_err(|error| Error::Installer {
        arch: arch.to_string(),
        problem: format!("{name}: the initrd's dpkg status: {}", chain(&error)),
    })?;
    let mut lost: Vec<String> = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let udebs = offer.udebs.entry(arch).or_default();
        let selection = installer_closure(udebs, &held, &facts.kernel_release, &definition.udebs);
        let mut lacking: Vec<String> = selection.missing.iter().map(ToString::to_string).collect();
        lacking.extend(selection.unknown_names.iter().map(|name| format!("the definition asks for the udeb {name}, which nobody has")));
        if !lacking.is_empty() && !allow_missing {
            lacking.extend(lost);
            lacking.insert(0, format!("kernel {}", facts.kernel_release));
            return Ok(Err(lacking));
        }
        let items = plan::items(offer, &offer.udebs[&arch], &selection.packages, &mut std::collections::BTreeMap::new())?;
        let files: Vec<File> = items.iter().map(|item| item.file.clone()).collect();
        let obtained = tools.obtain(&files).await?;
        if obtained.failed.is_empty() {
            lost.iter().for_each(|line| tools.note(line));
            let (kernel, initrd) = (images.kernel, images.initrd);
            let left_out = if lacking.is_empty() { Vec::new() } else { lacking.into_iter().chain(lost).collect() };
            return Ok(Ok(Chosen { arch, kernel, initrd, kernel_release: facts.kernel_release, udebs: items, left_out, obtained }));
        }
        for (number, outcome) in obtained.failed {
            let item = &items[number];
            lost.push(format!("installer package {}: {}", item.label, describe(&outcome)));
            if let Some(udebs) = offer.udebs.get_mut(&arch) {
                udebs.leave_out(item.id);
            }
        }
    }
    Ok(Err(lost))
}
