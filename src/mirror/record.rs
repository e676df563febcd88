//! A snapshot's record: what is told of it without looking into its tree.

use std::time::Duration;

use super::format::Content;
use super::sync::Sync;
use super::{Error, Result};
use crate::domain::mirror::{Snapshot, UpstreamState};

/// The record of a snapshot that is about to be written. Its name, files and bytes follow from the tree.
///
/// # Errors
/// Never in practice: if a name of zeros were no snapshot's name.
pub(super) fn of(
    sync: &Sync<'_>,
    content: &Content,
    upstream: Vec<UpstreamState>,
    input: String,
    newest: Option<&Snapshot>,
) -> Result<Snapshot> {
    let stand_in = "00000000T000000Z-00000000".parse().map_err(|error| Error::Usage(format!("{error}")))?;
    // Snapshot names, which have whole seconds, sort by age: also when two are made in one second, or the clock was set back.
    let now = sync.now.replace_nanosecond(0).unwrap_or(sync.now);
    let made = newest.map_or(now, |newest| now.max(newest.made + Duration::from_secs(1)));
    Ok(Snapshot {
        id: stand_in,
        mirror: sync.mirror.name.clone(),
        made,
        upstream,
        suites: content.suites.clone(),
        repositories: content.repositories.clone(),
        packages: content.packages,
        udebs: content.udebs,
        files: 0,
        bytes: 0,
        installers: content.installers.clone(),
        left_out: content.left_out.clone(),
        input,
    })
}
