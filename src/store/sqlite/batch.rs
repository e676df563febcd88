//! Writes that come together share one commit, and so one wait for the disk: a cluster that powers on writes twenty times for each node, and a disk syncs
//! a hundred times a second.
//!
//! Each write is still all or nothing, a savepoint within the open transaction, and none is told of success before the commit. A task of its own commits:
//! it queues for the connection behind the writers that wait already, who come into the same commit, while later ones wait for the next. A writer whose
//! caller goes away in the middle is rolled back by whoever comes next, and takes nobody with it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, watch};

use super::fault::Fault;
use super::schema;

/// What became of a commit; `None` before it.
type Outcome = Option<Result<(), String>>;

/// The one connection that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Writer {
    connection: Arc<Mutex<Shared>>,
    /// Wakes the task that commits.
    wanted: mpsc::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    connection: SqliteConnection,
    /// Tells those whose writes are in the open transaction.
    batch: Option<watch::Sender<Outcome>>,
    /// A transaction was asked for, and may have been begun.
    begun: bool,
    /// A savepoint was asked for and has not been ended.
    torn: bool,
}

/// A turn at writing: a savepoint. What is not [finished](Turn::finish) is rolled back.
pub struct Turn(OwnedMutexGuard<Shared>);

impl Writer {
    /// Connects, brings the tables up to date, and starts the task that commits; it ends with the last clone.
    pub async fn open(options: &SqliteConnectOptions) -> Result<Self, Fault> {
        let mut connection = options.connect().await?;
        schema::migrate(&mut connection).await?;
        let shared = Arc::new(Mutex::new(Shared { connection, batch: None, begun: false, torn: false }));
        let (wanted, mut wakes) = mpsc::channel(1);
        let own = Arc::clone(&shared);
        tokio::spawn(async move {
            while wakes.recv().await.is_some() {
                own.lock().await.commit().await;
            }
        });
        Ok(Self { connection: shared, wanted })
    }

    /// Waits for its turn, first come, first served.
    pub async fn turn(&self) -> Result<Turn, Fault> {
        let mut shared = Arc::clone(&self.connection).lock_owned().await;
        shared.mend().await;
        if shared.batch.is_none() {
            shared.begin().await?;
            // If it is full, the task is about to come anyway.
            let _ = self.wanted.try_send(());
        }
        shared.torn = true;
        shared.run("SAVEPOINT turn").await?;
        Ok(Turn(shared))
    }

    /// Commits what is open and closes the connection; later writes fail.
    pub async fn close(&self) {
        let mut shared = self.connection.lock().await;
        shared.commit().await;
        if let Ok(nowhere) = SqliteConnectOptions::new().in_memory(true).connect().await {
            // Everything is committed: what closing could tell helps nobody.
            let _ = std::mem::replace(&mut shared.connection, nowhere).close().await;
        }
    }
}

impl Turn {
    /// Keeps what was written if `done` is well, and waits until it is on the disk; else rolls it back.
    pub async fn finish<T>(mut self, done: Result<T, Fault>) -> Result<T, Fault> {
        let value = match done {
            Ok(value) => value,
            Err(fault) => {
                self.0.mend().await;
                return Err(fault);
            }
        };
        self.0.run("RELEASE turn").await?;
        self.0.torn = false;
        let Some(mut committed) = self.0.batch.as_ref().map(watch::Sender::subscribe) else { return Err(lost("there was no transaction")) };
        drop(self);
        let outcome = committed.wait_for(Option::is_some).await.map_err(|_| lost("nobody committed"))?.clone();
        match outcome {
            Some(Err(why)) => Err(lost(&why)),
            _ => Ok(value),
        }
    }
}

impl Shared {
    async fn run(&mut self, sql: &'static str) -> Result<(), Fault> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        self.begun = true;
        // It takes the write lock before anything is read.
        self.run("BEGIN IMMEDIATE").await.inspect_err(|_| self.begun = false)?;
        self.batch = Some(watch::Sender::new(None));
        Ok(())
    }

    /// Rolls back what a writer left behind whose caller went away. What was not begun cannot be rolled back: that is no failure.
    async fn mend(&mut self) {
        if self.torn {
            let _ = self.run("ROLLBACK TO turn").await;
            let _ = self.run("RELEASE turn").await;
            self.torn = false;
        }
        if self.begun && self.batch.is_none() {
            let _ = self.run("ROLLBACK").await;
            self.begun = false;
        }
    }

    async fn commit(&mut self) {
        self.mend().await;
        // Taken only afterwards: whoever is cut off here is followed by another.
        if self.batch.is_none() {
            return;
        }
        let outcome = self.run("COMMIT").await.map_err(|fault| fault.at("the batch").to_string());
        if outcome.is_err() {
            let _ = self.run("ROLLBACK").await;
        }
        self.begun = false;
        if let Some(batch) = self.batch.take() {
            batch.send_replace(Some(outcome));
        }
    }
}

fn lost(why: &str) -> Fault {
    Fault::Io(std::io::Error::other(format!("it could not be committed: {why}")))
}

impl Deref for Turn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0.connection
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0.connection
    }
}
