//! A diskless root takes over: the boot token's last use. Report token and secrets are given once, before any user process runs.

use std::net::Ipv4Addr;

use time::OffsetDateTime;

use super::authorize::authorize;
use super::change_attempt::change_attempt;
use super::head::Head;
use super::host_keys::host_keys;
use super::{Error, Result};
use crate::domain::attempt::{Event, Order};
use crate::provision::Settings;
use crate::provision::cpio::Archive;
use crate::provision::decide::Request;
use crate::provision::tokens::{self, Purpose};
use crate::store::HostKey;

/// Gives the node an archive with its report token and its secrets; `None` if the boot token does not open it now.
///
/// # Errors
/// If the state cannot be read or written, or the node's ssh host keys cannot be made.
pub async fn take_over_diskless(head: &Head, token: &str, peer: Ipv4Addr, now: OffsetDateTime) -> Result<Option<Vec<u8>>> {
    let Some(granted) = authorize(head, token, Request::TakeOver, peer).await? else { return Ok(None) };
    if !granted.attempt.order.kind.is_diskless() {
        tracing::warn!(node = %granted.node.name, "refused: an installer's attempt has no diskless take-over");
        return Ok(None);
    }
    let keys = host_keys(head, &granted.node.name).await?;
    let report = tokens::mint(&head.token_secret, granted.attempt.id, Purpose::Report);
    let archive = secrets(&report, &keys, &granted.attempt.order);
    match change_attempt(&*head.store, granted.attempt.id, &Event::Started, now).await {
        Ok(_) => Ok(Some(archive.bytes())),
        // Somebody asked at the same moment, and was given it.
        Err(Error::Rejected(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `token`, and below `files` what is laid over the root; all readable by root only but the public keys.
pub(super) fn secrets(report_token: &str, keys: &[HostKey], order: &Order) -> Archive {
    let mut archive = Archive::default();
    archive.file("token", 0o600, format!("{report_token}\n"));
    for key in keys {
        archive.file(&format!("files/etc/ssh/{}", key.name), 0o600, key.private.as_str());
        archive.file(&format!("files/etc/ssh/{}.pub", key.name), 0o644, key.public.as_str());
    }
    // What does not read was told at arming; the keys matter more.
    let site = Settings::read(&order.variables).map(|settings| settings.secret).unwrap_or_default();
    if !site.is_empty() {
        archive.file("files/etc/kickctl/secret.json", 0o600, format!("{}\n", serde_json::Value::Object(site)));
    }
    archive
}
