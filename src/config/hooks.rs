//! The site's own programs and services that the head calls.

use std::path::PathBuf;

use super::file::{NotifyTable, RolloutsTable};
use super::meaning::Check;
use super::span::Error;
use crate::domain::occurrence::{self, What};

/// Who is told of what happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The URL that each event is posted to.
    pub webhook: Option<String>,
    /// The file with the key that what is posted is signed with.
    pub secret_file: Option<PathBuf>,
    /// The program that is run for each event, with its arguments; empty if there is none.
    pub command: Vec<String>,
    /// Which events.
    pub on: Vec<What>,
}

/// What takes nodes out of work before a rollout installs them, and gives them back; each a program with its arguments, empty if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drains {
    /// Takes a node out of work.
    pub drain: Vec<String>,
    /// Gives a node back.
    pub undrain: Vec<String>,
}

impl Check<'_> {
    pub(super) fn notify(&self, table: NotifyTable) -> Result<Notify, Error> {
        if let Some(url) = table.webhook.as_ref().filter(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(self.0.wrong("notify.webhook", format!("`{url}` is no URL"), "http://… or https://…"));
        }
        let command = self.program("notify.command", table.command)?;
        let on = match table.on {
            None => occurrence::ALL.into_iter().filter(|what| what.is_notable()).collect(),
            Some(words) => words.iter().map(|word| self.notable(word)).collect::<Result<_, _>>()?,
        };
        Ok(Notify { webhook: table.webhook, secret_file: self.absolute("notify.secret_file", table.secret_file)?, command, on })
    }

    fn notable(&self, word: &str) -> Result<What, Error> {
        let notable = |what: &What| what.is_notable();
        let allowed = || occurrence::ALL.into_iter().filter(notable).map(What::word).collect::<Vec<_>>().join(", ");
        word.parse()
            .ok()
            .filter(notable)
            .ok_or_else(|| self.0.wrong("notify.on", format!("`{word}` is nothing that hooks are told of"), allowed()))
    }

    pub(super) fn drains(&self, table: RolloutsTable) -> Result<Drains, Error> {
        let drain = self.program("rollouts.drain", table.drain)?;
        Ok(Drains { drain, undrain: self.program("rollouts.undrain", table.undrain)? })
    }

    fn program(&self, key: &str, written: Option<Vec<String>>) -> Result<Vec<String>, Error> {
        let command = written.unwrap_or_default();
        if command.first().is_some_and(|program| !program.starts_with('/')) {
            return Err(self.0.wrong(key, "does not begin with an absolute path", "[\"/usr/local/bin/PROGRAM\", \"ARGUMENT\"]"));
        }
        Ok(command)
    }
}
