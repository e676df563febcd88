//! The state in one SQLite file.
//!
//! Command line and daemon open it at the same time. What makes that safe:
//! - WAL: readers never wait for the writer, and every method sees one moment.
//! - Each writing method is all or nothing within a `BEGIN IMMEDIATE` transaction: it takes the write lock before it reads, so
//!   it never finds half-way that somebody else wrote first (`SQLITE_BUSY_SNAPSHOT`, which no waiting mends). Another process
//!   waits up to [`BUSY`] for it.
//! - Within a process one thread writes, first come, first served: SQLite's own waiting is a lottery that a storm of two
//!   hundred booting nodes can lose for longer than the time-out. Writes that wait together are committed together (`writer`).
//!
//! A boot storm is thousands of small questions a second, and a switch of threads costs more than most of the answers. So a row
//! is read on the thread that asks (`reader`), and a write is one message to the thread that writes.

mod addresses;
mod attempts;
mod discovered;
mod diskless;
mod events;
mod fault;
mod file;
mod leases;
mod log;
mod nodes;
mod orders;
mod outbox;
mod packages;
mod power;
mod reader;
mod rollouts;
mod rows;
mod schema;
mod writer;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
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
use addresses::Addresses;
use fault::Fault;
use orders::Orders;
use packages::Report;
use reader::Reader;
use writer::Writer;

/// How long one process waits for another's write.
const BUSY: Duration = Duration::from_secs(10);
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 128;

/// The state in one SQLite file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    reader: Reader,
    writer: Writer,
    orders: Orders,
    addresses: Addresses,
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
        let path = path.to_owned();
        let open = aside(move || {
            if !path.try_exists()? {
                file::make(&path)?;
            }
            let writer = Writer::open(&path)?;
            Ok((Reader::new(path), writer))
        });
        let (reader, writer) = open.await.map_err(|fault| fault.at(&place))?;
        Ok(Self { reader, writer, orders: Orders::default(), addresses: Addresses::default(), place })
    }

    /// Closes the file after what is under way. Without it a killed process's log file stays; the next one takes it up.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Reads a row or a few, at once.
    async fn read<T>(&self, read: impl FnOnce(&Connection) -> std::result::Result<T, Fault> + Send) -> Result<T> {
        // Who reads row after row lets others have the thread now and then.
        tokio::task::coop::consume_budget().await;
        self.tell(self.reader.read(read))
    }

    /// Reads many rows, on a thread for what takes long.
    async fn read_aside<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> std::result::Result<T, Fault> + Send + 'static,
    {
        self.tell(self.reader.read_aside(read).await)
    }

    /// Writes, all or nothing, and waits until it is on the disk.
    async fn write<T, F>(&self, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> std::result::Result<T, Fault> + Send + 'static,
    {
        self.tell(self.writer.write(write).await)
    }

    fn tell<T>(&self, done: std::result::Result<T, Fault>) -> Result<T> {
        done.map_err(|fault| fault.at(&self.place))
    }
}

fn connect(path: &Path) -> std::result::Result<Connection, Fault> {
    // A connection is used by one thread at a time: SQLite's own lock around each call is not needed.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    // A killed process loses nothing with `synchronous = NORMAL` either, but a power cut would take the last seconds with it. "This
    // node is installed, do not install it again" and "this address is lent" must not be among them, and a few
    // hundred syncs for a whole cluster's installation cost nothing that matters.
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Does what waits for the disk on a thread that may wait.
async fn aside<T, F>(work: F) -> std::result::Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> std::result::Result<T, Fault> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|error| Fault::Io(std::io::Error::other(error)))?
}

fn closed() -> Fault {
    Fault::Io(std::io::Error::other("it is closed already"))
}

#[async_trait]
impl Store for SqliteStore {
    async fn nodes(&self) -> Result<Vec<Node>> {
        self.read_aside(nodes::all).await
    }

    async fn reserved_addresses(&self) -> Result<Arc<[(NodeName, Ipv4Addr)]>> {
        if let Some(known) = self.read(|at| self.addresses.known(at)).await? {
            return Ok(known);
        }
        let addresses = self.addresses.clone();
        self.read_aside(move |at| addresses.read(at)).await
    }

    async fn node(&self, name: &NodeName) -> Result<Option<Node>> {
        self.read(|at| nodes::one(at, name)).await
    }

    async fn node_by_mac(&self, mac: MacAddr) -> Result<Option<Node>> {
        self.read(|at| nodes::by_mac(at, mac)).await
    }

