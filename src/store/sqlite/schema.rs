//! Bringing the tables up to date.
//!
//! Not sqlx's own migrator: on SQLite it takes no lock, so two processes that start together would both create the tables.

use sqlx::{Connection, Row, SqliteConnection};

use super::fault::Fault;

/// All migrations in order; the first brings version 1. A migration that was ever released never changes.
const MIGRATIONS: [&str; 5] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_diskless.sql"),
    include_str!("../migrations/0003_packages.sql"),
    include_str!("../migrations/0004_mend.sql"),
    include_str!("../migrations/0005_rollouts.sql"),
];
/// The version after all migrations.
pub const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Applies the migrations that are missing, all in one transaction. Refuses tables of a newer kickctl.
pub async fn migrate(connection: &mut SqliteConnection) -> Result<(), Fault> {
    // The usual case needs no write lock.
    if version(connection).await? == KNOWN {
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let found = version(&mut transaction).await?;
    if found > KNOWN {
        return Err(Fault::Newer { found, known: KNOWN });
    }
    if found == 0 {
        sqlx::raw_sql("CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version (version) VALUES (0)")
            .execute(&mut *transaction)
            .await?;
    }
    for (at, migration) in (0..).zip(MIGRATIONS) {
        if at >= found {
            sqlx::raw_sql(migration).execute(&mut *transaction).await?;
        }
    }
    sqlx::query("UPDATE schema_version SET version = $1").bind(KNOWN).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// The version of the tables; 0 if there are none.
async fn version(at: &mut SqliteConnection) -> Result<i64, Fault> {
    // The one statement that PostgreSQL spells differently (information_schema.tables).
    let exists = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetch_optional(&mut *at).await?;
    if exists.is_none() {
        return Ok(0);
    }
    Ok(sqlx::query("SELECT version FROM schema_version").fetch_one(at).await?.try_get(0)?)
}
