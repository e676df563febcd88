//! What a node's files are made from: its attempt, the snapshot, the profile, the head.

use std::path::PathBuf;

use super::list_profiles::list_profiles;
use super::order::{self, snapshot_of};
use super::{Error, Head, Result};
use crate::domain::attempt::{Attempt, AttemptId, Order, Progress};
use crate::domain::mirror::{InstallerFiles, Snapshot};
use crate::domain::node::{Firmware, Node};
use crate::mirror::layout::MirrorDir;
use crate::provision::context::{AttemptFacts, Context, HeadFacts, Host, MirrorFacts, NetFacts, NodeFacts, Secrets};
use crate::provision::library::Library;
use crate::provision::render::Renderer;
use crate::provision::tokens::{self, Purpose};
use crate::provision::{Settings, kernel_args};

/// Everything that one node's files are rendered from.
#[derive(Debug)]
pub struct Material {
    library: Library,
    context: Context,
    tree: PathBuf,
    installer: InstallerFiles,
}

/// Gathers the material of an attempt.
///
/// # Errors
/// [`Error::Refused`] if the profile's files have changed since the attempt was armed, or its snapshot is gone.
pub(super) async fn gather(head: &Head, node: &Node, attempt: &Attempt) -> Result<Material> {
    let library = list_profiles(&head.data)?;
    let (order, now) = (&attempt.order, library.digest(&attempt.order.profile)?);
    if now != order.profile_digest {
        return Err(Error::Refused(format!(
            "profile {} was changed after attempt {} of {} was armed: `kickctl reinstall {}` arms one with the new files",
            order.profile, attempt.number, node.name, node.name
        )));
    }
    let which = (attempt.id, attempt.number);
    assemble(head, library, node, order, &attempt.progress, which).await
}

/// Gathers the material of an attempt that is not there yet, for a preflight.
///
/// # Errors
/// As [`gather`].
pub(super) async fn rehearse(head: &Head, library: Library, node: &Node, order: &Order, firmware: Firmware) -> Result<Material> {
    let progress = Progress { booted_mac: node.macs.first().copied(), firmware: Some(firmware), ..Progress::default() };
    assemble(head, library, node, order, &progress, (0, 0)).await
}

async fn assemble(
    head: &Head,
    library: Library,
    node: &Node,
    order: &Order,
    progress: &Progress,
    (id, number): (AttemptId, u32),
) -> Result<Material> {
    let snapshot = snapshot_of(&head.data, &order.mirror, &order.snapshot)?;
    let installer = order::installer_of(&snapshot, node)?.clone();
    let settings = order::settings(&order.variables)?;
    let config = &head.config;
    let host = format!("{}:{}", config.address, config.http_port);
    let mirror = mirror_facts(&snapshot, &host, &settings)?;
    let boot_url = format!("{}/boot/{}", config.http_base(), tokens::mint(&head.token_secret, id, Purpose::Boot));
    let context = Context {
        node: NodeFacts {
            name: node.name.clone(),
            address: node.address,
            mac: progress.booted_mac,
            arch: node.arch,
            firmware: progress.firmware.or(node.firmware).unwrap_or(Firmware::Bios),
        },
        head: HeadFacts {
            name: head.name(),
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
        mirror,
        attempt: AttemptFacts { id, number, profile: order.profile.clone(), boot_url },
        hosts: hosts(head).await?,
        settings,
    };
    let tree = MirrorDir::new(&head.data, &order.mirror).tree(&order.snapshot);
    Ok(Material { library, context, tree, installer })
}

fn mirror_facts(snapshot: &Snapshot, host: &str, settings: &Settings) -> Result<MirrorFacts> {
    MirrorFacts::of(snapshot, host, settings.security)
        .ok_or_else(|| Error::Refused(format!("snapshot {} of {} offers no suite to install", snapshot.id, snapshot.mirror)))
}

async fn hosts(head: &Head) -> Result<Vec<Host>> {
    let nodes = head.store.nodes().await?;
    Ok(nodes.iter().filter_map(|node| node.address.map(|address| Host { address, name: node.name.to_string() })).collect())
}

impl Material {
    /// The installer's kernel command line.
    pub fn kernel_arguments(&self) -> String {
        kernel_args(&self.context)
    }

    /// The installer's kernel.
    pub fn kernel_path(&self) -> PathBuf {
        self.tree.join(&self.installer.kernel)
    }

    /// The installer's initial RAM disk.
    pub fn initrd_path(&self) -> PathBuf {
        self.tree.join(&self.installer.initrd)
    }

    /// The merged variables, validated.
    pub fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// What templates see.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Renders one of the profile's templates; with the report token also those that carry secrets.
    ///
    /// # Errors
    /// If the template does not render; the message names its file and line.
    pub fn render(&self, template: &str, report_token: Option<&str>) -> Result<String> {
        self.render_with(template, report_token.map(|token| Secrets::new(&self.context.settings, token)).as_ref())
    }

    /// As [`Material::render`], with secrets of the caller's, such as masked ones.
    ///
    /// # Errors
    /// As [`Material::render`].
    pub fn render_with(&self, template: &str, secrets: Option<&Secrets>) -> Result<String> {
        let view =
            self.context.view(secrets).map_err(|error| Error::Usage(format!("the variables cannot be handed to templates: {error}")))?;
        Ok(Renderer::new(&self.library, &self.context.attempt.profile)?.render(template, &view)?)
    }
}
