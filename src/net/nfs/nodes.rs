//! The open files that clients use: a bounded cache, so that a READ costs one system call.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::handle::Handle;
use super::volume::Node;

const SHARDS: usize = 16;

/// Objects by handle, in shards so that connections seldom wait for each other.
#[derive(Debug)]
pub(super) struct Nodes {
    shards: [Mutex<HashMap<Handle, Entry>>; SHARDS],
    hasher: RandomState,
    /// Entries of one shard.
    capacity: usize,
}

#[derive(Debug)]
struct Entry {
    node: Arc<Node>,
    used: AtomicBool,
}

impl Nodes {
    /// Holds about `capacity` objects, each with one to three open files.
    pub(super) fn new(capacity: usize) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new(), capacity: (capacity / SHARDS).max(1) }
    }

    fn shard(&self, handle: &Handle) -> MutexGuard<'_, HashMap<Handle, Entry>> {
        let shard = self.hasher.hash_one(handle) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, handle: &Handle) -> Option<Arc<Node>> {
        let shard = self.shard(handle);
        let entry = shard.get(handle)?;
        entry.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(&entry.node))
    }

    /// Keeps an object, and gives it back: the one that is there already, if another connection was faster.
    pub(super) fn put(&self, node: Node) -> Arc<Node> {
        let handle = node.handle;
        let mut shard = self.shard(&handle);
        if shard.len() >= self.capacity {
            sweep(&mut shard);
            // All of them were used: then all give way, rather than that every request searches the shard.
            if shard.len() >= self.capacity {
                shard.clear();
            }
        }
        let entry = shard.entry(handle).or_insert_with(|| Entry { node: Arc::new(node), used: AtomicBool::new(false) });
        Arc::clone(&entry.node)
    }

    /// Closes what has not been used since the last sweep, so that a removed file gives its space back and a file system can be unmounted.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            sweep(&mut shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn sweep(shard: &mut HashMap<Handle, Entry>) {
    shard.retain(|_, entry| entry.used.swap(false, Ordering::Relaxed));
}
