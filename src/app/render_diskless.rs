//! Shows what a diskless node would be given, without giving it.

use super::diskless_material::DisklessMaterial;
use super::preflight::Bench;
use super::render_profile::KERNEL_ARGUMENTS;
use super::take_over_diskless::secrets;
use super::{Error, Result};
use crate::domain::attempt::Order;
use crate::domain::node::Node;
use crate::provision::Settings;
use crate::provision::context::MASK;
use crate::provision::cpio::{Archive, Entry};
use crate::store::HostKey;

/// What the initial RAM disk's shell is told; shown when nothing else is asked for.
const ENV: &str = "env";
/// What is in the node's archive.
const ARCHIVE: &str = "node.cpio";
/// What is in the answer to the take-over.
const TAKE_OVER: &str = "takeover";

/// Renders `env`, `kernel-arguments`, the listing of `node.cpio` or of `takeover`, or a file of the archive by its path.
pub(super) fn render_diskless(bench: &Bench<'_>, node: &Node, order: &Order, settings: Settings, file: &str) -> Result<String> {
    let material = DisklessMaterial::new(bench.head, &bench.surroundings, node, order, settings)?;
    match file {
        ENV => Ok(material.env()),
        KERNEL_ARGUMENTS => Ok(material.kernel_arguments() + "\n"),
        ARCHIVE => Ok(listing(&material.archive())),
        TAKE_OVER => {
            // Names and modes alone: the secrets are made and given at the take-over.
            let key = |kind: &str| HostKey { name: format!("ssh_host_{kind}_key"), private: String::new(), public: String::new() };
            let keys: Vec<HostKey> = super::host_keys::KINDS.iter().map(|kind| key(kind)).collect();
            Ok(listing(&secrets(MASK, &keys, order)))
        }
        path => {
            let archive = material.archive();
            let found = archive.entries().find(|(name, _)| name.strip_prefix("kickctl/files/") == Some(path.trim_start_matches('/')));
            match found {
                Some((_, Entry::File { content, .. })) => Ok(String::from_utf8_lossy(content).into_owned()),
                Some((_, Entry::Link(target))) => Ok(format!("-> {target}\n")),
                None => Err(Error::Usage(format!(
                    "a diskless node is given no `{path}`: there are {ENV}, {KERNEL_ARGUMENTS}, {ARCHIVE}, {TAKE_OVER}, and the files that {ARCHIVE} lists"
                ))),
            }
        }
    }
}

/// As `ls -l` would have it, without sizes of what is secret.
fn listing(archive: &Archive) -> String {
    let line = |(path, entry): (&str, &Entry)| match entry {
        Entry::File { mode, .. } => format!("{mode:04o} {path}\n"),
        Entry::Link(target) => format!("link {path} -> {target}\n"),
    };
    archive.entries().map(line).collect()
}
