//! Two pieces of work at the same time, of which one is waiting more than work.

use std::panic::resume_unwind;
use std::thread::scope;

/// Does `aside` on a thread of its own and `here` on this one, and waits for both. For work that waits for the system: a thread of the pool
/// would wait with it, and is wanted for other work.
///
/// # Panics
/// If one of them does, or the system has no thread.
pub fn beside<A: Send, B>(aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    scope(|scope| {
        let aside = scope.spawn(aside);
        let here = here();
        (aside.join().unwrap_or_else(|panic| resume_unwind(panic)), here)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn both_are_done_at_the_same_time() {
        let ((there, from_here), (here, from_there)) = (channel(), channel());
        let aside = move || here.send(1).map(|()| from_here.recv());
        let (got, sent) = beside(aside, move || {
            let got = from_there.recv().unwrap();
            there.send(got + 1).unwrap();
            got
        });
        assert_eq!((got.unwrap().unwrap(), sent), (2, 1));
    }

    #[test]
    #[should_panic(expected = "of the other")]
    fn a_panic_is_passed_on() {
        beside(|| panic!("of the other thread"), || ());
    }
}
