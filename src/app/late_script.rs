//! What is set up at the end of an installation, secrets included: given only after the write gate said yes.

use std::net::Ipv4Addr;

use super::authorize::authorize;
use super::head::Head;
use super::{Result, material};
use crate::provision::decide::Request;

/// Gives the script that finishes the installed system; `None` if the token does not open it now.
///
/// # Errors
/// If the state cannot be read, or the script cannot be rendered.
pub async fn late_script(head: &Head, token: &str, peer: Ipv4Addr) -> Result<Option<String>> {
    let Some(granted) = authorize(head, token, Request::LateScript, peer).await? else { return Ok(None) };
    let script = material::gather(head, &granted.node, &granted.attempt).await?.render(head, "late.sh", Some(token)).await?;
    Ok(Some(script))
}
