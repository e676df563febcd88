//! The kickstart tree: `.treeinfo` and what it names. It is complete, or not published.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::published;
use super::records::{check_digest, sha256};
use super::root::Root;
use crate::domain::checksum::{FileEntry, Sha256};
use crate::domain::mirror::{InstallerFiles, KickstartTree, RpmMirror, TreeFiles};
use crate::domain::node::Arch;
use crate::mirror::error::chain;
use crate::mirror::fetch::{File, Tools, describe};
use crate::mirror::format::Content;
use crate::mirror::sync::Fetched;
use crate::mirror::{Error, Result};
use crate::repo::path::{ArchivePath, archive_path};
use crate::repo::rpm::checksum::Checksum;
use crate::repo::rpm::treeinfo::{MAX_TREEINFO, TreeInfo, Variant};
use crate::sys::fetch::{Fetcher, GetError, Outcome, address};
use crate::sys::objects::ObjectStore;

/// No image is larger, bytes: a DVD.
const MAX_IMAGE: u64 = 32 << 30;
/// Taken along where they are: no checksum names them.
const BESIDE: [&str; 2] = [".discinfo", "media.repo"];

/// What a tree's root file may be called.
const NAMES: [&str; 2] = [".treeinfo", "treeinfo"];

/// A tree's `.treeinfo`.
pub struct TreeRoot {
    /// Where the tree is had.
    bases: Vec<String>,
    /// Its folder within the snapshot's tree.
    pub path: String,
    /// `.treeinfo` or `treeinfo`.
    name: &'static str,
    /// As it came.
    bytes: Vec<u8>,
    info: TreeInfo,
    kernel: ArchivePath,
    initrd: ArchivePath,
    image: Option<ArchivePath>,
    /// What it names, with checksums where it has them. Repository metadata is the repository's matter.
    wanted: BTreeMap<ArchivePath, Option<Checksum>>,
    /// The tree of the newest snapshot, where upstream was not asked.
    kept: Option<PathBuf>,
}

/// A tree whose files are in the store.
pub struct HeldTree {
    files: Vec<(ArchivePath, FileEntry)>,
}

/// Fetches `.treeinfo`, or `treeinfo`. `kept`: the folder of the newest snapshot that may hold it as it was, and that snapshot's tree.
///
/// # Errors
/// [`Error::Get`], or [`Error::Metadata`] where it does not read.
pub async fn ask(
    fetcher: &Fetcher,
    tree: &KickstartTree,
    mirror: &RpmMirror,
    roots: &[Root],
    kept: Option<(PathBuf, PathBuf)>,
) -> Result<TreeRoot> {
    let (bases, path) = match tree {
        KickstartTree::At { url, path } => (vec![url.clone()], path.clone()),
        KickstartTree::Repository(name) => {
            let found = mirror.repositories.iter().zip(roots).find(|(repository, _)| repository.name == *name);
            let (repository, root) = found.ok_or_else(|| Error::Usage(format!("the kickstart tree's repository {name} is not there")))?;
            (root.bases.clone(), if mirror.merge { String::new() } else { repository.path.clone() })
        }
    };
    if let Some((folder, snapshot)) = kept {
        let read = |name: &'static str| Some((name, std::fs::read(folder.join(name)).ok()?));
        if let Some((name, bytes)) = NAMES.into_iter().find_map(read)
            && let Ok(info) = TreeInfo::parse(&bytes)
            && let Ok(root) = TreeRoot::of(bases.clone(), path.clone(), name, bytes, info)
        {
            return Ok(TreeRoot { kept: Some(snapshot), ..root });
        }
    }
    let mut last = None;
    for base in &bases {
        for name in NAMES {
            let url = format!("{base}/{name}");
            match fetcher.get(&url, MAX_TREEINFO).await {
                Ok(bytes) => {
                    let refused = |problem: String| Error::Metadata { url: url.clone(), problem };
                    let info = TreeInfo::parse(&bytes).map_err(|error| refused(chain(&error)))?;
                    return TreeRoot::of(bases, path, name, bytes, info).map_err(refused);
                }
                Err(GetError::Missing(_)) if name == ".treeinfo" => {}
                Err(error) => last = Some(error),
            }
        }
    }
    Err(last.map_or_else(|| Error::Usage("the kickstart tree has no address".to_owned()), Error::from))
}

