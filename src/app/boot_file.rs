//! Gives a booting node the files of its attempt: kernel, initial RAM disk, the installer's answers.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::authorize::authorize;
use super::change_attempt::change_attempt;
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
    /// The answers to the Debian installer's questions.
    Preseed,
    /// The kickstart file.
    Kickstart,
}

impl Name {
    /// Each installer has its own file of answers, and gets no other's.
    fn is_for(self, kind: ProfileKind) -> bool {
        match self {
            Self::Kernel | Self::Initrd => true,
            Self::Preseed => kind == ProfileKind::Preseed,
            Self::Kickstart => kind == ProfileKind::Kickstart,
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
}

/// Gives one file, or tells about it without sending it (`sent` is false then: an HTTP HEAD request); `None` if the token does not open it now.
///
/// # Errors
/// If the state cannot be read or written, or the file cannot be made; the attempt has failed then.
pub async fn boot_file(head: &Head, token: &str, name: Name, peer: Ipv4Addr, sent: bool, now: OffsetDateTime) -> Result<Option<Content>> {
    let Some(granted) = authorize(head, token, Request::BootFile, peer).await? else { return Ok(None) };
    let kind = granted.attempt.order.kind;
    if !name.is_for(kind) {
        return Ok(None);
    }
    let made = material::gather(head, &granted.node, &granted.attempt).await.and_then(|material| match name {
        Name::Kernel => Ok(Content::File(material.kernel_path())),
        Name::Initrd => Ok(Content::File(material.initrd_path())),
        Name::Preseed | Name::Kickstart => material.render(kind.answers(), None).map(Content::Text),
    });
    let content = match made {
        Ok(content) => content,
        Err(error) => {
            let reason = format!("{name:?} could not be made: {error}");
            change_attempt(&*head.store, granted.attempt.id, &Event::Unservable { reason }, now).await?;
            return Err(error);
        }
    };
    if sent && name == Name::Kernel {
        change_attempt(&*head.store, granted.attempt.id, &Event::KernelServed, now).await?;
    }
    Ok(Some(content))
}
