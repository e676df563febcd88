//! The one way to take a stored attempt further.

use time::OffsetDateTime;

use super::{Error, Result};
use crate::domain::attempt::{Attempt, AttemptId, Effect, Event, Rejected, State};
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::outbox::Work;
use crate::store::{self, Along, LogLine, Store};

/// How often a change is tried again after somebody else was faster.
const RETRIES: u32 = 5;
/// How many of the last lines of its log a failure keeps, and how many characters of each.
const MAX_EVIDENCE: (u32, usize) = (8, 300);

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
    change: impl Fn(&mut Attempt) -> std::result::Result<Vec<Effect>, Rejected> + Send + Sync,
) -> Result<Attempt> {
    update_and(store, id, now, &[], change).await
}

/// As [`update_attempt`], with what is to be done outside because of it, in the same transaction.
///
/// # Errors
/// As [`change_attempt`].
pub(super) async fn update_and(
    store: &dyn Store,
    id: AttemptId,
    now: OffsetDateTime,
    works: &[Work],
    change: impl Fn(&mut Attempt) -> std::result::Result<Vec<Effect>, Rejected> + Send + Sync,
) -> Result<Attempt> {
    let mut tries = 0;
    loop {
        let held = store.attempt(id).await?.ok_or(store::Error::NoAttempt(id))?;
        let mut attempt = held.clone();
        let effects = change(&mut attempt)?;
        if effects.is_empty() && attempt == held {
            return Ok(attempt);
        }
        if let (None, State::Failed(failure)) = (held.state.failure(), &mut attempt.state) {
            let line = |line: &LogLine| format!("{}: {}", line.source, line.text).chars().take(MAX_EVIDENCE.1).collect::<String>();
            failure.evidence.extend(store.last_log(id, MAX_EVIDENCE.0).await?.iter().map(line));
        }
        let events = happened(&held, &attempt, now).into_iter().collect();
        let along = Along { lines: lines(&effects, now), events, works: works.to_vec() };
        match store.save_attempt_with(&attempt, &along, now).await {
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

/// What a change is to those who want to be told, if it is anything.
fn happened(before: &Attempt, after: &Attempt, now: OffsetDateTime) -> Option<Occurrence> {
    if before.state.name() == after.state.name() {
        return None;
    }
    let (what, text) = match &after.state {
        State::Failed(failure) => (What::Failed, format!("{} [{}]", failure.reason, failure.signature())),
        State::Fallback(ending) => (What::Fallback, format!("{}; {}", ending.failure.reason, ending.reason)),
        State::Held(ending) => (What::Held, format!("{}; {}", ending.failure.reason, ending.reason)),
        State::Verified => (What::Verified, format!("runs {}", after.order.profile)),
        _ => return None,
    };
    Some(Occurrence { seq: 0, at: now, node: Some(after.node.clone()), attempt: Some(after.number), what, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{NOW, armed, fresh};

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

    #[tokio::test]
    async fn a_failure_keeps_the_end_of_its_log_and_is_told_of_in_the_same_transaction() {
        let (_folder, store) = fresh().await;
        let id = armed(&store, "node07", 7).await.id;
        let said = (0..20).map(|n| LogLine { seq: 0, at: NOW, source: "main-menu".into(), text: format!("line {n}") });
        store.append_log(id, &said.collect::<Vec<_>>()).await.unwrap();
        let failed = change_attempt(&store, id, &Event::Overdue { reason: "nothing was heard".into() }, NOW).await.unwrap();
        let evidence = &failed.state.failure().unwrap().evidence;
        assert_eq!((evidence.len(), evidence[0].as_str(), evidence[8].as_str()), (9, "it stood at armed", "main-menu: line 19"));
        let told = store.events(0, 10).await.unwrap();
        assert_eq!((told.len(), told[0].seq, told[0].what, told[0].attempt), (1, 1, What::Failed, Some(1)));
        let works = store.outbox(NOW, 10).await.unwrap();
        assert_eq!(works.len(), 1);
        assert_eq!(works[0].work, Work::Notify { event: told[0].clone(), told: vec![] });
    }
}
