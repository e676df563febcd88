//! What the boot files of a diskless node are made of: its attempt's order, the version of its image, and the head itself.

use std::path::PathBuf;
use std::sync::Arc;

use super::diskless_order::version;
use super::export_path::{export_path, export_root};
use super::material::Surroundings;
use super::{Error, Head, Result};
use crate::config::{Config, Nfs};
use crate::domain::attempt::{Attempt, Order};
use crate::domain::image::ImageVersion;
use crate::domain::mac::MacAddr;
use crate::domain::node::Node;
use crate::domain::profile::ProfileKind;
use crate::image::layout::VersionDir;
use crate::image::source;
use crate::provision::Settings;
use crate::provision::context::MASK;
use crate::provision::cpio::Archive;
use crate::provision::hosts::Hosts;
use crate::provision::node_archive::{self, Boot, RootFile};
use crate::provision::tokens::{self, Purpose};

/// Where NFS is served, and the mount protocol with it.
pub const NFS_PORT: u16 = 2049;

/// What one boot is made of.
#[derive(Clone, Debug)]
pub struct DisklessMaterial {
    config: Arc<Config>,
    node: Node,
    mac: Option<MacAddr>,
    number: u32,
    rescue: bool,
    kind: ProfileKind,
    record: ImageVersion,
    dir: VersionDir,
    boot_url: String,
    head_url: String,
    export: Option<String>,
    hosts: Arc<Hosts>,
    machine_id: String,
    settings: Settings,
}

impl DisklessMaterial {
    /// For an attempt; what it ordered is what it gets, whatever has changed since.
    ///
    /// # Errors
    /// If the version is gone, or the frozen variables do not read.
    pub async fn of_attempt(head: &Head, node: &Node, attempt: &Attempt) -> Result<Self> {
        let url = format!("{}/boot/{}", head.config.http_base(), tokens::mint(&head.token_secret, attempt.id, Purpose::Boot));
        let settings = Settings::read(&attempt.order.variables)
            .map_err(|wrong| Error::Refused(wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        let surroundings = Surroundings::of(head).await?;
        let mac = attempt.progress.booted_mac;
        let made = Self::new(head, &surroundings, node, &attempt.order, settings)?;
        Ok(Self { number: attempt.number, boot_url: url, mac: mac.or(made.mac), ..made })
    }

    /// For an attempt that does not exist yet.
    ///
    /// # Errors
    /// If the order names no version that is there.
    pub fn new(head: &Head, surroundings: &Surroundings, node: &Node, order: &Order, settings: Settings) -> Result<Self> {
        let image = order.image.as_ref().ok_or_else(|| Error::Refused(format!("profile `{}` runs from no image", order.profile)))?;
        let (record, dir) = version(&head.data, image)?;
        Ok(Self {
            config: head.config.clone(),
            node: node.clone(),
            mac: node.macs.first().copied(),
            number: 0,
            rescue: order.fallback_of.is_some(),
            kind: order.kind,
            record,
            dir,
            boot_url: format!("{}/boot/{MASK}", head.config.http_base()),
            head_url: head.config.http_base(),
            // The system's own server knows no other name for a directory than its path.
            export: match head.config.nfs {
                Nfs::Kernel => export_root(&head.data, &node.name, order).map(|root| root.display().to_string()),
                Nfs::Embedded | Nfs::Off => export_path(&node.name, order),
            },
            hosts: Arc::clone(surroundings.hosts()),
            machine_id: tokens::machine_id(&head.token_secret, &node.name),
            settings,
        })
    }

    fn boot(&self) -> Boot<'_> {
        let dhcp = &self.config.dhcp;
        let named =
            |servers: &Vec<crate::provision::values::HostOrAddress>| servers.iter().map(|server| server.as_str().to_owned()).collect();
        Boot {
            node: &self.node.name,
            domain: &self.config.domain,
            attempt: self.number,
            rescue: self.rescue,
            kind: self.kind,
            version: &self.record.id,
            mac: self.mac,
            address: self.node.address,
            subnet: self.config.subnet,
            router: dhcp.gateway,
            dns: &dhcp.dns,
            ntp: self.settings.ntp.as_ref().map_or_else(|| dhcp.ntp.iter().map(ToString::to_string).collect(), named),
            head: self.config.address,
            head_url: &self.head_url,
            boot_url: &self.boot_url,
            syslog_port: self.config.syslog_port,
            export: self.export.clone(),
            // A portmapper of the system's may have its port: nodes are told ours.
            nfs_port: (self.config.nfs == Nfs::Embedded).then_some(NFS_PORT),
            root: self.root_file(),
            hosts: &self.hosts,
            package_sources: source::served_at(&self.dir.root(), &format!("{}/mirror/{}", self.head_url, self.record.mirror))
                .map(|file| (file.path, file.text)),
            machine_id: self.machine_id.clone(),
            settings: &self.settings,
        }
    }

    fn root_file(&self) -> Option<RootFile> {
        let file = |name, artefact: &crate::domain::image::Artefact| RootFile { name, bytes: artefact.bytes, sha256: artefact.sha256 };
        match self.kind {
            ProfileKind::Ram => Some(file("root.squashfs", &self.record.root_squashfs)),
            ProfileKind::RamUsr => Some(file("base.squashfs", &self.record.base_squashfs)),
            _ => None,
        }
    }

    /// The kernel command line.
    pub fn kernel_arguments(&self) -> String {
        node_archive::kernel_arguments(&self.boot())
    }

    /// What the loader appends to the initial RAM disk.
    pub fn archive(&self) -> Archive {
        node_archive::archive(&self.boot())
    }

    /// What the archive tells the shell in the initial RAM disk.
    pub fn env(&self) -> String {
        node_archive::env(&self.boot())
    }

    /// Where this attempt's boot files are.
    pub fn boot_url(&self) -> &str {
        &self.boot_url
    }

    /// The kernel.
    pub fn kernel_path(&self) -> PathBuf {
        self.dir.kernel()
    }

    /// The initial RAM disk.
    pub fn initrd_path(&self) -> PathBuf {
        self.dir.initrd()
    }

    /// The compressed root by its name, if this kind of node fetches it.
    pub fn root_path(&self, name: &str) -> Option<PathBuf> {
        self.root_file().filter(|root| root.name == name).map(|root| match root.name {
            "base.squashfs" => self.dir.base_squashfs(),
            _ => self.dir.root_squashfs(),
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
