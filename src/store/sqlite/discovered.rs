//! Network-boot clients that no node owns.

use rusqlite::Connection;

use super::fault::Fault;
use super::rows::{Columns, execute, exists, json, nanoseconds, number, query_all, query_first, query_one};
use crate::domain::mac::MacAddr;
use crate::domain::node::Discovered;
use crate::store::MAX_DISCOVERED;

const WHAT: &str = "discovered machines";

pub fn all(at: &Connection) -> Result<Vec<Discovered>, Fault> {
    query_all(at, WHAT, "SELECT * FROM discovered ORDER BY last_seen DESC, mac", [], read)
}

fn read(columns: &Columns<'_>) -> Result<Discovered, Fault> {
    Ok(Discovered {
        mac: columns.text("mac")?,
        uuid: columns.maybe("uuid")?,
        arch: columns.text("arch")?,
        firmware: columns.text("firmware")?,
        address: columns.maybe("address")?,
        facts: columns.json("facts")?,
        first_seen: columns.time("first_seen")?,
        last_seen: columns.time("last_seen")?,
    })
}

/// What a later stage of the same boot does not tell (DHCP knows no serial number, a script fetch no architecture's
/// UUID) stays as it was.
pub fn put(at: &Connection, seen: &Discovered) -> Result<(), Fault> {
    let mac = seen.mac.to_string();
    // It may have been approved since the caller looked.
    if exists(at, "SELECT 1 FROM node_macs WHERE mac = ?1", [&mac])? {
        return Ok(());
    }
    let known = query_first(at, WHAT, "SELECT * FROM discovered WHERE mac = ?1", [&mac], read)?;
    let is_new = known.is_none();
    let mut facts = known.map(|known| known.facts).unwrap_or_default();
    facts.update(&seen.facts);
    let sql = "INSERT INTO discovered (mac, uuid, arch, firmware, address, facts, first_seen, last_seen)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (mac) DO UPDATE SET uuid = COALESCE(excluded.uuid, discovered.uuid), arch = excluded.arch,
                   firmware = excluded.firmware, address = COALESCE(excluded.address, discovered.address),
                   facts = excluded.facts, last_seen = excluded.last_seen";
    let row = (
        mac,
        seen.uuid.as_ref().map(ToString::to_string),
        seen.arch.to_string(),
        seen.firmware.to_string(),
        seen.address.map(|address| address.to_string()),
        json(WHAT, &facts)?,
        nanoseconds(seen.first_seen),
        nanoseconds(seen.last_seen),
    );
    execute(at, sql, row)?;
    if is_new { make_room(at) } else { Ok(()) }
}

fn make_room(at: &Connection) -> Result<(), Fault> {
    let held: i64 = query_one(at, WHAT, "SELECT COUNT(*) AS held FROM discovered", [], |columns| columns.get("held"))?;
    let excess = held - number(MAX_DISCOVERED);
    if excess > 0 {
        let sql = "DELETE FROM discovered WHERE mac IN (SELECT mac FROM discovered ORDER BY last_seen, mac LIMIT ?1)";
        execute(at, sql, [excess])?;
    }
    Ok(())
}

pub fn forget(at: &Connection, mac: MacAddr) -> Result<(), Fault> {
    execute(at, "DELETE FROM discovered WHERE mac = ?1", [mac.to_string()])?;
    Ok(())
}