    async fn change_nodes(&self, added: &[Node], changed: &[Node]) -> Result<()> {
        let (added, changed) = (added.to_vec(), changed.to_vec());
        self.write(move |at| nodes::change(at, &added, &changed)).await
    }

    async fn remove_nodes(&self, names: &[NodeName]) -> Result<()> {
        let names = names.to_vec();
        self.write(move |at| nodes::remove(at, &names)).await
    }

    async fn facts(&self, node: &NodeName) -> Result<Facts> {
        self.read(|at| nodes::facts(at, node)).await
    }

    async fn update_facts(&self, node: &NodeName, facts: &Facts) -> Result<()> {
        let (node, facts) = (node.clone(), facts.clone());
        self.write(move |at| nodes::update_facts(at, &node, &facts)).await
    }

    async fn discover(&self, seen: &Discovered) -> Result<()> {
        let seen = seen.clone();
        self.write(move |at| discovered::put(at, &seen)).await
    }

    async fn discovered(&self) -> Result<Vec<Discovered>> {
        self.read_aside(discovered::all).await
    }

    async fn forget_discovered(&self, mac: MacAddr) -> Result<()> {
        self.write(move |at| discovered::forget(at, mac)).await
    }

    async fn groups_with_variables(&self) -> Result<Vec<GroupName>> {
        self.read_aside(nodes::groups_with_variables).await
    }

    async fn group_variables(&self, group: &GroupName) -> Result<Variables> {
        self.read(|at| nodes::group_variables(at, group)).await
    }

    async fn set_group_variables(&self, group: &GroupName, variables: &Variables) -> Result<()> {
        let (group, variables) = (group.clone(), variables.clone());
        self.write(move |at| nodes::set_group_variables(at, &group, &variables)).await
    }

    async fn assignments(&self) -> Result<Vec<Assignment>> {
        self.read_aside(nodes::assignments).await
    }

    async fn assignment(&self, node: &NodeName) -> Result<Option<Assignment>> {
        self.read(|at| nodes::assignment(at, node)).await
    }

    async fn assign(&self, assignments: &[Assignment]) -> Result<()> {
        let assignments = assignments.to_vec();
        self.write(move |at| nodes::assign(at, &assignments)).await
    }

    async fn unassign(&self, nodes: &[NodeName]) -> Result<()> {
        let nodes = nodes.to_vec();
        self.write(move |at| nodes::unassign(at, &nodes)).await
    }

    async fn arm(&self, node: &NodeName, order: &Order, now: OffsetDateTime) -> Result<Attempt> {
        let (node, order) = (node.clone(), order.clone());
        self.write(move |at| attempts::arm(at, &node, &order, now)).await
    }

    async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>> {
        self.read(|at| attempts::one(at, &self.orders, id)).await
    }

    async fn last_attempt_beside(&self, id: AttemptId) -> Result<Option<Attempt>> {
        self.read(|at| attempts::last_beside(at, &self.orders, id)).await
    }

    async fn last_attempt(&self, node: &NodeName) -> Result<Option<Attempt>> {
        self.read(|at| attempts::last(at, &self.orders, node)).await
    }

    async fn attempts(&self, node: Option<&NodeName>) -> Result<Vec<Attempt>> {
        if node.is_some() {
            return self.read(|at| attempts::all(at, &self.orders, node)).await;
        }
        let orders = self.orders.passing();
        self.read_aside(move |at| attempts::all(at, &orders, None)).await
    }

    async fn histories(&self, nodes: &[NodeName]) -> Result<BTreeMap<NodeName, Vec<Attempt>>> {
        let (nodes, orders) = (nodes.to_vec(), self.orders.passing());
        self.read_aside(move |at| attempts::histories(at, &orders, &nodes)).await
    }

    async fn last_attempts(&self) -> Result<Vec<Attempt>> {
        let orders = self.orders.clone();
        self.read_aside(move |at| attempts::last_of_each(at, &orders)).await
    }

    async fn save_attempt_with(&self, attempt: &Attempt, along: &Along, now: OffsetDateTime) -> Result<()> {
        let (attempt, along) = (attempt.clone(), along.clone());
        self.write(move |at| attempts::save(at, &attempt, &along, now)).await
    }

    async fn arm_and(&self, arming: &Arming<'_>, now: OffsetDateTime) -> Result<Attempt> {
        let Arming { node, order, after, cycle, why } = arming.clone();
        let (node, order, after) = (node.clone(), order.clone(), after.cloned());
        self.write(move |at| attempts::arm_and(at, &Arming { node: &node, order: &order, after: after.as_ref(), cycle, why }, now)).await
    }

