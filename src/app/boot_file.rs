//! Gives a booting node the files of its attempt: kernel, initial RAM disk, the installer's answers; or a diskless node's image and archive.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::authorize::{Granted, authorize};
use super::change_attempt::change_attempt;
use super::diskless_material::DisklessMaterial;
use super::head::Head;
use super::{Result, material};
use crate::domain::attempt::Event;
use crate::domain::profile::ProfileKind;
use crate::provision::decide::Request;

/// A file of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The installer's kernel.
    Kernel,
    /// The installer's initial RAM disk.
    Initrd,
    /// What an installer reads before it takes over, by its name.
    Answers(&'static str),
    /// A diskless node's own archive.
    Archive,
    /// A diskless node's compressed root, by its name.
    Root(&'static str),
}

impl Name {
    /// Each installer has its own file of answers, and gets no other's; a diskless node has none.
    fn is_for(self, kind: ProfileKind) -> bool {
        match self {
            Self::Kernel | Self::Initrd => true,
            Self::Answers(file) => kind.installer().is_some_and(|installer| installer.boot_files().contains(&file)),
            Self::Archive | Self::Root(_) => kind.is_diskless(),
        }
    }
}

/// What the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file of the snapshot.
    File(PathBuf),
    /// Rendered text.
    Text(String),
    /// An archive.
    Bytes(Vec<u8>),
}

/// Gives one file, or tells about it without sending it (`sent` is false then: an HTTP HEAD request); `None` if the token does not open it now.
///
/// # Errors
/// If the state cannot be read or written, or the file cannot be made; the attempt has failed then.
pub async fn boot_file(head: &Head, token: &str, name: Name, peer: Ipv4Addr, sent: bool, now: OffsetDateTime) -> Result<Option<Content>> {
    let Some(granted) = authorize(head, token, Request::BootFile, peer).await? else { return Ok(None) };
    if !name.is_for(granted.attempt.order.kind) {
        return Ok(None);
    }
    let made = match granted.attempt.order.kind.installer() {
        None => diskless_file(head, &granted, name).await,
        Some(_) => installer_file(head, &granted, name).await,
    };
    let content = match made {
        Ok(Some(content)) => content,
        Ok(None) => return Ok(None),
        Err(error) => {
            let reason = format!("{name:?} could not be made: {error}");
            change_attempt(&*head.store, granted.attempt.id, &Event::Unservable { reason }, now).await?;
            return Err(error);
        }
    };
    let seen = match name {
        Name::Kernel => Some(Event::KernelServed),
        Name::Root(_) => Some(Event::RootAsked),
        _ => None,
    };
    if let Some(event) = seen.filter(|_| sent) {
        change_attempt(&*head.store, granted.attempt.id, &event, now).await?;
    }
    Ok(Some(content))
}

async fn installer_file(head: &Head, granted: &Granted, name: Name) -> Result<Option<Content>> {
    let material = material::gather(head, &granted.node, &granted.attempt).await?;
    Ok(match name {
        Name::Kernel => Some(Content::File(material.kernel_path())),
        Name::Initrd => Some(Content::File(material.initrd_path())),
        Name::Answers(file) => Some(Content::Text(material.render(head, file, None).await?)),
        Name::Archive | Name::Root(_) => None,
    })
}

async fn diskless_file(head: &Head, granted: &Granted, name: Name) -> Result<Option<Content>> {
    let material = DisklessMaterial::of_attempt(head, &granted.node, &granted.attempt).await?;
    Ok(match name {
        Name::Kernel => Some(Content::File(material.kernel_path())),
        Name::Initrd => Some(Content::File(material.initrd_path())),
        Name::Archive => Some(Content::Bytes(material.archive().bytes())),
        Name::Root(name) => material.root_path(name).map(Content::File),
        Name::Answers(_) => None,
    })
}
