//! The one way to take a stored attempt further.

use time::OffsetDateTime;

use super::{Error, Result};
use crate::domain::attempt::{Attempt, AttemptId, Effect, Event};
use crate::store::{self, LogLine, Store};

/// How often a change is tried again after somebody else was faster.
const RETRIES: u32 = 5;

/// Takes an attempt one event further and writes it back, with a log line for each effect that is one. Whoever is faster
/// wins: the event is then judged again by the state that the other left.
///
/// # Errors
/// [`Error::Rejected`] if the event cannot happen in the attempt's state; nothing is changed then. [`Error::Store`] if there
/// is no such attempt, or others kept changing it.
pub async fn change_attempt(store: &dyn Store, id: AttemptId, event: &Event, now: OffsetDateTime) -> Result<Attempt> {
    update_attempt(store, id, now, |attempt| attempt.advance(event, now)).await
}

/// As [`change_attempt`], for a change that is more than an event, such as one that records disks with it. `change` is called
/// again with a fresh copy if somebody else was faster.
///
/// # Errors
/// As [`change_attempt`].
pub async fn update_attempt(
    store: &dyn Store,
    id: AttemptId,
    now: OffsetDateTime,
    change: impl Fn(&mut Attempt) -> std::result::Result<Vec<Effect>, crate::domain::attempt::Rejected> + Send + Sync,
) -> Result<Attempt> {
    let mut tries = 0;
    loop {
        let held = store.attempt(id).await?.ok_or(store::Error::NoAttempt(id))?;
        let mut attempt = held.clone();
        let effects = change(&mut attempt)?;
        if effects.is_empty() && attempt == held {
            return Ok(attempt);
        }
        match store.save_attempt(&attempt, &lines(&effects, now)).await {
            Ok(()) => {
                for Effect::Log(text) in &effects {
                    tracing::info!(node = %attempt.node, attempt = attempt.number, "{text}");
                }
                attempt.revision += 1;
                return Ok(attempt);
            }
            Err(store::Error::Stale(_)) if tries < RETRIES => tries += 1,
            Err(error) => return Err(Error::Store(error)),
        }
    }
}

fn lines(effects: &[Effect], now: OffsetDateTime) -> Vec<LogLine> {
    let line = |effect: &Effect| match effect {
        Effect::Log(text) => LogLine { seq: 0, at: now, source: "kickctl".into(), text: text.clone() },
    };
    effects.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{NOW, armed, fresh};
    use crate::domain::attempt::State;

    #[tokio::test]
    async fn a_change_is_saved_with_its_log_line_and_a_repetition_writes_nothing() {
        let (_folder, store) = fresh().await;
        let id = armed(&store, "node07", 7).await.id;
        let changed = change_attempt(&store, id, &Event::LoaderAsked, NOW).await.unwrap();
        assert_eq!(store.attempt(id).await.unwrap(), Some(changed.clone()));
        assert_eq!(changed.state.name(), "booting/loader");
        let again = change_attempt(&store, id, &Event::DhcpAsked, NOW).await.unwrap();
        assert_eq!(again.revision, changed.revision);
        let log = store.log(id, 0, 10).await.unwrap();
        assert_eq!(log.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["booting/loader"]);
    }

    #[tokio::test]
    async fn an_impossible_event_changes_nothing_and_says_why() {
        let (_folder, store) = fresh().await;
        let id = armed(&store, "node07", 7).await.id;
        let told = change_attempt(&store, id, &Event::Done, NOW).await.unwrap_err();
        assert_eq!(told.to_string(), "an attempt that is armed takes no `installer done`");
        assert_eq!(store.attempt(id).await.unwrap().map(|attempt| attempt.revision), Some(1));
        let told = change_attempt(&store, 99, &Event::Done, NOW).await.unwrap_err();
        assert_eq!(told.to_string(), "there is no attempt 99");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn events_that_come_together_all_count() {
        let (_folder, store) = fresh().await;
        let id = armed(&store, "node07", 7).await.id;
        let asked = (0..3).map(|_| change_attempt(&store, id, &Event::LoaderAsked, NOW));
        for done in futures::future::join_all(asked).await {
            done.unwrap();
        }
        let State::Booting { fetches, .. } = store.attempt(id).await.unwrap().unwrap().state else { panic!("booting") };
        assert_eq!(fetches, 3);
    }
}