    async fn prune_attempts(&self, before: OffsetDateTime, kept: Kept) -> Result<u64> {
        self.write(move |at| attempts::prune(at, before, kept)).await
    }

    async fn append_log(&self, attempt: AttemptId, lines: &[LogLine]) -> Result<()> {
        let lines = lines.to_vec();
        self.write(move |at| log::append(at, attempt, &lines)).await
    }

    async fn log(&self, attempt: AttemptId, after: u64, limit: u32) -> Result<Vec<LogLine>> {
        self.read_aside(move |at| log::after(at, attempt, after, limit)).await
    }

    async fn last_log(&self, attempt: AttemptId, limit: u32) -> Result<Vec<LogLine>> {
        self.read_aside(move |at| log::last_lines(at, attempt, limit)).await
    }

    async fn add_events(&self, events: &[Occurrence], now: OffsetDateTime) -> Result<()> {
        let events = events.to_vec();
        self.write(move |at| events::add(at, &events, now)).await
    }

    async fn events(&self, after: u64, limit: u32) -> Result<Vec<Occurrence>> {
        self.read_aside(move |at| events::after(at, after, limit)).await
    }

    async fn last_event(&self) -> Result<u64> {
        self.read(events::last).await
    }

    async fn prune_events(&self, before: OffsetDateTime, most: u64) -> Result<u64> {
        self.write(move |at| events::prune(at, before, most)).await
    }

    async fn outbox(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<Outgoing>> {
        self.read_aside(move |at| outbox::due(at, now, limit)).await
    }

    async fn put_work(&self, work: &Work, due: OffsetDateTime) -> Result<()> {
        let work = work.clone();
        self.write(move |at| outbox::put(at, &work, due)).await
    }

    async fn keep_work(&self, outgoing: &Outgoing) -> Result<()> {
        let outgoing = outgoing.clone();
        self.write(move |at| outbox::keep(at, &outgoing)).await
    }

    async fn end_work(&self, id: i64, events: &[Occurrence], now: OffsetDateTime) -> Result<()> {
        let events = events.to_vec();
        self.write(move |at| outbox::end(at, id, &events, now)).await
    }

    async fn rollouts(&self) -> Result<Vec<Rollout>> {
        self.read_aside(rollouts::all).await
    }

    async fn add_rollout(&self, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<Rollout> {
        let (rollout, along) = (rollout.clone(), along.clone());
        self.write(move |at| rollouts::add(at, &rollout, &along, now)).await
    }

    async fn save_rollout(&self, rollout: &Rollout, along: &Along, now: OffsetDateTime) -> Result<()> {
        let (rollout, along) = (rollout.clone(), along.clone());
        self.write(move |at| rollouts::save(at, &rollout, &along, now)).await
    }

    async fn power(&self) -> Result<BTreeMap<NodeName, Power>> {
        self.read_aside(power::all).await
    }

    async fn power_of(&self, node: &NodeName) -> Result<Option<Power>> {
        self.read(|at| power::of(at, node)).await
    }

    async fn set_power(&self, nodes: &[(NodeName, Option<Power>)]) -> Result<()> {
        let nodes = nodes.to_vec();
        self.write(move |at| power::set(at, &nodes)).await
    }

    async fn sightings(&self) -> Result<Vec<Sighting>> {
        self.read_aside(diskless::sightings).await
    }

    async fn put_sighting(&self, seen: &Sighting) -> Result<()> {
        let seen = seen.clone();
        self.write(move |at| diskless::put_sighting(at, &seen)).await
    }

    async fn packages(&self, node: &NodeName) -> Result<Option<NodePackages>> {
        let node = node.clone();
        self.read_aside(move |at| packages::packages(at, &node)).await
    }

    async fn put_packages(&self, told: &NodePackages) -> Result<()> {
        let told = Report::from(told);
        self.write(move |at| packages::put_packages(at, &told)).await
    }

    async fn host_keys(&self, node: &NodeName) -> Result<Vec<HostKey>> {
        self.read(|at| diskless::host_keys(at, node)).await
    }

    async fn keep_host_keys(&self, node: &NodeName, keys: &[HostKey]) -> Result<Vec<HostKey>> {
        let (node, keys) = (node.clone(), keys.to_vec());
        self.write(move |at| diskless::keep_host_keys(at, &node, &keys)).await
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        self.read_aside(leases::all).await
    }

    async fn put_lease(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write(move |at| leases::put(at, &lease)).await
    }

    async fn end_lease(&self, mac: MacAddr) -> Result<()> {
        self.write(move |at| leases::end(at, mac)).await
    }
}

#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod tests;
