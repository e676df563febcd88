//! The state in one SQLite file.
//!
//! Command line and daemon open it at the same time. What makes that safe:
//! - WAL: readers never wait for the writer, and every method sees one moment.
//! - Each writing method is all or nothing within a `BEGIN IMMEDIATE` transaction: it takes the write lock before it reads, so
//!   it never finds half-way that somebody else wrote first (`SQLITE_BUSY_SNAPSHOT`, which no waiting mends). Another process
//!   waits up to [`BUSY`] for it.
//! - Within a process one connection writes, first come, first served: SQLite's own waiting is a lottery that a storm of two
//!   hundred booting nodes can lose for longer than the time-out. Writes that wait together are committed together (`batch`).

mod attempts;
mod batch;
mod discovered;
mod diskless;
mod events;
mod fault;
mod file;
mod leases;
mod log;
mod nodes;
mod outbox;
mod packages;
mod power;
mod rollouts;
mod rows;
mod schema;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};
use time::OffsetDateTime;

use super::{Along, Arming, HostKey, Kept, LogLine, NodePackages, Result, Sighting, Store};
use crate::domain::attempt::{Attempt, AttemptId, Order};
use crate::domain::facts::Facts;
use crate::domain::lease::Lease;
use crate::domain::mac::MacAddr;
use crate::domain::name::{GroupName, NodeName};
use crate::domain::node::{Discovered, Node};
use crate::domain::occurrence::Occurrence;
use crate::domain::outbox::{Outgoing, Work};
use crate::domain::power::Power;
use crate::domain::profile::Assignment;
use crate::domain::rollout::Rollout;
use crate::domain::variables::Variables;
use batch::{Turn, Writer};
use fault::Fault;

/// How long one process waits for another's write.
const BUSY: Duration = Duration::from_secs(5);
/// Connections that read at the same time; each has a thread.
const READERS: u32 = 4;

/// The state in one SQLite file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    reader: SqlitePool,
    writer: Writer,
    place: String,
}

impl SqliteStore {
    /// Opens the state at `path`, making file and tables if needed. The file is readable by its owner only, and belongs to
    /// whom its folder belongs to.
    ///
    /// # Errors
    /// [`Error::Newer`](super::Error::Newer) if a newer kickctl wrote it; [`Error::Database`](super::Error::Database) if it
    /// cannot be opened, made or read.
    pub async fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let open = async {
            if !tokio::fs::try_exists(path).await? {
                file::make(path).await?;
            }
            let options = options(path);
            let writer = Writer::open(&options).await?;
            let reader = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false).connect_lazy_with(options);
            Ok::<_, Fault>((reader, writer))
        };
        let (reader, writer) = open.await.map_err(|fault| fault.at(&place))?;
        Ok(Self { reader, writer, place })
    }

    /// Closes the file after what is under way. Without it a killed process's log file stays; the next one takes it up.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn read(&self) -> Result<Transaction<'static, Sqlite>> {
        self.reader.begin().await.map_err(|error| Fault::from(error).at(&self.place))
    }

    async fn read_one(&self) -> Result<PoolConnection<Sqlite>> {
        self.reader.acquire().await.map_err(|error| Fault::from(error).at(&self.place))
    }

    async fn write(&self) -> Result<Turn> {
        self.tell(self.writer.turn().await)
    }

    /// Keeps what was written if `done` is well, and waits until it is on the disk; else it is rolled back.
    async fn finish<T>(&self, turn: Turn, done: std::result::Result<T, Fault>) -> Result<T> {
        self.tell(turn.finish(done).await)
    }

    fn tell<T>(&self, done: std::result::Result<T, Fault>) -> Result<T> {
        done.map_err(|fault| fault.at(&self.place))
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .journal_mode(SqliteJournalMode::Wal)
        // A killed process loses nothing with NORMAL either, but a power cut would take the last seconds with it. "This
        // node is installed, do not install it again" and "this address is lent" must not be among them, and a few
        // hundred syncs for a whole cluster's installation cost nothing that matters.
        .synchronous(SqliteSynchronous::Full)
}

#[async_trait]
impl Store for SqliteStore {
    async fn nodes(&self) -> Result<Vec<Node>> {
        let mut at = self.read().await?;
        self.tell(nodes::all(&mut at).await)
    }

    async fn reserved_addresses(&self) -> Result<Vec<(NodeName, Ipv4Addr)>> {
        let mut at = self.read_one().await?;
        self.tell(nodes::reserved_addresses(&mut at).await)
    }

    async fn node(&self, name: &NodeName) -> Result<Option<Node>> {
        let mut at = self.read().await?;
        self.tell(nodes::one(&mut at, name).await)
    }

    async fn node_by_mac(&self, mac: MacAddr) -> Result<Option<Node>> {
        let mut at = self.read().await?;
        self.tell(nodes::by_mac(&mut at, mac).await)
    }

