//! The state of a head: nodes, assignments, attempts, leases. One trait; SQLite implements it, PostgreSQL may.
//!
//! The command line and the daemon use the same store at the same time, so every method is one transaction.

mod sqlite;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::domain::attempt::{Attempt, AttemptId, Order};
use crate::domain::facts::Facts;
use crate::domain::lease::Lease;
use crate::domain::mac::MacAddr;
use crate::domain::mirror::PackageFormat;
use crate::domain::name::{GroupName, NodeName};
use crate::domain::node::{Discovered, Node};
use crate::domain::occurrence::Occurrence;
use crate::domain::outbox::{Outgoing, Work};
use crate::domain::package::Installed;
use crate::domain::power::Power;
use crate::domain::profile::Assignment;
use crate::domain::rollout::Rollout;
use crate::domain::variables::Variables;

pub use sqlite::SqliteStore;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two nodes cannot share this.
    #[error("{what} `{value}` of {claimant} already belongs to {owner}: remove it there first, or give {claimant} another")]
    Taken {
        /// `MAC address`, `address`, `UUID`.
        what: &'static str,
        /// The value.
        value: String,
        /// Who wanted it.
        claimant: NodeName,
        /// Who has it.
        owner: NodeName,
    },
    /// Two nodes cannot have the same name.
    #[error("there is already a node `{0}`: `kickctl node show {0}` shows it, `kickctl node set {0}` changes it")]
    Exists(NodeName),
    /// There is no such node.
    #[error("there is no node `{0}`: `kickctl node list` shows those there are")]
    NoNode(NodeName),
    /// There is no such attempt.
    #[error("there is no attempt {0}")]
    NoAttempt(AttemptId),
    /// The node has an attempt that is not over.
    #[error("{node} already has attempt {number}, which is {state}: `kickctl attempt abort {node}` ends it")]
    Busy {
        /// The node.
        node: NodeName,
        /// The attempt's number.
        number: u32,
        /// Its state's name.
        state: String,
    },
    /// Somebody else changed the attempt since it was read.
    #[error("attempt {0} was changed by somebody else at the same moment: read it again and retry")]
    Stale(AttemptId),
    /// Somebody else changed the rollout since it was read.
    #[error("rollout {0} was changed by somebody else at the same moment: try again")]
    StaleRollout(u64),
    /// The data base failed.
    #[error("state in {place}: {source}")]
    Database {
        /// Where the state is kept.
        place: String,
        /// What the data base said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A newer kickctl wrote it.
    #[error(
        "the state in {place} was written by a newer kickctl (its tables are of version {found}, this one knows {known}): \
         use that kickctl, or put back the state of before the upgrade"
    )]
    Newer {
        /// Where the state is kept.
        place: String,
        /// The version of its tables.
        found: i64,
        /// The newest version that this kickctl knows.
        known: i64,
    },
    /// A record does not read back.
    #[error("a record of {what} in {place} cannot be read: {source}; was it written by a newer kickctl?")]
    Record {
        /// The kind of record.
        what: &'static str,
        /// Where the state is kept.
        place: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The store's results.
pub type Result<T> = std::result::Result<T, Error>;

/// One line of an attempt's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Position within the attempt, from 1.
    #[serde(default)]
    pub seq: u64,
    /// When the head received it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who wrote it: `kickctl`, or the syslog tag.
    pub source: String,
    /// The text, one line.
    pub text: String,
}

/// The last sign of life of a running diskless node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// The node.
    pub node: NodeName,
    /// The attempt that it runs from.
    pub attempt: AttemptId,
    /// When the head heard it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// For how long it had run then, in seconds.
    pub uptime: u64,
    /// The version of its image, in its own words.
    pub version: String,
}

/// The packages that a node reported last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePackages {
    /// The node.
    pub node: NodeName,
    /// The attempt that it runs from.
    pub attempt: AttemptId,
    /// When the head heard it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Whose packages.
    pub format: PackageFormat,
    /// Them, sorted.
    pub packages: Vec<Installed>,
}

/// An ssh host key.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey {
    /// The file's name: `ssh_host_ed25519_key`.
    pub name: String,
    /// The private half.
    pub private: String,
    /// The public half, one line.
    pub public: String,
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostKey {{ {}, {} }}", self.name, self.public.trim_end())
    }
}

/// What is written with an attempt's new state, in the same transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Along {
    /// For the attempt's log.
    pub lines: Vec<LogLine>,
    /// For the table of events; the hooks are told of those that are notable.
    pub events: Vec<Occurrence>,
    /// For the outbox. A power cycle takes the place of an earlier one of the same node.
    pub works: Vec<Work>,
}

/// An attempt to arm, and what comes with it.
#[derive(Clone, Debug)]
pub struct Arming<'a> {
    /// Whose.
    pub node: &'a NodeName,
    /// What is ordered.
    pub order: &'a Order,
    /// The failed attempt that it takes the place of, if it does.
    pub after: Option<&'a Attempt>,
    /// True if the head is to switch the node off and on, to boot over the network.
    pub cycle: bool,
    /// For the log and the event.
    pub why: String,
}

