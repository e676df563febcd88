//! Leases of the dynamic pool.

use rusqlite::Connection;

use super::fault::Fault;
use super::rows::{execute, nanoseconds, query_all};
use crate::domain::lease::Lease;
use crate::domain::mac::MacAddr;

pub fn all(at: &Connection) -> Result<Vec<Lease>, Fault> {
    query_all(at, "leases", "SELECT mac, address, expires FROM leases ORDER BY mac", [], |columns| {
        Ok(Lease { mac: columns.text("mac")?, address: columns.text("address")?, expires: columns.time("expires")? })
    })
}

pub fn put(at: &Connection, lease: &Lease) -> Result<(), Fault> {
    let (mac, address) = (lease.mac.to_string(), lease.address.to_string());
    execute(at, "DELETE FROM leases WHERE address = ?1 AND mac <> ?2", [&address, &mac])?;
    let sql = "INSERT INTO leases (mac, address, expires) VALUES (?1, ?2, ?3)
               ON CONFLICT (mac) DO UPDATE SET address = excluded.address, expires = excluded.expires";
    execute(at, sql, (mac, address, nanoseconds(lease.expires)))?;
    Ok(())
}

pub fn end(at: &Connection, mac: MacAddr) -> Result<(), Fault> {
    execute(at, "DELETE FROM leases WHERE mac = ?1", [mac.to_string()])?;
    Ok(())
}
