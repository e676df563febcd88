//! Writes that come together share one commit, and so one wait for the disk: a cluster that powers on writes twenty times for each node,
//! and a disk syncs a hundred times a second.
//!
//! One thread has the one connection that writes, and takes what is asked of it first come, first served. It opens a transaction for the
//! first write, does that and those that wait already, commits, and only then tells of success. Who comes during the commit is in the
//! next one. Each write is all or nothing, a savepoint within the open transaction: one that fails is rolled back alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::rows::execute;
use super::{closed, connect, schema};

/// For how long further writes are let into a transaction: the first in it waits for the last, and so does another process.
const LONGEST: Duration = Duration::from_millis(100);

/// The one connection that writes. Cheap to clone; its thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct Writer(mpsc::Sender<Asked>);

enum Asked {
    Write(Job),
    Close(oneshot::Sender<()>),
}

/// A write. It is given the connection, or why there is no transaction. `None` if nobody wants it any more.
type Job = Box<dyn FnOnce(Result<&Connection, Fault>) -> Option<Written> + Send>;
/// Tells whoever asked, once the commit has come to this: that it is kept, or why not. Also what was refused waits until then: who reads again to
/// see why, and asks anew, must find what it was refused for.
type Written = Box<dyn FnOnce(&Result<(), String>)>;

impl Writer {
    /// Connects, brings the tables up to date, and starts the thread.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let mut connection = connect(path)?;
        schema::migrate(&mut connection)?;
        let (asks, asked) = mpsc::channel();
        std::thread::Builder::new().name("state".to_owned()).spawn(move || serve(connection, &asked))?;
        Ok(Self(asks))
    }

    /// Waits its turn, does `write`, all or nothing, and waits until it is on the disk. If the caller goes away before its turn, nothing
    /// is done; later it is done all the same.
    pub async fn write<T, F>(&self, write: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        self.0.send(Asked::Write(job(write, tell))).map_err(|_| closed())?;
        told.await.map_err(|_| closed())?
    }

    /// Closes the connection after what was asked before; later writes fail.
    pub async fn close(&self) {
        let (tell, told) = oneshot::channel();
        // If nobody is there, it was closed before.
        if self.0.send(Asked::Close(tell)).is_ok() {
            let _ = told.await;
        }
    }
}

fn job<T, F>(write: F, tell: oneshot::Sender<Result<T, Fault>>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
{
    Box::new(move |at| {
        // A storm that is too much makes callers give up and ask again: what they gave up is not done on top of it.
        if tell.is_closed() {
            return None;
        }
        let done = at.and_then(|at| whole(at, write));
        Some(Box::new(move |committed| {
            let done = match (done, committed) {
                (Ok(_), Err(why)) => Err(lost(why)),
                (done, _) => done,
            };
            // Whoever does not listen any more needs no answer.
            let _ = tell.send(done);
        }))
    })
}

/// Does `write` within a savepoint, and rolls it back if it fails or panics.
fn whole<T>(at: &Connection, write: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
    execute(at, "SAVEPOINT turn", [])?;
    let panicked = || Fault::Io(std::io::Error::other("the write came to a sudden end, which is a fault in kickctl"));
    let done = catch_unwind(AssertUnwindSafe(|| write(at))).unwrap_or_else(|_| Err(panicked()));
    let done = done.and_then(|value| execute(at, "RELEASE turn", []).map(|_| value));
    if done.is_err() {
        // If SQLite has rolled back everything by itself, there is no such savepoint any more.
        let _ = execute(at, "ROLLBACK TO turn", []).and_then(|_| execute(at, "RELEASE turn", []));
    }
    done
}

fn serve(connection: Connection, asked: &mpsc::Receiver<Asked>) {
    let mut next = asked.recv().ok();
    while let Some(Asked::Write(first)) = next {
        next = write_together(&connection, first, asked).or_else(|| asked.recv().ok());
    }
    // Everything is committed: what closing could tell helps nobody.
    drop(connection);
    if let Some(Asked::Close(tell)) = next {
        let _ = tell.send(());
    }
}

/// One transaction: the first write, and those that wait. Returns what was asked after them, if that was no write.
fn write_together(at: &Connection, first: Job, asked: &mpsc::Receiver<Asked>) -> Option<Asked> {
    if !at.is_autocommit() {
        // A commit failed, and taking it back did too.
        let _ = execute(at, "ROLLBACK", []);
    }
    // It takes the write lock before anything is read.
    if let Err(fault) = execute(at, "BEGIN IMMEDIATE", []) {
        return refuse_waiting(fault, first, asked);
    }
    let begun = Instant::now();
    let mut written: Vec<Written> = first(Ok(at)).into_iter().collect();
    let mut other = None;
    // When the disk is full, SQLite may roll back everything by itself.
    while other.is_none() && !at.is_autocommit() && begun.elapsed() < LONGEST {
        match asked.try_recv() {
            Ok(Asked::Write(job)) => written.extend(job(Ok(at))),
            Ok(close) => other = Some(close),
            Err(_) => break,
        }
    }
    let committed = commit(at);
    for tell in written {
        tell(&committed);
    }
    other
}

/// No transaction could be begun: whoever waits has waited long enough. Returns what was asked after them, if that was no write.
fn refuse_waiting(fault: Fault, first: Job, asked: &mpsc::Receiver<Asked>) -> Option<Asked> {
    let why = format!("{}; if another process is writing, let it end, then try again", fault.at("the write lock"));
    let mut waiting = vec![first];
    let mut other = None;
    // All of them are taken before one is told: who is told may ask anew at once, when the lock has been given back.
    while other.is_none() {
        match asked.try_recv() {
            Ok(Asked::Write(job)) => waiting.push(job),
            Ok(close) => other = Some(close),
            Err(_) => break,
        }
    }
    for job in waiting {
        if let Some(tell) = job(Err(Fault::Io(std::io::Error::other(why.clone())))) {
            tell(&Ok(()));
        }
    }
    other
}

fn commit(at: &Connection) -> Result<(), String> {
    if at.is_autocommit() {
        return Err(
            "another write that shared its transaction made SQLite roll back all of it: make room on that disk, then try again".to_owned()
        );
    }
    execute(at, "COMMIT", []).map(drop).map_err(|fault| {
        // It may have rolled back by itself.
        let _ = execute(at, "ROLLBACK", []);
        fault.at("the commit").to_string()
    })
}

fn lost(why: &str) -> Fault {
    Fault::Io(std::io::Error::other(format!("it could not be committed: {why}")))
}