    async fn change_nodes(&self, added: &[Node], changed: &[Node]) -> Result<()> {
        let mut at = self.write().await?;
        let done = nodes::change(&mut at, added, changed).await;
        self.finish(at, done).await
    }

    async fn remove_nodes(&self, names: &[NodeName]) -> Result<()> {
        let mut at = self.write().await?;
        let done = nodes::remove(&mut at, names).await;
        self.finish(at, done).await
    }

    async fn facts(&self, node: &NodeName) -> Result<Facts> {
        let mut at = self.read_one().await?;
        self.tell(nodes::facts(&mut at, node).await)
    }

    async fn update_facts(&self, node: &NodeName, facts: &Facts) -> Result<()> {
        let mut at = self.write().await?;
        let done = nodes::update_facts(&mut at, node, facts).await;
        self.finish(at, done).await
    }

    async fn discover(&self, seen: &Discovered) -> Result<()> {
        let mut at = self.write().await?;
        let done = discovered::put(&mut at, seen).await;
        self.finish(at, done).await
    }

    async fn discovered(&self) -> Result<Vec<Discovered>> {
        let mut at = self.read_one().await?;
        self.tell(discovered::all(&mut at).await)
    }

    async fn forget_discovered(&self, mac: MacAddr) -> Result<()> {
        let mut at = self.write().await?;
        let done = discovered::forget(&mut at, mac).await;
        self.finish(at, done).await
    }

    async fn groups_with_variables(&self) -> Result<Vec<GroupName>> {
        let mut at = self.read_one().await?;
        self.tell(nodes::groups_with_variables(&mut at).await)
    }

    async fn group_variables(&self, group: &GroupName) -> Result<Variables> {
        let mut at = self.read_one().await?;
        self.tell(nodes::group_variables(&mut at, group).await)
    }

    async fn set_group_variables(&self, group: &GroupName, variables: &Variables) -> Result<()> {
        let mut at = self.write().await?;
        let done = nodes::set_group_variables(&mut at, group, variables).await;
        self.finish(at, done).await
    }

    async fn assignments(&self) -> Result<Vec<Assignment>> {
        let mut at = self.read_one().await?;
        self.tell(nodes::assignments(&mut at).await)
    }

    async fn assignment(&self, node: &NodeName) -> Result<Option<Assignment>> {
        let mut at = self.read_one().await?;
        self.tell(nodes::assignment(&mut at, node).await)
    }

    async fn assign(&self, assignments: &[Assignment]) -> Result<()> {
        let mut at = self.write().await?;
        let done = nodes::assign(&mut at, assignments).await;
        self.finish(at, done).await
    }

    async fn unassign(&self, nodes: &[NodeName]) -> Result<()> {
        let mut at = self.write().await?;
        let done = nodes::unassign(&mut at, nodes).await;
        self.finish(at, done).await
    }

    async fn arm(&self, node: &NodeName, order: &Order, now: OffsetDateTime) -> Result<Attempt> {
        let mut at = self.write().await?;
        let done = attempts::arm(&mut at, node, order, now).await;
        self.finish(at, done).await
    }

    async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>> {
        let mut at = self.read_one().await?;
        self.tell(attempts::one(&mut at, id).await)
    }

    async fn last_attempt(&self, node: &NodeName) -> Result<Option<Attempt>> {
        let mut at = self.read_one().await?;
        self.tell(attempts::last(&mut at, node).await)
    }

    async fn attempts(&self, node: Option<&NodeName>) -> Result<Vec<Attempt>> {
        let mut at = self.read_one().await?;
        self.tell(attempts::all(&mut at, node).await)
    }

    async fn histories(&self, nodes: &[NodeName]) -> Result<BTreeMap<NodeName, Vec<Attempt>>> {
        let mut at = self.read().await?;
        self.tell(attempts::histories(&mut at, nodes).await)
    }

    async fn last_attempts(&self) -> Result<Vec<Attempt>> {
        let mut at = self.read_one().await?;
        self.tell(attempts::last_of_each(&mut at).await)
    }

    async fn save_attempt_with(&self, attempt: &Attempt, along: &Along, now: OffsetDateTime) -> Result<()> {
        let mut at = self.write().await?;
        let done = attempts::save(&mut at, attempt, along, now).await;
        self.finish(at, done).await
    }

    async fn arm_and(&self, arming: &Arming<'_>, now: OffsetDateTime) -> Result<Attempt> {
        let mut at = self.write().await?;
        let done = attempts::arm_and(&mut at, arming, now).await;
        self.finish(at, done).await
    }

    async fn prune_attempts(&self, before: OffsetDateTime, kept: Kept) -> Result<u64> {
        let mut at = self.write().await?;
        let done = attempts::prune(&mut at, before, kept).await;
        self.finish(at, done).await
    }

    async fn append_log(&self, attempt: AttemptId, lines: &[LogLine]) -> Result<()> {
        let mut at = self.write().await?;
        let done = log::append(&mut at, attempt, lines).await;
        self.finish(at, done).await
    }

