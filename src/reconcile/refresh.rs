//! Refreshes mirrors at their times.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::app::due_refreshes::due_refreshes;
use crate::app::refresh_mirror::{RefreshReport, refresh_mirror};
use crate::app::sync_mirror::SyncOptions;
use crate::app::{Error, Head, Result, Silent};
use crate::domain::name::MirrorName;

/// How often mirrors are looked for that are due.
pub const EVERY: Duration = Duration::from_secs(30);

/// Refreshes what is due, one mirror after the other, for as long as it is polled.
pub async fn due_mirrors(head: &Head) {
    loop {
        match due_refreshes(head, OffsetDateTime::now_utc()) {
            Ok(due) => {
                for name in due {
                    turn(head, name).await;
                }
            }
            Err(error) => tracing::error!(%error, "mirrors to be refreshed could not be looked for"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn turn(head: &Head, name: MirrorName) {
    tracing::info!("refreshing mirror {name}");
    match aside(head.clone(), name.clone()).await {
        Ok(RefreshReport { refresh, .. }) => {
            let advisories: usize = refresh.advisories.values().sum();
            tracing::info!(added = refresh.added, advisories, bytes = refresh.fetched_bytes, "mirror {name}: {}", refresh.result);
        }
        Err(error) => tracing::error!(%error, "mirror {name} was not refreshed; what was published stays"),
    }
}

/// In a thread of its own: indices are parsed and written for seconds, during which no node must wait. It ends with the process; a refresh that is
/// cut off loses nothing.
async fn aside(head: Head, name: MirrorName) -> Result<RefreshReport> {
    let failed = |source| Error::Io { what: "a refresh could not be started".to_owned(), source };
    let (done, outcome) = tokio::sync::oneshot::channel();
    let work = move || {
        let options = SyncOptions { parallel: Some(head.config.parallel), updates_only: true, ..SyncOptions::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed);
        let refreshed = runtime.and_then(|runtime| runtime.block_on(refresh_mirror(&head.data, &name, options, Arc::new(Silent))));
        // Nobody listens any more when the head stops.
        let _ = done.send(refreshed);
    };
    std::thread::Builder::new().name("refresh".to_owned()).spawn(work).map_err(failed)?;
    outcome.await.map_err(|_| failed(std::io::Error::other("it ended without a word")))?
}
