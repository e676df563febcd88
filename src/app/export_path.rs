//! Which NFS export a diskless node mounts, by what it was ordered to be.

use std::path::PathBuf;

use crate::domain::attempt::Order;
use crate::domain::name::{ImageName, NodeName, VersionId};
use crate::domain::profile::ProfileKind;
use crate::image::layout::ImageDir;
use crate::sys::data_dir::DataDir;

/// The path that the node asks for; `None` for a kind that needs no NFS.
pub(super) fn export_path(node: &NodeName, order: &Order) -> Option<String> {
    let image = order.image.as_ref()?;
    match order.kind {
        ProfileKind::NfsRo | ProfileKind::RamUsr => Some(format!("/images/{}/{}", image.name, image.version)),
        ProfileKind::NfsRw => Some(format!("/images/{}/{}/rw/{node}", image.name, image.version)),
        ProfileKind::Ram | ProfileKind::Preseed | ProfileKind::Kickstart | ProfileKind::Autoinstall => None,
    }
}

/// The version that a node's own copy of an image began as; `None` if it has no copy.
pub(super) fn checked_out(data: &DataDir, image: &ImageName, node: &NodeName) -> Option<VersionId> {
    std::fs::read_to_string(work(data, image, node).join("version")).ok()?.trim().parse().ok()
}

/// Where a node's own copy of an image is.
fn work(data: &DataDir, image: &ImageName, node: &NodeName) -> PathBuf {
    ImageDir::new(data, image).root().join("work").join(node.as_str())
}

/// Where that is on the head.
pub(super) fn export_root(data: &DataDir, node: &NodeName, order: &Order) -> Option<PathBuf> {
    let image = order.image.as_ref()?;
    let dir = ImageDir::new(data, &image.name);
    match order.kind {
        ProfileKind::NfsRo | ProfileKind::RamUsr => Some(dir.version(&image.version).root()),
        ProfileKind::NfsRw => Some(work(data, &image.name, node).join("root")),
        ProfileKind::Ram | ProfileKind::Preseed | ProfileKind::Kickstart | ProfileKind::Autoinstall => None,
    }
}
