//! Runs the site's commands around a rollout: the one that takes a node out of work before it is installed, and the one that gives it back.

use std::time::Duration;

use time::OffsetDateTime;

use super::Result;
use super::carry_out::Outcome;
use super::head::Head;
use super::list_rollouts::find_rollout;
use crate::domain::name::NodeName;
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::outbox::{Hook, Work};
use crate::domain::rollout::Phase;
use crate::store::{self, Along};
use crate::sys::run::run_to_end;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(300);
/// What a command exits with when the node is not out of work yet: `EX_TEMPFAIL` of sysexits.h.
const NOT_YET: i32 = 75;
/// When it is asked again then.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Runs a hook. A node that is drained and whose rollout was aborted meanwhile is given back.
///
/// # Errors
/// If the state cannot be read or written. That a command fails is none.
pub(super) async fn run_hook(head: &Head, node: &NodeName, rollout: u64, hook: Hook) -> Result<Outcome> {
    let work = Work::Hook { node: node.clone(), rollout, hook };
    if hook == Hook::Drain && !drains(head, node, rollout).await? {
        return Ok(Outcome::Done(vec![]));
    }
    let command = match hook {
        Hook::Drain => &head.config.drains.drain,
        Hook::Undrain => &head.config.drains.undrain,
    };
    if !command.is_empty() {
        let argv: Vec<String> = command.iter().cloned().chain([node.to_string()]).collect();
        let number = rollout.to_string();
        let env = [("KICKCTL_NODE", node.as_str()), ("KICKCTL_ROLLOUT", number.as_str())];
        match run_to_end(&argv, &env, b"", LIMIT).await {
            Ok(ran) if ran.code == Some(NOT_YET) && hook == Hook::Drain => return Ok(Outcome::Further(work, ASK_AGAIN)),
            Ok(ran) => {
                if let Some(problem) = ran.problem {
                    return Ok(Outcome::Failed(work, problem));
                }
            }
            Err(problem) => return Ok(Outcome::Failed(work, problem)),
        }
    }
    if hook == Hook::Drain && !put(head, node, rollout, Phase::Drained, None).await? {
        return Ok(Outcome::Further(Work::Hook { node: node.clone(), rollout, hook: Hook::Undrain }, Duration::ZERO));
    }
    Ok(Outcome::Done(vec![]))
}

/// A hook was tried too often. A node that could not be taken out of work is not installed.
///
/// # Errors
/// If the state cannot be read or written.
pub(super) async fn give_up_hook(
    head: &Head,
    node: &NodeName,
    rollout: u64,
    hook: Hook,
    problem: &str,
    now: OffsetDateTime,
) -> Result<Occurrence> {
    let text = format!("rollout {rollout}: `{}` failed for good: {problem}", hook.word());
    if hook == Hook::Drain {
        put(head, node, rollout, Phase::Failed, Some(text.clone())).await?;
    }
    Ok(Occurrence { seq: 0, at: now, node: Some(node.clone()), attempt: None, what: What::Rollout, text })
}

/// True if the rollout waits for this node to be taken out of work.
async fn drains(head: &Head, node: &NodeName, id: u64) -> Result<bool> {
    let rollouts = head.store.rollouts().await?;
    let own = rollouts.iter().filter(|rollout| rollout.id == id).flat_map(|rollout| &rollout.nodes).find(|own| own.node == *node);
    Ok(own.is_some_and(|own| own.phase == Phase::Draining))
}

/// Puts a node that is being drained into the next phase; false if it is not being drained any more.
async fn put(head: &Head, node: &NodeName, id: u64, phase: Phase, why: Option<String>) -> Result<bool> {
    loop {
        if !drains(head, node, id).await? {
            return Ok(false);
        }
        let mut rollout = find_rollout(&*head.store, Some(id)).await?;
        rollout.put(node, phase, why.clone());
        match head.store.save_rollout(&rollout, &Along::default(), OffsetDateTime::now_utc()).await {
            Ok(()) => return Ok(true),
            // Each of many hooks that end together writes it; one of them always gets on.
            Err(store::Error::StaleRollout(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
