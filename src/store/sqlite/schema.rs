//! Bringing the tables up to date.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Fault;

/// All migrations in order; the first brings version 1. A migration that was ever released never changes.
pub const MIGRATIONS: [&str; 6] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_diskless.sql"),
    include_str!("../migrations/0003_packages.sql"),
    include_str!("../migrations/0004_mend.sql"),
    include_str!("../migrations/0005_rollouts.sql"),
    include_str!("../migrations/0006_addresses.sql"),
];
/// The version after all migrations.
pub const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Applies the migrations that are missing, all in one transaction. Refuses tables of a newer kickctl.
pub fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    // The usual case needs no write lock.
    if version(connection)? == KNOWN {
        return Ok(());
    }
    // Of two processes that start together, the later one waits here and then finds the tables made.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found > KNOWN {
        return Err(Fault::Newer { found, known: KNOWN });
    }
    if found == 0 {
        transaction
            .execute_batch("CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version (version) VALUES (0)")?;
    }
    for (at, migration) in (0..).zip(MIGRATIONS) {
        if at >= found {
            transaction.execute_batch(migration)?;
        }
    }
    transaction.execute("UPDATE schema_version SET version = ?1", [KNOWN])?;
    transaction.commit()?;
    Ok(())
}

/// The version of the tables; 0 if there are none.
fn version(at: &Connection) -> Result<i64, Fault> {
    let exists = at.prepare("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'")?.exists([])?;
    Ok(if exists { at.query_row("SELECT version FROM schema_version", [], |row| row.get(0))? } else { 0 })
}
