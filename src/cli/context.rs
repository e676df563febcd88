//! What every command needs: where the data is, the open state, how to print.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use super::Globals;
use super::output::{self, Format, Record};
use crate::app;
use crate::store::SqliteStore;
use crate::sys::data_dir::DataDir;

/// Where the data is if nothing says otherwise.
const DEFAULT_DATA: &str = "/var/lib/kickctl";

/// What every command needs.
#[derive(Debug)]
pub struct Context {
    /// The data folder.
    pub data: DataDir,
    /// How to print.
    pub format: Format,
    /// Say nothing but errors.
    pub quiet: bool,
    store: OnceCell<SqliteStore>,
}

impl Context {
    /// Resolves the global options. Nothing is opened or made yet.
    pub fn new(globals: &Globals) -> Self {
        Self { data: DataDir::new(data_folder(globals)), format: globals.output, quiet: globals.quiet, store: OnceCell::new() }
    }

    /// The state, opened when first asked for; data folder and state are made if they are not there.
    ///
    /// # Errors
    /// If the folder cannot be made or the state not opened.
    pub async fn store(&self) -> app::Result<&SqliteStore> {
        let open = || async {
            let root = self.data.root();
            tokio::fs::create_dir_all(root).await.map_err(|source| app::Error::Io {
                what: format!("cannot make the data folder {} (--data or KICKCTL_DATA names another)", root.display()),
                source,
            })?;
            Ok(SqliteStore::open(&self.data.state()).await?)
        };
        self.store.get_or_try_init(open).await
    }

    /// Closes the state, if it was opened.
    pub async fn close(&self) {
        if let Some(store) = self.store.get() {
            store.close().await;
        }
    }

    /// Prints records in the format asked for.
    ///
    /// # Errors
    /// If standard output cannot be written to.
    pub fn list<R: Record>(&self, records: &[R]) -> app::Result<()> {
        output::list(self.format, records).map_err(unwritable)
    }

    /// Prints one record in the format asked for.
    ///
    /// # Errors
    /// As [`Context::list`].
    pub fn one<R: Record>(&self, record: &R) -> app::Result<()> {
        output::one(self.format, record).map_err(unwritable)
    }

    /// Prints text to standard output as it is.
    ///
    /// # Errors
    /// As [`Context::list`].
    pub fn print(&self, text: &str) -> app::Result<()> {
        output::print(text).map_err(unwritable)
    }

    /// Says on standard error what is good to know, unless asked to be quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{text}");
        }
    }
}

/// The one place that decides where the data is: `--data` or `KICKCTL_DATA` (clap reads both), else the default.
/// What kickctl.toml says comes in between.
fn data_folder(globals: &Globals) -> PathBuf {
    globals.data.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA))
}

fn unwritable(source: std::io::Error) -> app::Error {
    app::Error::Io { what: "standard output cannot be written to".into(), source }
}