impl TreeRoot {
    /// Tells whether anything changed.
    pub fn digest(&self) -> String {
        format!("{} {}", self.path, Sha256::of(&self.bytes))
    }

    /// `.treeinfo` or `treeinfo`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The file as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A file of the newest snapshot's tree, where that stands for upstream's.
    fn kept(&self, store: &ObjectStore, path: &ArchivePath) -> Option<std::result::Result<(Sha256, u64), GetError>> {
        let file = self.kept.as_ref()?.join(published(&self.path, path.as_str()));
        let copy = std::fs::File::open(&file).and_then(|file| store.import_file(&file));
        Some(copy.map_err(|_| GetError::Missing(file.display().to_string())))
    }

    fn arch(&self) -> Option<Arch> {
        match self.info.arch.as_str() {
            "x86_64" => Some(Arch::Amd64),
            "aarch64" => Some(Arch::Arm64),
            _ => None,
        }
    }

    fn of(bases: Vec<String>, path: String, name: &'static str, bytes: Vec<u8>, info: TreeInfo) -> std::result::Result<Self, String> {
        let inside = |path: &str| archive_path(path).map_err(|error| error.to_string());
        let image = |name: &str| match info.image(name) {
            Some(path) => inside(path),
            None => Err(format!("it names no {name} for {}, so that no installer could boot", info.arch)),
        };
        let (kernel, initrd) = (image("kernel")?, image("initrd")?);
        let image = info.stage2.iter().find(|(name, path)| name == "mainimage" && !path.is_empty());
        let image = image.map(|(_, path)| inside(path)).transpose()?;
        let mut wanted = BTreeMap::new();
        for file in info.files().into_iter().filter(|file| !file.contains("repodata/")).chain(BESIDE) {
            wanted.insert(inside(file)?, info.checksum(file).cloned());
        }
        Ok(Self { bases, path, name, bytes, info, kernel, initrd, image, wanted, kept: None })
    }

    /// What an installer cannot do without: kernel, initrd and, where it is named, the root file system.
    fn is_needed(&self, path: &ArchivePath) -> bool {
        [Some(&self.kernel), Some(&self.initrd), self.image.as_ref()].contains(&Some(path))
    }

    /// Variants that lie where this mirror has no repository, in words.
    pub fn variants_elsewhere(&self, paths: &HashSet<&str>) -> Vec<String> {
        let elsewhere = self
            .info
            .variants
            .iter()
            .filter(|variant| resolve(&self.path, &variant.repository).is_none_or(|place| !paths.contains(place.as_str())));
        let note = |variant: &Variant| {
            format!(
                "the kickstart tree's variant {} lies at {} (seen from `{}`), where this mirror has no repository: add one with that `path`, or \
                 name it in the kickstart by `repo`",
                variant.id, variant.repository, self.path
            )
        };
        elsewhere.map(note).collect()
    }
}

