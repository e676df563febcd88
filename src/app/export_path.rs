//! Which NFS export a diskless node mounts, by what it was ordered to be.

use std::path::PathBuf;

use crate::domain::attempt::Order;
use crate::domain::name::NodeName;
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

/// Where that is on the head.
pub(super) fn export_root(data: &DataDir, node: &NodeName, order: &Order) -> Option<PathBuf> {
    let image = order.image.as_ref()?;
    let dir = ImageDir::new(data, &image.name);
    match order.kind {
        ProfileKind::NfsRo | ProfileKind::RamUsr => Some(dir.version(&image.version).root()),
        ProfileKind::NfsRw => Some(dir.writable_root(node)),
        ProfileKind::Ram | ProfileKind::Preseed | ProfileKind::Kickstart | ProfileKind::Autoinstall => None,
    }
}
