//! What an attempt of a diskless node freezes, and what would keep the node from booting.

use super::diskless_material::DisklessMaterial;
use super::export_path::export_root;
use super::preflight::{Bench, Finding, wrong_address};
use super::{Error, Head, Result};
use crate::config::Config;
use crate::domain::attempt::{Attempt, ImageRef, Order, State};
use crate::domain::image::ImageVersion;
use crate::domain::name::{NodeName, ProfileName, VersionId};
use crate::domain::node::Node;
use crate::domain::profile::ProfileKind;
use crate::image::change;
use crate::image::layout::{ImageDir, VersionDir};
use crate::provision::Settings;
use crate::provision::arguments::MAX_ARGUMENTS;
use crate::sys::data_dir::DataDir;

/// A version's record and its folder.
///
/// # Errors
/// [`Error::Refused`] if it is not there.
pub(super) fn version(data: &DataDir, image: &ImageRef) -> Result<(ImageVersion, VersionDir)> {
    let dir = ImageDir::new(data, &image.name);
    let read = dir.read(&image.version).map_err(|source| Error::Io { what: format!("image {image}"), source })?;
    let gone =
        || Error::Refused(format!("image `{}` has no version {}: `kickctl image list` shows those there are", image.name, image.version));
    Ok((read.ok_or_else(gone)?, dir.version(&image.version)))
}

impl Bench<'_> {
    /// What an attempt of a diskless node would freeze: the version that it names, or the published one.
    pub(super) async fn diskless_order(
        &self,
        node: &Node,
        profile: &ProfileName,
        kind: ProfileKind,
        pinned: Option<VersionId>,
    ) -> Result<Order> {
        let refused = |error: crate::provision::library::LibraryError| Error::Refused(error.to_string());
        let name = self.library.image(profile).map_err(refused)?.ok_or_else(|| {
            Error::Refused(format!(
                "neither profile `{profile}` nor what it extends names an image: write `image = \"NAME\"` into its profile.toml"
            ))
        })?;
        let dir = ImageDir::new(&self.head.data, &name);
        let version_id = match kind {
            // What it began as: another version is another copy.
            ProfileKind::NfsRw => change::checked_out(&dir, &node.name).ok_or_else(|| {
                let node = &node.name;
                Error::Refused(format!(
                    "{node} has no copy of image `{name}` to write to: `kickctl image checkout {name} {node}` makes one"
                ))
            })?,
            _ => pinned.or_else(|| dir.published()).ok_or_else(|| {
                Error::Refused(format!("image `{name}` has no published version: `kickctl image build {name}` makes and publishes one"))
            })?,
        };
        let image = ImageRef { name, version: version_id };
        let (record, _) = version(&self.head.data, &image)?;
        Ok(Order {
            profile: profile.clone(),
            kind,
            profile_digest: self.library.digest(profile).map_err(refused)?,
            mirror: record.mirror,
            snapshot: record.snapshot,
            image: Some(image),
            fallback_of: None,
            variables: self.variables(node, profile).await?,
        })
    }

    /// Everything that is wrong for one diskless node.
    pub(super) async fn look_diskless(&self, node: &Node, order: &Order, settings: Settings) -> Result<Vec<Finding>> {
        let Some(image) = &order.image else { return Ok(vec![]) };
        let place = format!("image {image}");
        let (record, dir) = version(&self.head.data, image)?;
        let mut findings = Vec::new();
        if record.recipe.arch != node.arch {
            let problem = format!("is for {}, and the node is {}", record.recipe.arch, node.arch);
            findings.push(Finding::of(node, &place, problem, "build an image for its architecture"));
        }
        let needed = match order.kind {
            ProfileKind::Ram => vec![dir.kernel(), dir.initrd(), dir.root_squashfs()],
            ProfileKind::RamUsr => vec![dir.kernel(), dir.initrd(), dir.base_squashfs(), dir.root()],
            _ => vec![dir.kernel(), dir.initrd(), export_root(&self.head.data, &node.name, order).unwrap_or_else(|| dir.root())],
        };
        for path in needed.iter().filter(|path| !path.exists()) {
            findings.push(Finding::of(node, &place, format!("has no {}", path.display()), "build it anew"));
        }
        let arguments = DisklessMaterial::new(self.head, &self.surroundings, node, order, settings)?.kernel_arguments();
        if arguments.len() > MAX_ARGUMENTS {
            let problem = format!("{} bytes; the kernel reads {MAX_ARGUMENTS}", arguments.len());
            findings.push(Finding::of(node, "kernel arguments", problem, "shorten kernel_args or console"));
        }
        findings.extend(no_nfs(node, order.kind, &self.head.config));
        findings.extend(wrong_address(node, &self.head.config));
        if let Some(other) = other_writer(self.head, &node.name, order).await? {
            let remedy = "one node at a time may change an image: shut that one down and take its profile away first";
            findings.push(Finding::of(node, &place, format!("{other} runs from it read-write"), remedy));
        }
        Ok(findings)
    }
}

fn no_nfs(node: &Node, kind: ProfileKind, config: &Config) -> Option<Finding> {
    let off = kind.needs_nfs() && config.nfs == crate::config::Nfs::Off;
    let remedy = "set `nfs = \"embedded\"` in kickctl.toml, or assign a `ram` profile";
    off.then(|| Finding::of(node, "kickctl.toml", format!("kind {kind} needs NFS, and `nfs` is \"off\""), remedy))
}

/// The node that runs, or is about to run, from the same image read-write; only one may.
pub(super) async fn other_writer(head: &Head, node: &NodeName, order: &Order) -> Result<Option<NodeName>> {
    if order.kind != ProfileKind::NfsRw {
        return Ok(None);
    }
    let same = |attempt: &Attempt| {
        attempt.order.kind == ProfileKind::NfsRw
            && attempt.order.image.as_ref().map(|image| &image.name) == order.image.as_ref().map(|image| &image.name)
            && attempt.node != *node
            && (!attempt.state.is_over() || attempt.state == State::Verified)
    };
    Ok(head.store.last_attempts().await?.into_iter().find(same).map(|attempt| attempt.node))
}
