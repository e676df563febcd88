//! What a node's files are made of: its profile, its settings, its snapshot, and the head itself.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Error, Head, Result};
use crate::domain::attempt::Attempt;
use crate::domain::checksum::Sha256;
use crate::domain::mac::MacAddr;
use crate::domain::mirror::{InstallerFiles, Snapshot};
use crate::domain::name::{MirrorName, SnapshotId};
use crate::domain::node::{Firmware, Node};
use crate::domain::profile::ProfileKind;
use crate::mirror::layout::MirrorDir;
use crate::provision::context::{AttemptFacts, Context, HeadFacts, MirrorFacts, NetFacts, NodeFacts, Secrets};
use crate::provision::hosts::Hosts;
use crate::provision::library::Library;
use crate::provision::tokens::{self, Purpose};
use crate::provision::{Machine, Settings, kernel_args};
use crate::sys::data_dir::DataDir;

/// What one attempt's files are made of.
#[derive(Clone, Debug)]
pub struct Material {
    library: Library,
    context: Context,
    tree: PathBuf,
    installer: InstallerFiles,
    ordered: Sha256,
}

/// What all nodes of a head have in common.
#[derive(Clone, Debug)]
pub struct Surroundings {
    head: HeadFacts,
    net: NetFacts,
    hosts: Arc<Hosts>,
}

