//! The nodes' reserved addresses, as they were read before, unless one has changed since.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::fault::Fault;
use super::nodes;
use super::rows::query_one;
use crate::domain::name::NodeName;

/// Nodes with their addresses in natural order of their names.
pub type Reserved = Arc<[(NodeName, Ipv4Addr)]>;

/// What was read last, and how many changes there had been. Cheap to clone; one piece for all who read.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<Mutex<Option<(i64, Reserved)>>>);

impl Addresses {
    /// What was read before, if nothing has changed since.
    pub fn known(&self, at: &Connection) -> Result<Option<Reserved>, Fault> {
        let changes = changes(at)?;
        Ok(self.lock().as_ref().filter(|(known, _)| *known == changes).map(|(_, reserved)| Arc::clone(reserved)))
    }

    /// Reads all of them; `at` sees one moment.
    pub fn read(&self, at: &Connection) -> Result<Reserved, Fault> {
        let (changes, reserved): (_, Reserved) = (changes(at)?, nodes::reserved_addresses(at)?.into());
        let mut last = self.lock();
        // Somebody may have read a later moment meanwhile.
        if last.as_ref().is_none_or(|(known, _)| *known < changes) {
            *last = Some((changes, Arc::clone(&reserved)));
        }
        Ok(reserved)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(i64, Reserved)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Triggers count the changes (`0006_addresses.sql`).
fn changes(at: &Connection) -> Result<i64, Fault> {
    query_one(at, "counters", "SELECT value FROM counters WHERE name = 'addresses'", [], |columns| columns.get("value"))
}
