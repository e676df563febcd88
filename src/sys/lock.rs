//! Locks between processes: flock(2), with a time limit and a message that names the holder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Together with other holders of the shared kind.
    Shared,
    /// Alone.
    Exclusive,
}

/// A lock that is held; dropping it (or the end of the process, however it comes) gives it back.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is being started has the open file, too, from its fork to its exec. If this fails, closing helps.
        let _ = self.file.unlock();
    }
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("{} is locked by {holder}: wait for it to end, or end it, and run the command again", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Such as `process 4711 (kickctl mirror sync)`.
        holder: String,
    },
    /// The lock file could not be made or locked.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Takes the lock file at `path` (created when absent), waiting at most `limit` for other holders.
///
/// # Errors
/// [`LockError::Held`] after `limit`, naming the holder and the remedy.
pub async fn acquire(path: &Path, mode: Mode, limit: Duration) -> Result<Lock, LockError> {
    let file = open(path).map_err(|error| super::atomic::named(error, "open the lock", path))?;
    let deadline = Instant::now() + limit;
    loop {
        let attempt = match mode {
            Mode::Shared => file.try_lock_shared(),
            Mode::Exclusive => file.try_lock(),
        };
        match attempt {
            Ok(()) => return Ok(Lock { file }),
            Err(TryLockError::Error(error)) => return Err(super::atomic::named(error, "lock", path).into()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { path: path.to_owned(), holder: holder(&file) }),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

/// Who holds it, as /proc/locks tells: the kernel knows, so that nothing need be written into the file and nothing in it can be stale.
fn holder(file: &File) -> String {
    use std::os::unix::fs::MetadataExt;
    let Ok(inode) = file.metadata().map(|metadata| metadata.ino()) else { return "another process".to_owned() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let pid = locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1048578 0 EOF`; waiters have `->` after the number.
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = fields[..] else { return None };
        (place.rsplit(':').next() == Some(inode.to_string().as_str())).then(|| pid.to_owned())
    });
    let Some(pid) = pid else { return "another process".to_owned() };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    format!("process {pid} ({})", command.chars().take(120).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_second_is_told_who_came_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire(&path, Mode::Exclusive, Duration::ZERO).await.unwrap();
        let error = acquire(&path, Mode::Shared, Duration::ZERO).await.unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        let _one = acquire(&path, Mode::Shared, Duration::ZERO).await.unwrap();
        let _other = acquire(&path, Mode::Shared, Duration::ZERO).await.unwrap();
        assert!(acquire(&path, Mode::Exclusive, Duration::ZERO).await.is_err());
    }

    #[tokio::test]
    async fn a_program_that_is_being_started_keeps_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire(&path, Mode::Exclusive, Duration::ZERO).await.unwrap();
        // What a fork has until its exec.
        let forked = first.file.try_clone().unwrap();
        drop(first);
        let _second = acquire(&path, Mode::Exclusive, Duration::ZERO).await.unwrap();
        drop(forked);
    }

    #[tokio::test]
    async fn a_lock_that_is_given_back_in_time_is_had() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire(&path, Mode::Exclusive, Duration::ZERO).await.unwrap();
        let second = tokio::spawn(async move { acquire(&path, Mode::Exclusive, Duration::from_secs(60)).await });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.unwrap().is_ok());
    }
}
