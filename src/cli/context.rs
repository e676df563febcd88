//! What every command needs: where the data is, the open state, how to print.

use std::io::Write;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Globals;
use super::output::{self, Format, Record};
use crate::app::head_keys::token_secret;
use crate::app::place::Place;
use crate::app::{self, DataDir, Head, SqliteStore, Store};
use crate::config::Config;

/// What every command needs.
#[derive(Debug)]
pub struct Context {
    /// The data folder.
    pub data: DataDir,
    /// What the command line said.
    pub globals: Globals,
    store: OnceCell<SqliteStore>,
}

impl Context {
    /// Resolves the global options. Nothing is opened or made yet.
    ///
    /// # Errors
    /// If there is a configuration and it is wrong.
    pub fn new(globals: &Globals) -> app::Result<Self> {
        let data = Place::data(globals.config.as_deref(), globals.data.as_deref())?;
        Ok(Self { globals: globals.clone(), data, store: OnceCell::new() })
    }

    /// The configuration.
    ///
    /// # Errors
    /// If there is none, or it is wrong.
    pub fn config(&self) -> app::Result<Config> {
        Ok(Place::find(self.globals.config.as_deref(), self.globals.data.as_deref())?.config)
    }

    /// Downloads at a time, where there is a configuration: none is needed to mirror.
    pub fn parallel(&self) -> Option<usize> {
        self.config().ok().map(|config| config.parallel)
    }

    /// The configured head.
    ///
    /// # Errors
    /// If there is no configuration or it is wrong, or the state or the keys cannot be opened.
    pub async fn head(&self) -> app::Result<Head> {
        let place = Place::find(self.globals.config.as_deref(), self.globals.data.as_deref())?;
        let store = Arc::new(self.store().await?.clone());
        let secret = token_secret(&place.data)?;
        Ok(Head::new(place.config, place.data, store, secret))
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

    /// The state, if there is one: a head that only mirrors or makes images has none.
    ///
    /// # Errors
    /// As [`Context::store`].
    pub async fn store_if_any(&self) -> app::Result<Option<&dyn Store>> {
        Ok(if self.data.state().exists() { Some(self.store().await?) } else { None })
    }

    /// The state, for commands that only look or need what is there already: a folder that was misspelt is not made.
    ///
    /// # Errors
    /// [`app::Error::Missing`] if there is none, otherwise as [`Context::store`].
    pub async fn present_store(&self) -> app::Result<&SqliteStore> {
        let state = self.data.state();
        if !state.exists() {
            return Err(app::Error::Missing(format!(
                "there is no state at {}: `kickctl init` makes a head, and --data (or KICKCTL_DATA) names another data folder",
                state.display()
            )));
        }
        self.store().await
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
        output::list(self.globals.output, records).map_err(unwritable)
    }

    /// As [`Context::list`]; where a table would be empty, says instead on standard error what that means.
    ///
    /// # Errors
    /// As [`Context::list`].
    pub fn list_or<R: Record>(&self, records: &[R], if_none: &str) -> app::Result<()> {
        if records.is_empty() && self.globals.output == Format::Table {
            self.note(if_none);
        }
        self.list(records)
    }

    /// Prints one record in the format asked for.
    ///
    /// # Errors
    /// As [`Context::list`].
    pub fn one<R: Record>(&self, record: &R) -> app::Result<()> {
        output::one(self.globals.output, record).map_err(unwritable)
    }

    /// Prints text to standard output as it is. False if the reader went away (`| head`): what prints on and on ends then.
    ///
    /// # Errors
    /// As [`Context::list`].
    pub fn print(&self, text: &str) -> app::Result<bool> {
        let mut out = anstream::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            other => other.map(|()| true).map_err(unwritable),
        }
    }

    /// Says on standard error what is good to know, unless asked to be quiet.
    pub fn note(&self, text: &str) {
        if !self.globals.quiet {
            anstream::eprintln!("{text}");
        }
    }
}

fn unwritable(source: std::io::Error) -> app::Error {
    app::Error::Io { what: "standard output cannot be written to".into(), source }
}