/// Gathers what an attempt's files are made of.
///
/// # Errors
/// If the profile or the snapshot is gone, or the frozen variables do not read.
pub async fn gather(head: &Head, node: &Node, attempt: &Attempt) -> Result<Material> {
    let surroundings = Surroundings::without_hosts(head);
    let library = head.profiles()?;
    let order = &attempt.order;
    let (snapshot, tree) = snapshot(&head.data, &order.mirror, &order.snapshot)?;
    let settings = Settings::read(&order.variables)
        .map_err(|wrong| Error::Refused(wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let firmware = attempt.progress.firmware.or(node.firmware).unwrap_or(Firmware::Bios);
    let boot_url = format!("{}/boot/{}", surroundings.head.url, tokens::mint(&head.token_secret, attempt.id, Purpose::Boot));
    let facts = AttemptFacts { id: attempt.id, number: attempt.number, profile: order.profile.clone(), boot_url };
    let mac = attempt.progress.booted_mac.or_else(|| node.macs.first().copied());
    Ok(Material {
        context: surroundings.context(node, (order.kind, firmware, mac), &snapshot, settings, facts)?,
        installer: installer(&snapshot, node)?,
        ordered: order.profile_digest,
        library,
        tree,
    })
}

impl Material {
    /// The installer's kernel arguments.
    ///
    /// # Errors
    /// If the profile's files were changed after the attempt was armed.
    pub fn kernel_arguments(&self) -> Result<String> {
        self.unchanged()?;
        Ok(kernel_args(&self.context))
    }

    /// The installer's kernel.
    pub fn kernel_path(&self) -> PathBuf {
        self.tree.join(&self.installer.kernel)
    }

    /// The installer's initial RAM disk.
    pub fn initrd_path(&self) -> PathBuf {
        self.tree.join(&self.installer.initrd)
    }

    /// Renders one of the profile's files; with a report token also those that hold secrets.
    ///
    /// # Errors
    /// If a template is wrong, or, before anything is written, if the profile's files were changed after the attempt was armed.
    pub async fn render(&self, head: &Head, name: &str, report_token: Option<&str>) -> Result<String> {
        // The end of an installation that has begun is better than none.
        if name != "late.sh" {
            self.unchanged()?;
        }
        let secrets = report_token.map(|token| Secrets::new(&self.context.settings, token));
        let uses =
            |value| self.library.uses(&self.context.attempt.profile, name, &[value]).map_err(|error| Error::Usage(error.to_string()));
        let (listed, lines) = (uses("hosts")?, uses("derived.hosts_lines")?);
        if !listed && !lines {
            return render(&self.library, &self.context, name, secrets.as_ref());
        }
        // All nodes, in a file of each node: only where they are wanted, and one by one only where a template goes through them.
        let context = Context { hosts: head.hosts().await?, hosts_listed: listed, ..self.context.clone() };
        render(&self.library, &context, name, secrets.as_ref())
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// Which installer runs on the node, how it booted, and how much memory it says that it has.
    pub fn machine(&self, memory: Option<u64>) -> Machine {
        Machine { kind: self.context.kind, firmware: self.context.node.firmware, memory: memory.unwrap_or(0) }
    }

    fn unchanged(&self) -> Result<()> {
        let profile = &self.context.attempt.profile;
        match self.library.digest(profile).map_err(|error| Error::Usage(error.to_string()))? {
            now if now == self.ordered => Ok(()),
            _ => Err(Error::Refused(format!(
                "the files of profile `{profile}` were changed after the attempt was armed: `kickctl reinstall` it anew"
            ))),
        }
    }
}

/// Renders one file of a profile.
pub(super) fn render(library: &Library, context: &Context, name: &str, secrets: Option<&Secrets>) -> Result<String> {
    let wrong = |error: &dyn std::fmt::Display| Error::Refused(error.to_string());
    let view = context.view(secrets).map_err(|error| wrong(&error))?;
    let renderer = library.renderer(&context.attempt.profile).map_err(|error| wrong(&error))?;
    renderer.render(name, view).map_err(|error| wrong(&error))
}

impl Surroundings {
    /// The head, its network, and all nodes with a fixed address.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn of(head: &Head) -> Result<Self> {
        Ok(Self { hosts: head.hosts().await?, ..Self::without_hosts(head) })
    }

    /// The head and its network alone.
    pub fn without_hosts(head: &Head) -> Self {
        let config = &head.config;
        Self {
            head: HeadFacts {
                name: head_name(),
                url: config.http_base(),
                address: config.address,
                port: config.http_port,
                syslog_port: config.syslog_port,
            },
            net: NetFacts {
                domain: config.domain.clone(),
                router: config.dhcp.gateway,
                dns: config.dhcp.dns.clone(),
                ntp: config.dhcp.ntp.clone(),
            },
            hosts: Arc::default(),
        }
    }

    /// With two nodes for all: enough to see whether a file renders.
    #[must_use]
    pub fn sampled(self) -> Self {
        Self { hosts: Arc::new(self.hosts.first(2)), ..self }
    }

    /// The context of one node, which is installed in this way, booted by this firmware from this card.
    ///
    /// # Errors
    /// If the snapshot has no suite and no repository.
    pub fn context(
        &self,
        node: &Node,
        (kind, firmware, mac): (ProfileKind, Firmware, Option<MacAddr>),
        snapshot: &Snapshot,
        settings: Settings,
        attempt: AttemptFacts,
    ) -> Result<Context> {
        let kind = kind.installer().ok_or_else(|| Error::Refused(format!("kind {kind} runs from an image and is not installed")))?;
        let host = self.head.url.trim_start_matches("http://");
        let mirror = MirrorFacts::of(snapshot, host, node.arch, settings.security).ok_or_else(|| {
            Error::Refused(format!("snapshot {} of mirror `{}` has nothing to install from", snapshot.id, snapshot.mirror))
        })?;
        Ok(Context {
            kind,
            node: NodeFacts { name: node.name.clone(), address: node.address, mac, arch: node.arch, firmware },
            head: self.head.clone(),
            net: self.net.clone(),
            hosts: self.hosts.clone(),
            hosts_listed: true,
            mirror,
            attempt,
            settings,
        })
    }

    /// All nodes with a fixed address.
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.hosts
    }

    /// The head's HTTP address.
    pub fn url(&self) -> &str {
        &self.head.url
    }
}

/// The head's host name, one label: part of a file's name on every node. It is read when it is needed; a renamed head is the same head.
fn head_name() -> String {
    let full = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label: String = full.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    match label.parse::<crate::domain::name::NodeName>() {
        Ok(name) => name.to_string(),
        Err(_) => "head".into(),
    }
}

/// A snapshot's record and the folder of its tree.
pub(super) fn snapshot(data: &DataDir, mirror: &MirrorName, id: &SnapshotId) -> Result<(Snapshot, PathBuf)> {
    let dir = MirrorDir::new(data, mirror);
    let read = dir.read(id).map_err(|source| Error::Io { what: format!("snapshot {id} of mirror `{mirror}`"), source })?;
    let gone =
        || Error::Refused(format!("mirror `{mirror}` has no snapshot {id}: `kickctl mirror snapshots {mirror}` lists those there are"));
    Ok((read.ok_or_else(gone)?, dir.tree(id)))
}

/// The installer for a node's architecture.
pub(super) fn installer(snapshot: &Snapshot, node: &Node) -> Result<InstallerFiles> {
    snapshot.installers.iter().find(|installer| installer.arch == node.arch).cloned().ok_or_else(|| {
        Error::Refused(format!(
            "snapshot {} of mirror `{}` has no installer for {}: add `installer` to the mirror's definition and sync it",
            snapshot.id, snapshot.mirror, node.arch
        ))
    })
}
