//! Work that all processors share and whose results are wanted one after the other.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

/// Does `jobs` on all processors and hands the results to `take` on the caller's thread, in the order of the jobs. Only a few jobs are begun
/// before their turn, one more than there are processors: so many results are in memory, and no processor waits for another's.
///
/// # Errors
/// The first that `take` gives; later jobs are not begun.
///
/// # Panics
/// If a job does.
pub fn in_order<J: Send, T: Send, E>(
    jobs: impl IntoIterator<Item = J>,
    make: impl Fn(J) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let (mut jobs, make) = (jobs.into_iter(), &make);
    rayon::in_place_scope(|scope| {
        let (send, receive) = channel();
        let mut begun = 0;
        let mut begin = || {
            let Some(job) = jobs.next() else { return false };
            let promise = Promise { number: begun, done: None, send: send.clone() };
            begun += 1;
            scope.spawn(move |_| promise.keep(make(job)));
            true
        };
        let mut ahead = 0;
        while ahead <= rayon::current_num_threads() && begin() {
            ahead += 1;
        }
        let (mut early, mut next) = (BTreeMap::new(), 0);
        while ahead > 0 {
            let done = loop {
                match early.remove(&next) {
                    Some(done) => break done,
                    None => early.extend([wait(&receive)]),
                }
            };
            // A job that panicked: the scope says so when it ends.
            let Some(done) = done else { return Ok(()) };
            if !begin() {
                ahead -= 1;
            }
            next += 1;
            take(done)?;
        }
        Ok(())
    })
}

/// Sends what came of a job, or that nothing did.
struct Promise<T> {
    number: usize,
    done: Option<T>,
    send: Sender<(usize, Option<T>)>,
}

impl<T> Promise<T> {
    fn keep(mut self, done: T) {
        self.done = Some(done);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        // Nobody listens if `take` failed.
        let _ = self.send.send((self.number, self.done.take()));
    }
}

/// The next result. A thread of the pool does other work while it waits, or nobody might be left to do any.
fn wait<T>(receive: &Receiver<(usize, Option<T>)>) -> (usize, Option<T>) {
    while rayon::current_thread_index().is_some() {
        match receive.try_recv() {
            Ok(got) => return got,
            Err(TryRecvError::Empty) => _ = rayon::yield_now(),
            Err(TryRecvError::Disconnected) => break,
        }
    }
    receive.recv().unwrap_or((0, None))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use rayon::prelude::*;

    use super::*;

    /// Later jobs are quicker.
    fn slow(number: usize) -> usize {
        std::thread::sleep(Duration::from_micros(((100 - number % 100) * 20) as u64));
        number
    }

    #[test]
    fn results_come_in_order_and_few_at_a_time() {
        let (alive, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let make = |number| {
            most.fetch_max(alive.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            slow(number)
        };
        let mut got = Vec::new();
        let take = |number| {
            alive.fetch_sub(1, Ordering::SeqCst);
            got.push(number);
            Ok::<(), ()>(())
        };
        in_order(0..300, make, take).unwrap();
        assert_eq!(got, (0..300).collect::<Vec<_>>());
        // The one whose turn it is, and those that were begun meanwhile.
        assert!(most.into_inner() <= rayon::current_num_threads() + 2);
        in_order(0..0, slow, |_| Err(())).unwrap();
    }

    #[test]
    fn an_error_ends_it() {
        let began = AtomicUsize::new(0);
        let make = |number: usize| {
            began.fetch_add(1, Ordering::SeqCst);
            number
        };
        assert_eq!(in_order(0..10_000, make, |number| if number == 5 { Err("five") } else { Ok(()) }), Err("five"));
        assert!(began.into_inner() < 10 + rayon::current_num_threads());
    }

    #[test]
    fn it_works_within_the_pool_too() {
        let sums: Vec<usize> = (0..20_usize)
            .into_par_iter()
            .map(|_| {
                let mut sum = 0;
                in_order(
                    0..50,
                    |n| (0..n).into_par_iter().sum::<usize>(),
                    |n| {
                        sum += n;
                        Ok::<(), ()>(())
                    },
                )
                .unwrap();
                sum
            })
            .collect();
        assert!(sums.iter().all(|sum| *sum == 19_600), "{sums:?}");
    }

    #[test]
    #[should_panic(expected = "seventh")]
    fn a_panic_is_passed_on() {
        let _ = in_order(0..100, |number| assert_ne!(number, 7, "seventh"), |()| Ok::<(), ()>(()));
    }
}
