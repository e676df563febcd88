//! What was ordered, as it was read before. It never changes, and reading it is more work than all the rest of an attempt, which is read
//! several times for every request of a booting node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::fault::Fault;
use crate::domain::attempt::{AttemptId, Order};

/// Orders that are kept: those of the largest cluster that boots at once. An order is a few kilobytes.
const MOST: usize = 8192;

/// Orders that were read from committed attempts. Cheap to clone; one piece for all who read.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<Mutex<HashMap<AttemptId, Arc<Order>>>>);

impl Orders {
    /// The order of an attempt, read by `read` if it was not before.
    pub fn get(&self, id: AttemptId, read: impl FnOnce() -> Result<Order, Fault>) -> Result<Arc<Order>, Fault> {
        if let Some(known) = self.lock().get(&id) {
            return Ok(Arc::clone(known));
        }
        let order = Arc::new(read()?);
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id, Arc::clone(&order));
        Ok(order)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AttemptId, Arc<Order>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