/// Most log lines kept per attempt; later ones are counted and dropped.
pub const MAX_LOG_LINES: u64 = 20_000;
/// Most events kept; the oldest go first.
pub const MAX_EVENTS: u64 = 20_000;
/// Rollouts kept besides those that are not over.
pub const MAX_ROLLOUTS: u64 = 100;

/// How many of a node's last attempts are kept; the last one always is.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// However old they are.
    pub least: u32,
    /// However young they are.
    pub most: u32,
}
/// Most discovered machines kept; the one seen longest ago makes room.
pub const MAX_DISCOVERED: u64 = 1_000;

/// The state of a head.
#[async_trait]
pub trait Store: Send + Sync {
    /// All nodes in natural order of their names (`node9` before `node10`).
    async fn nodes(&self) -> Result<Vec<Node>>;
    /// The nodes with a reserved address, in the order of their names.
    async fn reserved_addresses(&self) -> Result<Arc<[(NodeName, Ipv4Addr)]>>;
    /// One node.
    async fn node(&self, name: &NodeName) -> Result<Option<Node>>;
    /// The node that owns this Ethernet address.
    async fn node_by_mac(&self, mac: MacAddr) -> Result<Option<Node>>;
    /// Adds nodes and replaces nodes that exist, all or none. [`Error::Exists`] for a duplicate name; [`Error::Taken`] names
    /// both owners of a duplicate MAC address, address or UUID. A discovered machine whose MAC address a node takes is discovered no more.
    async fn change_nodes(&self, added: &[Node], changed: &[Node]) -> Result<()>;
    /// Adds nodes, all or none, as [`Store::change_nodes`] does.
    async fn add_nodes(&self, nodes: &[Node]) -> Result<()> {
        self.change_nodes(nodes, &[]).await
    }
    /// Replaces nodes that exist, all or none, as [`Store::change_nodes`] does.
    async fn update_nodes(&self, nodes: &[Node]) -> Result<()> {
        self.change_nodes(&[], nodes).await
    }
    /// Removes nodes with their assignments, attempts and logs, all or none.
    async fn remove_nodes(&self, names: &[NodeName]) -> Result<()>;

    /// What is known of a node's hardware.
    async fn facts(&self, node: &NodeName) -> Result<Facts>;
    /// Takes over what `facts` says; what it does not mention stays.
    async fn update_facts(&self, node: &NodeName, facts: &Facts) -> Result<()>;

    /// Records or refreshes a network-boot client; one that a node owns is left out. Capped at [`MAX_DISCOVERED`].
    async fn discover(&self, seen: &Discovered) -> Result<()>;
    /// All discovered clients, the one seen last first.
    async fn discovered(&self) -> Result<Vec<Discovered>>;
    /// Forgets a discovered client.
    async fn forget_discovered(&self, mac: MacAddr) -> Result<()>;

    /// The groups that have variables, in alphabetical order.
    async fn groups_with_variables(&self) -> Result<Vec<GroupName>>;
    /// A group's variables; empty if nothing is set.
    async fn group_variables(&self, group: &GroupName) -> Result<Variables>;
    /// Sets a group's variables; none at all forget the group.
    async fn set_group_variables(&self, group: &GroupName, variables: &Variables) -> Result<()>;

    /// All assignments in natural order of the nodes' names.
    async fn assignments(&self) -> Result<Vec<Assignment>>;
    /// A node's assignment.
    async fn assignment(&self, node: &NodeName) -> Result<Option<Assignment>>;
    /// Assigns, all or none.
    async fn assign(&self, assignments: &[Assignment]) -> Result<()>;
    /// Takes assignments away, all or none.
    async fn unassign(&self, nodes: &[NodeName]) -> Result<()>;

