//! Connections that read.
//!
//! A row is read where it is asked for, on the thread of whoever asks: that takes microseconds, and a reader waits for no writer. To
//! hand it to another thread and to be woken by that would take longer than the reading. Whole tables are read aside: with thousands of
//! nodes they take a tenth of a second, in which the asking thread can answer many others.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::{aside, closed, connect};

/// Reads of whole tables at the same time.
const ASIDE: u32 = 4;

/// The connections that read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Those that nobody uses; `None` once it is closed.
    idle: Mutex<Option<Vec<Connection>>>,
    aside: Arc<Semaphore>,
    /// How many are kept for the next reader: as many as can read at the same moment. More are opened if they have to be.
    kept: usize,
}

impl Reader {
    /// Connects when it is first asked.
    pub fn new(path: PathBuf) -> Self {
        let kept = ASIDE as usize + std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Shared { path, idle: Mutex::new(Some(vec![])), aside: Arc::new(Semaphore::new(ASIDE as usize)), kept }))
    }

    /// Reads at once; all statements of `read` see the same moment.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        self.0.read(read)
    }

    /// As [`Reader::read`], on a thread for what takes long.
    pub async fn read_aside<T, F>(&self, read: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let permit = Arc::clone(&shared.aside).acquire_owned().await.map_err(|_| closed())?;
        aside(move || {
            // Given back when the reading ends, even if nobody waits for it any more.
            let _permit = permit;
            shared.read(read)
        })
        .await
    }

    /// Closes the connections after what is read aside; later reads fail. A row that is being read keeps its own to its end.
    pub async fn close(&self) {
        // Already closed: that is what is wanted.
        let _all = self.0.aside.acquire_many(ASIDE).await;
        self.0.aside.close();
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Shared {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let connection = self.take()?;
        let moment = connection.unchecked_transaction()?;
        let value = read(&moment);
        drop(moment);
        self.put_back(connection);
        value
    }

    fn take(&self) -> Result<Connection, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_mut().ok_or_else(closed)?.pop();
        idle.map_or_else(|| self.connect(), Ok)
    }

    /// A connection that can change nothing.
    fn connect(&self) -> Result<Connection, Fault> {
        let connection = connect(&self.path)?;
        connection.execute_batch("PRAGMA query_only = ON")?;
        Ok(connection)
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(idle) = idle.as_mut().filter(|idle| idle.len() < self.kept) {
            idle.push(connection);
        }
    }
}