/// A folder relative to another, both within the snapshot's tree. `None`: it leads out.
fn resolve(from: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Fetches all of a tree that there is. What upstream names without having it (its boot.iso, at many mirrors) is told and left, unless an
/// installer needs it.
///
/// # Errors
/// [`Error::Installer`]: something needed is not there, or something is not what `.treeinfo` promises.
pub async fn obtain(tools: &Tools, root: &TreeRoot, fetched: &mut Fetched) -> Result<HeldTree> {
    let failed = |problem: String| Error::Installer { arch: root.info.arch.clone(), problem };
    let base = root.bases.first().map_or("", String::as_str);
    let mut held = Vec::new();
    let mut promised: Vec<(File, bool)> = Vec::new();
    for (path, checksum) in &root.wanted {
        let (needed, path) = (root.is_needed(path), path.clone());
        let url = address(base, path.as_str());
        let outcome = match checksum.as_ref().and_then(sha256) {
            Some(digest) => match size(tools, digest, &url).await {
                Ok(size) => {
                    let urls = root.bases.iter().map(|base| address(base, path.as_str())).collect();
                    promised.push((File { path, size, sha256: digest, urls }, needed));
                    continue;
                }
                Err(error) => Err(error),
            },
            None => match root.kept(&tools.store, &path) {
                Some(kept) => kept,
                None => tools.fetcher.take(&url, &tools.store, MAX_IMAGE).await,
            },
        };
        match outcome {
            Ok((digest, size)) => {
                if let Some(checksum) = checksum {
                    check_digest(&tools.store, checksum, digest).map_err(|problem| failed(format!("{url} {problem}")))?;
                }
                fetched.files += 1;
                fetched.bytes += size;
                held.push((path, FileEntry { size, sha256: digest }));
            }
            Err(GetError::Missing(_)) if !needed => note_missing(tools, &path),
            Err(error) => {
                return Err(failed(format!("the kickstart tree is not complete, so that it is not published: {}", chain(&error))));
            }
        }
    }
    let files: Vec<File> = promised.iter().map(|(file, _)| file.clone()).collect();
    let obtained = tools.obtain(&files).await?;
    fetched.files += obtained.files - obtained.failed.len() as u64;
    fetched.bytes += obtained.bytes;
    for (number, outcome) in &obtained.failed {
        if *outcome != Outcome::Missing || promised[*number].1 {
            let problem = format!("{}: {}", address(base, files[*number].path.as_str()), describe(outcome));
            return Err(failed(format!("the kickstart tree is not complete, so that it is not published: {problem}")));
        }
        note_missing(tools, &files[*number].path);
    }
    let gone: HashSet<usize> = obtained.failed.iter().map(|(number, _)| *number).collect();
    let there = files.into_iter().enumerate().filter(|(number, _)| !gone.contains(number));
    held.extend(there.map(|(_, file)| (file.path, FileEntry { size: file.size, sha256: file.sha256 })));
    Ok(HeldTree { files: held })
}

/// Checksums come without sizes.
async fn size(tools: &Tools, digest: Sha256, url: &str) -> std::result::Result<u64, GetError> {
    match std::fs::metadata(tools.store.path(digest)) {
        Ok(there) => Ok(there.len()),
        Err(_) => match tools.fetcher.length(url).await? {
            size if size > MAX_IMAGE => Err(GetError::TooLarge { url: url.to_owned(), limit: MAX_IMAGE }),
            size => Ok(size),
        },
    }
}

fn note_missing(tools: &Tools, path: &ArchivePath) {
    if !BESIDE.contains(&path.as_str()) {
        tools.note(&format!("the kickstart tree names {path}, which upstream does not have; no installer needs it"));
    }
}

impl HeldTree {
    /// Adds the tree to a snapshot. `repomd`: of the repository in its folder, where that was rebuilt.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn add_to(&self, content: &mut Content, root: &TreeRoot, tools: &Tools, repomd: Option<&Checksum>, merged: bool) -> Result<()> {
        for (path, file) in &self.files {
            content.tree.add(published(&root.path, path.as_str()), file.sha256, file.size);
        }
        let bytes = match repomd {
            Some(checksum) => rebuilt(&String::from_utf8_lossy(&root.bytes), Some(checksum), merged).into_bytes(),
            None => root.bytes.clone(),
        };
        content.tree.add_bytes(&tools.store, published(&root.path, root.name), &bytes)?;
        let Some(arch) = root.arch() else {
            tools.note(&format!(
                "the kickstart tree is for {}, which no node can be: it is copied, and not offered to nodes",
                root.info.arch
            ));
            return Ok(());
        };
        let TreeRoot { kernel, initrd, .. } = root;
        let digest = self.files.iter().find(|(path, _)| path == kernel).map(|(_, file)| file.sha256);
        content.installers.push(InstallerFiles {
            arch,
            kernel: published(&root.path, kernel.as_str()),
            initrd: published(&root.path, initrd.as_str()),
            kernel_release: digest.and_then(|digest| kernel_release(&tools.store, digest)).unwrap_or_default(),
            tree: Some(TreeFiles {
                root: root.path.clone(),
                image: root.image.as_ref().map(|image| published(&root.path, image.as_str())),
                family: root.info.family.clone(),
                version: root.info.version.clone(),
            }),
            live: None,
        });
        Ok(())
    }
}

