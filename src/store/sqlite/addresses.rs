//! The nodes' reserved addresses, as they were read before, unless one has changed since.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::fault::Fault;
use super::nodes;
use super::rows::query_one;
use crate::domain::name::NodeName;

/// Nodes with their addresses in natural order of their names.
pub type Reserved = Arc<[(NodeName, Ipv4Addr)]>;

/// What was read last. Cheap to clone; one piece for all who read.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<Mutex<Option<(i64, Reserved)>>>);

impl Addresses {
    /// All reserved addresses; `at` sees one moment.
    pub fn get(&self, at: &Connection) -> Result<Reserved, Fault> {
        // Triggers count the changes (0006_addresses.sql).
        let sql = "SELECT value FROM counters WHERE name = 'addresses'";
        let changes = query_one(at, "counters", sql, [], |columns| columns.get("value"))?;
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, reserved)) = last.as_ref().filter(|(known, _)| *known == changes) {
            return Ok(Arc::clone(reserved));
        }
        let reserved: Reserved = nodes::reserved_addresses(at)?.into();
        *last = Some((changes, Arc::clone(&reserved)));
        Ok(reserved)
    }
}
