//! Answers given before (the duplicate request cache): a client that lost the reply to a REMOVE asks again, and must not hear that there is
//! no such file.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Replies kept. None is longer than 400 bytes or so.
const KEPT: usize = 4096;
/// A client has asked again by then, or never will.
const FOR: Duration = Duration::from_secs(300);
/// How long a repetition waits for the first call to be done.
const WAIT: Duration = Duration::from_secs(20);

/// A call: who sent it, its number, and all that it says. The port is not part of it: a client may come back by another one.
type Key = (IpAddr, u32, u64);

#[derive(Debug, Default)]
pub(super) struct Replay {
    hasher: RandomState,
    calls: Mutex<Calls>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Calls {
    known: HashMap<Key, Option<Arc<[u8]>>>,
    order: VecDeque<(Instant, Key)>,
}

/// What to do with a call.
#[derive(Debug)]
pub(super) enum Begin<'a> {
    /// Carry it out, and tell the turn what the reply is.
    First(Turn<'a>),
    /// Send this reply again.
    Again(Arc<[u8]>),
    /// Say nothing: the first call is still being worked on.
    Busy,
}

/// The right to carry a call out. Dropped without a reply, the call is forgotten.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    replay: &'a Replay,
    key: Key,
    reply: Option<Arc<[u8]>>,
}

impl Replay {
    pub(super) fn begin(&self, peer: IpAddr, xid: u32, message: &[u8]) -> Begin<'_> {
        let key = (peer, xid, self.hasher.hash_one(message));
        let mut calls = self.lock();
        let deadline = Instant::now() + WAIT;
        loop {
            match calls.known.get(&key) {
                None => break,
                Some(Some(reply)) => return Begin::Again(Arc::clone(reply)),
                Some(None) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Begin::Busy;
            }
            calls = self.done.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        calls.known.insert(key, None);
        Begin::First(Turn { replay: self, key, reply: None })
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    pub(super) fn answered(mut self, reply: &[u8]) {
        self.reply = Some(reply.into());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut calls = self.replay.lock();
        let now = Instant::now();
        match self.reply.take() {
            Some(reply) => {
                calls.known.insert(self.key, Some(reply));
                calls.order.push_back((now, self.key));
            }
            None => {
                calls.known.remove(&self.key);
            }
        }
        while calls.order.front().is_some_and(|(when, _)| calls.order.len() > KEPT || now.duration_since(*when) > FOR) {
            if let Some((_, key)) = calls.order.pop_front() {
                calls.known.remove(&key);
            }
        }
        self.replay.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_repetition_gets_the_first_answer_and_another_call_its_own() {
        let replay = Replay::default();
        let Begin::First(turn) = replay.begin(PEER, 7, b"remove a") else { panic!() };
        turn.answered(b"done");
        assert!(matches!(replay.begin(PEER, 7, b"remove a"), Begin::Again(reply) if *reply == *b"done"));
        assert!(matches!(replay.begin(PEER, 7, b"remove b"), Begin::First(_)), "the same number, but another call");
        assert!(matches!(replay.begin([10, 0, 0, 1].into(), 7, b"remove a"), Begin::First(_)), "another client");
    }

    #[test]
    fn a_call_that_was_never_answered_is_carried_out_again() {
        let replay = Replay::default();
        drop(replay.begin(PEER, 7, b"remove a"));
        assert!(matches!(replay.begin(PEER, 7, b"remove a"), Begin::First(_)));
    }

    #[test]
    fn a_repetition_waits_for_the_first_to_be_done() {
        let replay = Replay::default();
        let Begin::First(turn) = replay.begin(PEER, 7, b"remove a") else { panic!() };
        std::thread::scope(|scope| {
            let second = scope.spawn(|| matches!(replay.begin(PEER, 7, b"remove a"), Begin::Again(_)));
            turn.answered(b"done");
            assert!(second.join().unwrap());
        });
    }

    #[test]
    fn old_answers_make_room_for_new_ones() {
        let replay = Replay::default();
        for xid in 0..10_000 {
            if let Begin::First(turn) = replay.begin(PEER, xid, b"") {
                turn.answered(b"done");
            }
        }
        assert_eq!(replay.lock().known.len(), KEPT);
    }
}
