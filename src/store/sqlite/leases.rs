//! Leases of the dynamic pool.

use sqlx::SqliteConnection;

use super::fault::Fault;
use super::rows::{Columns, nanoseconds};
use crate::domain::lease::Lease;
use crate::domain::mac::MacAddr;

pub async fn all(at: &mut SqliteConnection) -> Result<Vec<Lease>, Fault> {
    let rows = sqlx::query("SELECT mac, address, expires FROM leases ORDER BY mac").fetch_all(at).await?;
    let lease = |columns: Columns<'_>| {
        Ok(Lease { mac: columns.text("mac")?, address: columns.text("address")?, expires: columns.time("expires")? })
    };
    rows.iter().map(|row| lease(Columns::of(row, "leases"))).collect()
}

pub async fn put(at: &mut SqliteConnection, lease: &Lease) -> Result<(), Fault> {
    let (mac, address) = (lease.mac.to_string(), lease.address.to_string());
    sqlx::query("DELETE FROM leases WHERE address = $1 AND mac <> $2").bind(&address).bind(&mac).execute(&mut *at).await?;
    let sql = "INSERT INTO leases (mac, address, expires) VALUES ($1, $2, $3)
               ON CONFLICT (mac) DO UPDATE SET address = excluded.address, expires = excluded.expires";
    sqlx::query(sql).bind(mac).bind(address).bind(nanoseconds(lease.expires)).execute(at).await?;
    Ok(())
}

pub async fn end(at: &mut SqliteConnection, mac: MacAddr) -> Result<(), Fault> {
    sqlx::query("DELETE FROM leases WHERE mac = $1").bind(mac.to_string()).execute(at).await?;
    Ok(())
}