    async fn log(&self, attempt: AttemptId, after: u64, limit: u32) -> Result<Vec<LogLine>> {
        let mut at = self.read_one().await?;
        self.tell(log::after(&mut at, attempt, after, limit).await)
    }

    async fn last_log(&self, attempt: AttemptId, limit: u32) -> Result<Vec<LogLine>> {
        let mut at = self.read_one().await?;
        self.tell(log::last_lines(&mut at, attempt, limit).await)
    }

    async fn add_events(&self, events: &[Occurrence], now: OffsetDateTime) -> Result<()> {
        let mut at = self.write().await?;
        let done = events::add(&mut at, events, now).await;
        self.finish(at, done).await
    }

    async fn events(&self, after: u64, limit: u32) -> Result<Vec<Occurrence>> {
        let mut at = self.read_one().await?;
        self.tell(events::after(&mut at, after, limit).await)
    }

    async fn last_event(&self) -> Result<u64> {
        let mut at = self.read_one().await?;
        self.tell(events::last(&mut at).await)
    }

    async fn prune_events(&self, before: OffsetDateTime, most: u64) -> Result<u64> {
        let mut at = self.write().await?;
        let done = events::prune(&mut at, before, most).await;
        self.finish(at, done).await
    }

    async fn outbox(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<Outgoing>> {
        let mut at = self.read_one().await?;
        self.tell(outbox::due(&mut at, now, limit).await)
    }

    async fn put_work(&self, work: &Work, due: OffsetDateTime) -> Result<()> {
        let mut at = self.write().await?;
        let done = outbox::put(&mut at, work, due).await;
        self.finish(at, done).await
    }

    async fn keep_work(&self, outgoing: &Outgoing) -> Result<()> {
        let mut at = self.write().await?;
        let done = outbox::keep(&mut at, outgoing).await;
        self.finish(at, done).await
    }

    async fn end_work(&self, id: i64, events: &[Occurrence], now: OffsetDateTime) -> Result<()> {
        let mut at = self.write().await?;
        let done = outbox::end(&mut at, id, events, now).await;
        self.finish(at, done).await
    }

    async fn rollouts(&self) -> Result<Vec<Rollout>> {
        let mut at = self.read_one().await?;
        self.tell(rollouts::all(&mut at).await)
    }

    async fn add_rollout(&self, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<Rollout> {
        let mut at = self.write().await?;
        let done = rollouts::add(&mut at, rollout, along, now).await;
        self.finish(at, done).await
    }

    async fn save_rollout(&self, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<()> {
        let mut at = self.write().await?;
        let done = rollouts::save(&mut at, rollout, along, now).await;
        self.finish(at, done).await
    }

    async fn power(&self) -> Result<BTreeMap<NodeName, Power>> {
        let mut at = self.read_one().await?;
        self.tell(power::all(&mut at).await)
    }

    async fn power_of(&self, node: &NodeName) -> Result<Option<Power>> {
        let mut at = self.read_one().await?;
        self.tell(power::of(&mut at, node).await)
    }

    async fn set_power(&self, nodes: &[(NodeName, Option<Power>)]) -> Result<()> {
        let mut at = self.write().await?;
        let done = power::set(&mut at, nodes).await;
        self.finish(at, done).await
    }

    async fn sightings(&self) -> Result<Vec<Sighting>> {
        let mut at = self.read_one().await?;
        self.tell(diskless::sightings(&mut at).await)
    }

    async fn put_sighting(&self, seen: &Sighting) -> Result<()> {
        let mut at = self.write().await?;
        let done = diskless::put_sighting(&mut at, seen).await;
        self.finish(at, done).await
    }

    async fn packages(&self, node: &NodeName) -> Result<Option<NodePackages>> {
        let mut at = self.read_one().await?;
        self.tell(packages::packages(&mut at, node).await)
    }

    async fn put_packages(&self, told: &NodePackages) -> Result<()> {
        let mut at = self.write().await?;
        let done = packages::put_packages(&mut at, told).await;
        self.finish(at, done).await
    }

    async fn host_keys(&self, node: &NodeName) -> Result<Vec<HostKey>> {
        let mut at = self.read_one().await?;
        self.tell(diskless::host_keys(&mut at, node).await)
    }

    async fn keep_host_keys(&self, node: &NodeName, keys: &[HostKey]) -> Result<Vec<HostKey>> {
        let mut at = self.write().await?;
        let done = diskless::keep_host_keys(&mut at, node, keys).await;
        self.finish(at, done).await
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        let mut at = self.read_one().await?;
        self.tell(leases::all(&mut at).await)
    }

    async fn put_lease(&self, lease: &Lease) -> Result<()> {
        let mut at = self.write().await?;
        let done = leases::put(&mut at, lease).await;
        self.finish(at, done).await
    }

    async fn end_lease(&self, mac: MacAddr) -> Result<()> {
        let mut at = self.write().await?;
        let done = leases::end(&mut at, mac).await;
        self.finish(at, done).await
    }
}

#[cfg(test)]
mod tests;