    /// Makes the node's next attempt in state `Armed`. [`Error::Busy`] if its last one is not over.
    async fn arm(&self, node: &NodeName, order: &Order, now: OffsetDateTime) -> Result<Attempt>;
    /// One attempt.
    async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>>;
    /// The last attempt of the node that `id` is an attempt of: that one, unless a newer one has taken its place.
    async fn last_attempt_beside(&self, id: AttemptId) -> Result<Option<Attempt>>;
    /// A node's last attempt.
    async fn last_attempt(&self, node: &NodeName) -> Result<Option<Attempt>>;
    /// A node's attempts, or everybody's, the newest first.
    async fn attempts(&self, node: Option<&NodeName>) -> Result<Vec<Attempt>>;
    /// All attempts of each of these nodes, the newest first, as of one moment. What is no node any more is left out.
    async fn histories(&self, nodes: &[NodeName]) -> Result<BTreeMap<NodeName, Vec<Attempt>>>;
    /// The last attempt of every node that has one.
    async fn last_attempts(&self) -> Result<Vec<Attempt>>;
    /// Writes back an attempt with log lines in one transaction, and raises its revision. [`Error::Stale`] if it was
    /// changed since `attempt.revision` was read.
    async fn save_attempt(&self, attempt: &Attempt, lines: &[LogLine]) -> Result<()> {
        let lines = lines.to_vec();
        self.save_attempt_with(attempt, &Along { lines, ..Along::default() }, OffsetDateTime::UNIX_EPOCH).await
    }
    /// As [`Store::save_attempt`], with events and what is to be done, which is due `now`.
    async fn save_attempt_with(&self, attempt: &Attempt, along: &Along, now: OffsetDateTime) -> Result<()>;
    /// As [`Store::arm`], with its event and what is to be done for it, in one transaction. [`Error::Stale`] if the attempt that it
    /// comes after was changed since it was read, or is not the node's last any more.
    async fn arm_and(&self, arming: &Arming<'_>, now: OffsetDateTime) -> Result<Attempt>;

    /// Forgets attempts with their logs: of each node those that were armed before `before` but for its last `kept.least`, and all but its
    /// last `kept.most`, never the last that was verified; returns how many.
    async fn prune_attempts(&self, before: OffsetDateTime, kept: Kept) -> Result<u64>;

    /// Appends lines (their `seq` is given by the store). Capped at [`MAX_LOG_LINES`]; the last kept line says that more came.
    /// The lines of [`Store::save_attempt`] are always kept. Calls that come together are synced to disk together.
    async fn append_log(&self, attempt: AttemptId, lines: &[LogLine]) -> Result<()>;
    /// Lines after `after`, at most `limit`.
    async fn log(&self, attempt: AttemptId, after: u64, limit: u32) -> Result<Vec<LogLine>>;

    /// The last lines, at most `limit`, the oldest first.
    async fn last_log(&self, attempt: AttemptId, limit: u32) -> Result<Vec<LogLine>>;

    /// Records events, and tells the hooks of those that are notable.
    async fn add_events(&self, events: &[Occurrence], now: OffsetDateTime) -> Result<()>;
    /// Events after `after`, the oldest first, at most `limit`.
    async fn events(&self, after: u64, limit: u32) -> Result<Vec<Occurrence>>;
    /// The number of the newest event; 0 if there was none yet.
    async fn last_event(&self) -> Result<u64>;
    /// Forgets events from before `before`, and the oldest of more than `most`; returns how many.
    async fn prune_events(&self, before: OffsetDateTime, most: u64) -> Result<u64>;

    /// What is to be done by now, the oldest first, at most `limit`.
    async fn outbox(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<Outgoing>>;
    /// Puts something into the outbox.
    async fn put_work(&self, work: &Work, due: OffsetDateTime) -> Result<()>;
    /// Writes back what came of trying; nothing if it was taken out meanwhile.
    async fn keep_work(&self, outgoing: &Outgoing) -> Result<()>;
    /// Takes out what is done, and records the events that it led to, in one transaction.
    async fn end_work(&self, id: i64, events: &[Occurrence], now: OffsetDateTime) -> Result<()>;

    /// All rollouts, the newest first.
    async fn rollouts(&self) -> Result<Vec<Rollout>>;
    /// Keeps a new rollout, with its events and what is to be done; returns it with its number. [`MAX_ROLLOUTS`] are kept.
    async fn add_rollout(&self, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<Rollout>;
    /// Writes a rollout back, with events and what is to be done, in one transaction, and raises its revision. [`Error::StaleRollout`] if it
    /// was changed since it was read.
    async fn save_rollout(&self, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<()>;

    /// How nodes are switched; nodes that are switched by hand are not among them.
    async fn power(&self) -> Result<BTreeMap<NodeName, Power>>;
    /// How a node is switched.
    async fn power_of(&self, node: &NodeName) -> Result<Option<Power>>;
    /// Sets how nodes are switched, all or none; `None` is by hand.
    async fn set_power(&self, nodes: &[(NodeName, Option<Power>)]) -> Result<()>;

    /// The last sign of life of every node that gave one.
    async fn sightings(&self) -> Result<Vec<Sighting>>;
    /// Records a sign of life in place of the last one.
    async fn put_sighting(&self, seen: &Sighting) -> Result<()>;
    /// The packages that a node reported last.
    async fn packages(&self, node: &NodeName) -> Result<Option<NodePackages>>;
    /// Keeps what a node reports in place of what it reported before.
    async fn put_packages(&self, told: &NodePackages) -> Result<()>;
    /// A node's ssh host keys, by their names; none if none were ever made.
    async fn host_keys(&self, node: &NodeName) -> Result<Vec<HostKey>>;
    /// Keeps a node's host keys, unless it has some: returns those that it has from now on.
    async fn keep_host_keys(&self, node: &NodeName, keys: &[HostKey]) -> Result<Vec<HostKey>>;

    /// All leases of the pool.
    async fn leases(&self) -> Result<Vec<Lease>>;
    /// Records a lease; another machine's lease of the same address is replaced.
    async fn put_lease(&self, lease: &Lease) -> Result<()>;
    /// Ends a machine's lease.
    async fn end_lease(&self, mac: MacAddr) -> Result<()>;
}
