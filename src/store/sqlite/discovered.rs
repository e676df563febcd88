//! Network-boot clients that no node owns.

use sqlx::{Row, SqliteConnection};

use super::fault::Fault;
use super::rows::{Columns, json, nanoseconds, number};
use crate::domain::mac::MacAddr;
use crate::domain::node::Discovered;
use crate::store::MAX_DISCOVERED;

pub async fn all(at: &mut SqliteConnection) -> Result<Vec<Discovered>, Fault> {
    let rows = sqlx::query("SELECT * FROM discovered ORDER BY last_seen DESC, mac").fetch_all(at).await?;
    rows.iter().map(|row| read(&Columns::of(row, "discovered machines"))).collect()
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
pub async fn put(at: &mut SqliteConnection, seen: &Discovered) -> Result<(), Fault> {
    let mac = seen.mac.to_string();
    // It may have been approved since the caller looked.
    if sqlx::query("SELECT 1 FROM node_macs WHERE mac = $1").bind(&mac).fetch_optional(&mut *at).await?.is_some() {
        return Ok(());
    }
    let known = sqlx::query("SELECT * FROM discovered WHERE mac = $1").bind(&mac).fetch_optional(&mut *at).await?;
    let mut facts = known.as_ref().map(|row| read(&Columns::of(row, "discovered machines"))).transpose()?.map(|known| known.facts);
    let facts = facts.get_or_insert_default();
    facts.update(&seen.facts);
    let sql = "INSERT INTO discovered (mac, uuid, arch, firmware, address, facts, first_seen, last_seen)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
               ON CONFLICT (mac) DO UPDATE SET uuid = COALESCE(excluded.uuid, discovered.uuid), arch = excluded.arch,
                   firmware = excluded.firmware, address = COALESCE(excluded.address, discovered.address),
                   facts = excluded.facts, last_seen = excluded.last_seen";
    sqlx::query(sql)
        .bind(mac)
        .bind(seen.uuid.as_ref().map(ToString::to_string))
        .bind(seen.arch.to_string())
        .bind(seen.firmware.to_string())
        .bind(seen.address.map(|address| address.to_string()))
        .bind(json("discovered machines", facts)?)
        .bind(nanoseconds(seen.first_seen))
        .bind(nanoseconds(seen.last_seen))
        .execute(&mut *at)
        .await?;
    if known.is_none() { make_room(at).await } else { Ok(()) }
}

async fn make_room(at: &mut SqliteConnection) -> Result<(), Fault> {
    let held: i64 = sqlx::query("SELECT COUNT(*) FROM discovered").fetch_one(&mut *at).await?.try_get(0)?;
    let excess = held - number(MAX_DISCOVERED);
    if excess > 0 {
        let sql = "DELETE FROM discovered WHERE mac IN (SELECT mac FROM discovered ORDER BY last_seen, mac LIMIT $1)";
        sqlx::query(sql).bind(excess).execute(at).await?;
    }
    Ok(())
}

pub async fn forget(at: &mut SqliteConnection, mac: MacAddr) -> Result<(), Fault> {
    sqlx::query("DELETE FROM discovered WHERE mac = $1").bind(mac.to_string()).execute(at).await?;
    Ok(())
}
