//! Definitions of RPM mirrors that are made rather than written: from this machine's `.repo` files, from a directory or mounted medium.

use std::path::{Path, PathBuf};

use super::{Error, Result};
use crate::config::mirror_file::{MirrorFile, RepositoryTable, TreeTable};
use crate::mirror::rpm::host_repos::{self, HostRepo};

/// Deeper repositories of a directory are not looked for: `BaseOS/x86_64/os` is three deep.
const MOST_DEEP: usize = 4;

/// What this machine's enabled repositories make; `None` if it has none.
pub(super) fn of_host(root: &Path) -> Option<MirrorFile> {
    let repositories: Vec<RepositoryTable> = host_repos::read(root).into_iter().map(table).collect();
    (!repositories.is_empty()).then(|| MirrorFile { repositories, ..MirrorFile::default() })
}

fn table(host: HostRepo) -> RepositoryTable {
    let mut table = RepositoryTable { name: host.id.clone(), ..RepositoryTable::default() };
    take_over(&mut table, &host);
    table
}

/// Gives a definition's repositories the addresses and keys that this machine has for repositories of the same name.
///
/// # Errors
/// If this machine has none of them.
pub(super) fn fill_from_host(file: &mut MirrorFile, root: &Path) -> Result<()> {
    let hosts = host_repos::read(root);
    let mut found = false;
    for table in &mut file.repositories {
        if let Some(host) = hosts.iter().find(|host| host.id.eq_ignore_ascii_case(&table.name)) {
            take_over(table, host);
            found = true;
        }
    }
    if found {
        return Ok(());
    }
    let names: Vec<&str> = file.repositories.iter().map(|table| table.name.as_str()).collect();
    let text = format!(
        "this machine's .repo files (/etc/yum.repos.d) name none of the repositories {}: leave --from-host out, the definition has addresses",
        names.join(", ")
    );
    Err(Error::Usage(text))
}

fn take_over(table: &mut RepositoryTable, host: &HostRepo) {
    // As dnf prefers them.
    (table.baseurl, table.mirrorlist, table.metalink) = match (&host.metalink, &host.mirrorlist) {
        (Some(metalink), _) => (Vec::new(), None, Some(metalink.clone())),
        (None, Some(list)) => (Vec::new(), Some(list.clone()), None),
        (None, None) => (host.baseurl.clone(), None, None),
    };
    if !host.keys.is_empty() {
        table.keys.clone_from(&host.keys);
    }
    table.repo_gpgcheck = Some(host.repo_gpgcheck);
    table.gpgcheck = host.gpgcheck;
}

/// The definition of a directory that holds repositories with metadata, or a kickstart tree: a copy of an archive, a mounted medium. `None`:
/// it has neither. Its metadata are signed by nobody, as on every medium: whoever mounts it vouches for it, unless keys are given.
pub(super) fn of_tree(folder: &Path, keys: &[PathBuf]) -> Option<MirrorFile> {
    let mut file = MirrorFile::default();
    let found = walkdir::WalkDir::new(folder).max_depth(MOST_DEEP + 1).sort_by_file_name();
    let entries = found.into_iter().filter_entry(|entry| entry.file_name() != "Packages").flatten();
    for entry in entries.filter(|entry| entry.file_name() == "repodata" && entry.path().join("repomd.xml").is_file()) {
        let place = entry.path().parent()?.strip_prefix(folder).ok()?.to_str()?.to_owned();
        let url = format!("file://{}", folder.join(&place).display());
        let signed = entry.path().join("repomd.xml.asc").is_file();
        file.repositories.push(RepositoryTable {
            name: if place.is_empty() { "all".to_owned() } else { place.replace('/', "-") },
            path: Some(if place.is_empty() { ".".to_owned() } else { place }),
            baseurl: vec![url.trim_end_matches('/').to_owned()],
            keys: keys.to_vec(),
            repo_gpgcheck: Some(signed && !keys.is_empty()),
            gpgcheck: !keys.is_empty(),
            ..RepositoryTable::default()
        });
    }
    if file.repositories.is_empty() {
        return None;
    }
    if [".treeinfo", "treeinfo"].iter().any(|name| folder.join(name).is_file()) {
        let url = format!("file://{}", folder.display());
        file.tree = Some(TreeTable { repository: None, url: Some(url), path: None });
    }
    Some(file)
}
