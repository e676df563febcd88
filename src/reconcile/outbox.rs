//! Carries out what the outbox holds: several at a time, so that a controller that does not answer keeps no other node waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::{Id, JoinSet};

use crate::app::Head;
use crate::app::carry_out::{carry_out, due_work};

/// How often the outbox is looked into.
const EVERY: Duration = Duration::from_secs(1);
/// Most that is under way at the same time.
const PARALLEL: usize = 32;

/// Carries out what is due for as long as it is polled. What is under way when it ends is done again by the next one.
pub async fn outbox(head: &Head) {
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut under_way: BTreeMap<Id, i64> = BTreeMap::new();
    // True if more was due than could be begun: the next place that is free is taken at once.
    let mut more = false;
    loop {
        let sleep = tokio::time::sleep(EVERY);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => break,
                Some(done) = tasks.join_next_with_id() => {
                    under_way.remove(&done.map_or_else(|error| error.id(), |(id, ())| id));
                    if more {
                        break;
                    }
                }
            }
        }
        let due = match due_work(head, OffsetDateTime::now_utc()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "the outbox could not be read");
                continue;
            }
        };
        more = false;
        for outgoing in due {
            if under_way.values().any(|id| *id == outgoing.id) {
                continue;
            }
            if under_way.len() >= PARALLEL {
                more = true;
                break;
            }
            let (head, id) = (head.clone(), outgoing.id);
            let task = tasks.spawn(async move {
                if let Err(error) = carry_out(&head, outgoing).await {
                    tracing::error!(%error, "something of the outbox could not be recorded");
                }
            });
            under_way.insert(task.id(), id);
        }
    }
}
