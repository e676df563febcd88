//! The network installer: its kernel and initrd, and the udebs that it will load.
//!
//! Kernel, initrd and kernel modules must fit each other, and upstream does not always have all of them: its `installer-<arch>/` may be
//! absent, or newer than the udebs it still has. So candidates are tried in order until one has everything it needs.

use std::io::BufReader;
use std::path::PathBuf;

use super::indices::suite_file;
use super::local;
use super::plan::{self, Item, Lost, Offer};
use super::root::Root;
use crate::domain::checksum::Sha256;
use crate::domain::mirror::{Installer, InstallerFiles};
use crate::domain::node::Arch;
use crate::mirror::assemble::Tree;
use crate::mirror::error::{Incomplete, chain};
use crate::mirror::fetch::{File, Obtained, Tools, describe};
use crate::mirror::{Error, Result};
use crate::repo::deb::closure::Missing;
use crate::repo::deb::control;
use crate::repo::deb::initrd::{self, InitrdFacts};
use crate::repo::deb::installer::installer_closure;
use crate::repo::deb::path::archive_path;
use crate::repo::deb::universe::{PackageId, Universe};
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
/// How many causes a message shows.
const MOST_CAUSES: usize = 8;
/// How often the udebs are chosen anew because some of them turned out to be of no use.
const MOST_ROUNDS: usize = 20;

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
                Ok(chosen) => {
                    if !tried.is_empty() {
                        tools.note(&format!("installer for {arch}: taken from {name}, since {}", tried.join("; since ")));
                    }
                    return Ok(chosen);
                }
                Err(lacking) => {
                    tried.push(format!("{name}: {lacking}"));
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
    let files = offer.lost_indices.clone();
    Err(Error::Incomplete(Box::new(Incomplete { files, dependencies, remedy, ..Incomplete::default() })))
}

/// Adds an installer's kernel and initrd where Debian has them.
pub fn add_images(tree: &mut Tree, dists: &str, installer: &Chosen) {
    let folder = format!("{dists}/{}/{}", images_folder(installer.arch), netboot_folder(installer.arch));
    tree.add(format!("{folder}/linux"), installer.kernel.0, installer.kernel.1);
    tree.add(format!("{folder}/initrd.gz"), installer.initrd.0, installer.initrd.1);
}

/// What a snapshot tells of its installers.
pub fn installer_files(suite: &str, installers: &[Chosen]) -> Vec<InstallerFiles> {
    let files = installers.iter().map(|installer| {
        let folder = format!("dists/{suite}/{}/{}", images_folder(installer.arch), netboot_folder(installer.arch));
        InstallerFiles {
            arch: installer.arch,
            kernel: format!("{folder}/linux"),
            initrd: format!("{folder}/initrd.gz"),
            kernel_release: installer.kernel_release.clone(),
            tree: None,
            live: None,
        }
    });
    files.collect()
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
) -> Result<std::result::Result<Chosen, String>> {
    offer.udebs.entry(arch).or_default();
    let failed = |source| Error::Initrd { path: name.to_owned(), source: Box::new(source) };
    let facts: InitrdFacts = initrd::read_facts(BufReader::with_capacity(1 << 16, tools.store.read(images.initrd.0)?)).map_err(failed)?;
    let held = initrd::installed(&facts.dpkg_status).map_err(|error| Error::Installer {
        arch: arch.to_string(),
        problem: format!("{name}: the initrd's dpkg status: {}", chain(&error)),
    })?;
    // What is useless with this kernel may be needed with the next: a candidate starts from all that is not lost.
    let mut udebs = copy_of(&offer.udebs[&arch], offer.lost.get(&arch).map(Vec::as_slice).unwrap_or_default())?;
    let mut told = Told::default();
    for _ in 0..MOST_ROUNDS {
        let selection = installer_closure(&udebs, &held, &facts.kernel_release, &definition.udebs);
        let useless = useless(&udebs, &selection.missing);
        if !useless.is_empty() {
            // What a root needs of these shows in the next round: then the root lacks it.
            told.useless.extend(selection.missing.iter().filter(|missing| missing.by.contains(' ')).map(ToString::to_string));
            useless.into_iter().for_each(|id| udebs.leave_out(id));
            continue;
        }
        told.roots = selection.missing.iter().map(|missing| missing.needs.clone()).collect();
        told.roots.extend(selection.unknown_names);
        if !told.roots.is_empty() && !allow_missing {
            return Ok(Err(told.explain(&facts.kernel_release)));
        }
        let items = plan::items(offer, &udebs, &selection.packages, &mut std::collections::BTreeMap::new())?;
        let files: Vec<File> = items.iter().map(|item| item.file.clone()).collect();
        let obtained = tools.obtain(&files).await?;
        if obtained.failed.is_empty() {
            told.notes(&items, offer.lost.get(&arch).map(Vec::as_slice).unwrap_or_default()).iter().for_each(|line| tools.note(line));
            let (kernel, initrd) = (images.kernel, images.initrd);
            let left_out = if told.roots.is_empty() { Vec::new() } else { vec![told.explain(&facts.kernel_release)] };
            return Ok(Ok(Chosen { arch, kernel, initrd, kernel_release: facts.kernel_release, udebs: items, left_out, obtained }));
        }
        for (number, outcome) in obtained.failed {
            let item = &items[number];
            let lost = Lost { id: item.id, name: item.name.clone(), line: format!("{}: {}", item.label, describe(&outcome)) };
            told.lost.push(lost.clone());
            offer.lost.entry(arch).or_default().push(lost);
            udebs.leave_out(item.id);
        }
    }
    Ok(Err(told.explain(&facts.kernel_release)))
}

