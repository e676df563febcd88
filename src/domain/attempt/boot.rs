//! What a network boot of a diskless node means for its attempts: each boot is an attempt of its own.

use super::{Attempt, Class, Order, State};

/// How many boots in a row may fail with one and the same order. After that the node goes to its local disk, until what it shall
/// be changes or somebody says `kickctl reinstall`.
pub const MAX_FAILED_BOOTS: usize = 3;

/// What a boot leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The attempt under way is this boot's.
    GoOn,
    /// A new attempt.
    Arm,
    /// The attempt under way ends for this reason, and a new one takes its place.
    Replace(&'static str),
    /// It failed too often.
    GiveUp,
}

/// Decides by the node's attempts, the newest first, and by what would be ordered now.
pub fn next_boot(recent: &[Attempt], order: &Order) -> Boot {
    let Some(last) = recent.first() else { return Boot::Arm };
    match &last.state {
        // An installation decides for itself what a boot in its midst means.
        state if !state.is_over() && !last.order.kind.is_diskless() => Boot::GoOn,
        State::Starting => Boot::Replace("it booted anew before it called home"),
        state if !state.is_over() && *last.order == *order => Boot::GoOn,
        state if !state.is_over() => Boot::Replace("profile, image version or variables have changed since it was armed"),
        _ => {
            let failed = |attempt: &&Attempt| {
                *attempt.order == *order && attempt.state.failure().is_some_and(|failure| failure.class != Class::Aborted)
            };
            if recent.iter().take_while(failed).count() < MAX_FAILED_BOOTS { Boot::Arm } else { Boot::GiveUp }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{BootStage, Clocks, Failure, Progress, Stage};
    use super::*;
    use crate::domain::checksum::Sha256;
    use crate::domain::profile::ProfileKind;

    fn order(kind: ProfileKind, digest: &[u8]) -> Order {
        Order {
            profile: "debian-13-nfs".parse().unwrap(),
            kind,
            profile_digest: Sha256::of(digest),
            mirror: "debian-13".parse().unwrap(),
            snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
            image: None,
            fallback_of: None,
            variables: Default::default(),
        }
    }

    fn attempt(order: Order, state: State) -> Attempt {
        Attempt {
            id: 1,
            node: "node07".parse().unwrap(),
            number: 1,
            order: Arc::new(order),
            state,
            progress: Progress::default(),
            clocks: Clocks::default(),
            armed_at: time::OffsetDateTime::UNIX_EPOCH,
            revision: 1,
        }
    }

    fn failed(class: Class) -> State {
        State::Failed(Failure { stage: Stage::Booting, class, reason: "example".into(), wrote: false, evidence: vec![] })
    }

    #[test]
    fn every_state_of_the_last_attempt_leads_somewhere() {
        let now = order(ProfileKind::NfsRo, b"now");
        let booting = State::Booting { stage: BootStage::Kernel, fetches: 2 };
        let installing = || State::every_kind().into_iter().find(|(name, _)| name.starts_with("installing")).unwrap().1;
        let one = |order: Order, state: State| next_boot(&[attempt(order, state)], &now);
        assert_eq!(next_boot(&[], &now), Boot::Arm);
        assert_eq!(one(now.clone(), State::Armed), Boot::GoOn);
        assert_eq!(one(now.clone(), booting.clone()), Boot::GoOn);
        assert!(matches!(one(order(ProfileKind::NfsRo, b"before"), booting), Boot::Replace(_)));
        assert!(matches!(one(now.clone(), State::Starting), Boot::Replace(_)));
        assert_eq!(one(now.clone(), State::Verified), Boot::Arm);
        assert_eq!(one(order(ProfileKind::Preseed, b"now"), State::Verified), Boot::Arm);
        assert_eq!(one(order(ProfileKind::Preseed, b"now"), installing()), Boot::GoOn);
        assert_eq!(one(order(ProfileKind::Preseed, b"now"), State::Finishing { first_boot: true }), Boot::GoOn);
    }

    #[test]
    fn three_failures_of_one_order_are_enough_and_anything_else_starts_the_count_anew() {
        let now = order(ProfileKind::Ram, b"now");
        let row = |states: &[State]| states.iter().map(|state| attempt(now.clone(), state.clone())).collect::<Vec<_>>();
        let fail = || failed(Class::Transient);
        assert_eq!(next_boot(&row(&[fail(), fail()]), &now), Boot::Arm);
        assert_eq!(next_boot(&row(&[fail(), failed(Class::Deterministic), fail()]), &now), Boot::GiveUp);
        assert_eq!(next_boot(&row(&[fail(), fail(), State::Verified, fail()]), &now), Boot::Arm);
        assert_eq!(next_boot(&row(&[failed(Class::Aborted), fail(), fail(), fail()]), &now), Boot::Arm);
        assert_eq!(next_boot(&row(&[fail(), fail(), fail()]), &order(ProfileKind::Ram, b"mended")), Boot::Arm);
    }
}
