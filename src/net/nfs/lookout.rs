//! How a connection's thread waits for the next call: it looks again for a moment before it sleeps.
//!
//! A client that works through small files asks again within microseconds of each answer. To put the thread to sleep and to wake it would
//! take longer than the answer itself.

use std::io::{self, Read};
use std::net::TcpStream;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;

/// So long a thread looks before it sleeps: more than a round trip in a local network, and little enough to be lost.
const MOMENT: Duration = Duration::from_micros(80);
/// A wait that took no longer lets the thread look the next time.
const SOON: Duration = Duration::from_micros(200);

/// Lets no more threads look at the same time than half of the processors, so that others always have some to run on.
#[derive(Debug)]
pub(super) struct Lookout {
    free: AtomicUsize,
}

impl Lookout {
    pub(super) fn new() -> Self {
        Self { free: AtomicUsize::new(std::thread::available_parallelism().map_or(1, NonZero::get) / 2) }
    }

    fn enter(&self) -> Option<Place<'_>> {
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1)).is_ok().then_some(Place(self))
    }
}

/// Given back when dropped.
struct Place<'a>(&'a Lookout);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

/// What one connection's thread knows of its client: whether the last call came soon.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    soon: bool,
}

impl Waiter {
    /// Reads what has arrived, or waits for it. 0: the client has closed the connection.
    pub(super) fn read(&mut self, lookout: &Lookout, mut stream: &TcpStream, space: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        if self.soon
            && let Some(_place) = lookout.enter()
        {
            while began.elapsed() < MOMENT {
                match rustix::net::recv(stream.as_fd(), &mut *space, RecvFlags::DONTWAIT) {
                    Ok((_, length)) => return Ok(length),
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => std::thread::yield_now(),
                    Err(cause) => return Err(cause.into()),
                }
            }
        }
        let got = stream.read(space);
        self.soon = began.elapsed() < SOON;
        got
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn whatever_the_client_sends_and_however_slowly_arrives_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let sender = std::thread::spawn(move || {
            for number in 0..200_u8 {
                client.write_all(&[number]).unwrap();
                if number % 50 == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let (lookout, mut waiter, mut got) = (Lookout { free: AtomicUsize::new(1) }, Waiter::default(), vec![]);
        let mut space = [0; 16];
        loop {
            match waiter.read(&lookout, &server, &mut space).unwrap() {
                0 => break,
                length => got.extend_from_slice(&space[..length]),
            }
        }
        sender.join().unwrap();
        assert_eq!(got, (0..200).collect::<Vec<u8>>());
        assert_eq!(lookout.free.load(Ordering::Relaxed), 1, "every place was given back");
    }

    #[test]
    fn no_more_threads_look_than_there_are_places() {
        let lookout = Lookout { free: AtomicUsize::new(2) };
        let (first, _second) = (lookout.enter().unwrap(), lookout.enter().unwrap());
        assert!(lookout.enter().is_none());
        drop(first);
        assert!(lookout.enter().is_some());
    }
}