/// What stands in an installer's way.
#[derive(Debug, Default)]
struct Told {
    /// What the installation needs and nobody has.
    roots: Vec<String>,
    /// Files that upstream turned out not to have.
    lost: Vec<Lost>,
    /// Dependencies that nothing satisfies.
    useless: std::collections::BTreeSet<String>,
}

impl Told {
    fn explain(&self, kernel: &str) -> String {
        let causes: Vec<&str> = self.lost.iter().map(|lost| lost.line.as_str()).chain(self.useless.iter().map(String::as_str)).collect();
        let more = causes.len().saturating_sub(MOST_CAUSES);
        let shown = causes.iter().take(MOST_CAUSES).copied().collect::<Vec<_>>().join("; ");
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let because = if shown.is_empty() { String::new() } else { format!(" ({shown}{more})") };
        format!("with kernel {kernel} the installation lacks {}{because}", self.roots.join(", "))
    }

    /// What a person may want to know although the installer has what it needs. `ever_lost`: with other kernels too.
    fn notes(&self, items: &[Item], ever_lost: &[Lost]) -> Vec<String> {
        let replacing = |lost: &Lost| items.iter().find(|item| item.name == lost.name);
        let told = |lost: &Lost| Some(format!("installer package {}; {} takes its place", lost.line, replacing(lost)?.label));
        let mut notes: Vec<String> = ever_lost.iter().filter_map(told).collect();
        let gone = self.lost.iter().filter(|lost| replacing(lost).is_none()).map(|lost| lost.name.as_str());
        let names: std::collections::BTreeSet<&str> = gone.chain(self.useless.iter().filter_map(|line| line.split(' ').next())).collect();
        if !names.is_empty() {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            notes.push(format!(
                "left out installer packages that upstream lacks, or lacks something for (none is needed by default): {names}"
            ));
        }
        notes
    }
}

/// The same packages under the same numbers, without those that are lost.
fn copy_of(udebs: &Universe, lost: &[Lost]) -> Result<Universe> {
    let mut copy = Universe::new();
    let mut stanzas = udebs.stanzas();
    for id in udebs.ids() {
        copy.add(stanzas.read(id), udebs.summary(id).origin)?;
    }
    lost.iter().for_each(|lost| copy.leave_out(lost.id));
    Ok(copy)
}

/// The udebs that lack something: nothing can be done with them. Debian's own index names some (partman-xfs needs an xfsprogs-udeb that
/// does not exist), and an installation does without, unless it asks for them.
fn useless(udebs: &Universe, missing: &[Missing]) -> Vec<PackageId> {
    let of = |missing: &Missing| {
        let name = missing.by.split(' ').next().unwrap_or_default();
        udebs.named(name).iter().copied().find(|id| {
            let summary = udebs.summary(*id);
            missing.by == format!("{} {} {}", summary.name, summary.version, summary.architecture)
        })
    };
    let mut ids: Vec<PackageId> = missing.iter().filter_map(of).collect();
    ids.dedup();
    ids
}
