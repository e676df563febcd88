//! A person pauses, resumes or aborts a rollout.

use time::OffsetDateTime;

use super::list_rollouts::{find_rollout, histories};
use super::{Error, Head, Result};
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::outbox::{Hook, Work};
use crate::domain::rollout::{Rollout, RolloutState};
use crate::store::{self, Along};

/// How often it is tried again after the rollout itself was faster.
const RETRIES: u32 = 5;

/// What somebody wants of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Begin no further node until it is resumed. Those under way go on.
    Pause,
    /// Go on; what failed so far counts no more.
    Resume,
    /// Begin no further node, ever. Those under way go on.
    Abort,
}

impl Steer {
    const fn word(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Abort => "aborted",
        }
    }
}

/// Does it to the rollout of this number, or to the only one that is not over.
///
/// # Errors
/// [`Error::Refused`] if the rollout is not in a state for it; as [`find_rollout`] if there is none.
pub async fn steer_rollout(head: &Head, id: Option<u64>, steer: Steer, dry_run: bool, now: OffsetDateTime) -> Result<Rollout> {
    let mut tries = 0;
    loop {
        let mut rollout = find_rollout(&*head.store, id).await?;
        let works = change(head, &mut rollout, steer).await?;
        if dry_run {
            return Ok(rollout);
        }
        let text = format!("rollout {} was {}", rollout.id, steer.word());
        let event = Occurrence { seq: 0, at: now, node: None, attempt: None, what: What::Rollout, text };
        match head.store.save_rollout(&rollout, &Along { events: vec![event], works, ..Along::default() }, now).await {
            Ok(()) => return Ok(rollout),
            Err(store::Error::StaleRollout(_)) if tries < RETRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn change(head: &Head, rollout: &mut Rollout, steer: Steer) -> Result<Vec<Work>> {
    let (id, state) = (rollout.id, rollout.state);
    match (steer, state) {
        (Steer::Pause, RolloutState::Running) => {
            (rollout.state, rollout.why) = (RolloutState::Paused, Some("by `kickctl rollout pause`".into()));
        }
        (Steer::Resume, RolloutState::Paused) => {
            let histories = histories(&*head.store, rollout).await?;
            rollout.resume(&histories);
        }
        (Steer::Abort, RolloutState::Running | RolloutState::Paused) => {
            let back = rollout.abort("by `kickctl rollout abort`");
            let undrain = |node| Work::Hook { node, rollout: id, hook: Hook::Undrain };
            return Ok(if head.config.drains.undrain.is_empty() { vec![] } else { back.into_iter().map(undrain).collect() });
        }
        _ => return Err(Error::Refused(format!("rollout {id} is {state}, and cannot be {}", steer.word()))),
    }
    Ok(vec![])
}