/// The text with every `repository = ...` and `packages = ...` of a variant led to the tree's own folder, and the checksum of
/// `repodata/repomd.xml` replaced or (`None`) taken out: for a tree whose repository was rebuilt. `merged`: variants are led anew.
fn rebuilt(text: &str, repomd: Option<&Checksum>, merged: bool) -> String {
    let mut section = String::new();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        if section == "checksums" && key == "repodata/repomd.xml" {
            if let Some(checksum) = repomd {
                out += &format!("repodata/repomd.xml = {checksum}\n");
            }
            continue;
        }
        match (merged && section.starts_with("variant-"), key) {
            (true, "repository") => out += "repository = .\n",
            (true, "packages") => out += "packages = Packages\n",
            _ => out = out + line + "\n",
        }
    }
    out
}

/// The release that an x86 kernel tells of itself (Linux, Documentation/arch/x86/boot.rst: `kernel_version`).
fn kernel_release(store: &ObjectStore, kernel: Sha256) -> Option<String> {
    let mut file = store.read(kernel).ok()?;
    let mut head = [0; 0x210];
    file.read_exact(&mut head).ok()?;
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let at = u64::from(u16::from_le_bytes([head[0x20e], head[0x20f]])) + 0x200;
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut text = Vec::new();
    file.take(200).read_to_end(&mut text).ok()?;
    let word = text.split(|byte| matches!(byte, 0 | b' ')).next()?;
    std::str::from_utf8(word).ok().filter(|word| !word.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_outside_the_tree_is_found_within_the_mirror() {
        assert_eq!(resolve("BaseOS/x86_64/os", "../../../AppStream/x86_64/os").as_deref(), Some("AppStream/x86_64/os"));
        assert_eq!(resolve("", ".").as_deref(), Some(""));
        assert_eq!(resolve("", "AppStream").as_deref(), Some("AppStream"));
        assert_eq!(resolve("BaseOS", "../../x"), None);
    }

    #[test]
    fn a_rebuilt_tree_has_the_new_checksum_and_leads_to_itself() {
        let new: Checksum = Sha256::of(b"x").into();
        let text = format!(
            "[checksums]\nrepodata/repomd.xml = sha256:{}\n[general]\narch = x86_64\n[images-x86_64]\ninitrd = images/initrd.img\n\
             [variant-AppStream]\nid = AppStream\nrepository = ../../../AppStream/x86_64/os/\npackages = ../../../AppStream/x86_64/os/Packages\n",
            Sha256::of(b"y")
        );
        let anew = rebuilt(&text, Some(&new), true);
        let tree = TreeInfo::parse(anew.as_bytes()).unwrap();
        assert_eq!(tree.checksum("repodata/repomd.xml"), Some(&new));
        assert_eq!(tree.variants[0].repository, ".");
        assert!(anew.contains("initrd = images/initrd.img\n") && !rebuilt(&text, None, false).contains("repomd.xml"));
    }

    #[test]
    fn a_kernel_tells_its_release() {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(folder.path()).unwrap();
        let mut kernel = vec![0; 0x400];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        kernel[0x300..0x31a].copy_from_slice(b"5.14.0-1.el9.x86_64 (b@b) ");
        assert_eq!(kernel_release(&store, store.import_bytes(&kernel).unwrap()).as_deref(), Some("5.14.0-1.el9.x86_64"));
        assert_eq!(kernel_release(&store, store.import_bytes(b"no kernel").unwrap()), None);
    }
}
