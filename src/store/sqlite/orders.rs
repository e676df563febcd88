//! What was ordered, as it was read before. It never changes, and reading it is more work than all the rest of an attempt, which is read
//! several times for every request of a booting node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::Fault;
use crate::domain::attempt::{AttemptId, Order};

/// Orders that are kept: more than the largest cluster boots at once. An order is a few kilobytes.
const MOST: usize = 8192;

type Known = HashMap<AttemptId, Arc<Order>>;

/// Orders that were read from committed attempts. Cheap to clone; one piece for all who read.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    known: Arc<Mutex<Known>>,
    /// Those that are read now are not wanted soon again.
    passing: bool,
}

impl Orders {
    /// The same, for who reads the past of many nodes: what is found there takes no place from orders that are under way.
    pub fn passing(&self) -> Self {
        Self { known: Arc::clone(&self.known), passing: true }
    }

    /// The order of an attempt, read by `read` if it was not before.
    pub fn get(&self, id: AttemptId, read: impl FnOnce() -> Result<Order, Fault>) -> Result<Arc<Order>, Fault> {
        if let Some(known) = self.lock().get(&id) {
            return Ok(Arc::clone(known));
        }
        let order = Arc::new(read()?);
        if self.passing {
            return Ok(order);
        }
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id, Arc::clone(&order));
        Ok(order)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
