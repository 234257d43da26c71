//! The schema of the file: which version it has, and how it gets the newest.

use std::time::Duration;

use alm_core::{
    domain::LogId,
    ports::{Ids as _, StoreError, SystemIds},
};
use sqlx::{Connection as _, SqliteConnection};
use tokio::time::{Instant, sleep};

use crate::{
    error::{corrupt, fault, is_busy},
    row::Columns,
};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

// What is released is never changed; a change of the schema is a further migration.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "initial", sql: include_str!("../migrations/0001_initial.sql") },
    Migration { version: 2, name: "retention", sql: include_str!("../migrations/0002_retention.sql") },
    Migration { version: 3, name: "parents", sql: include_str!("../migrations/0003_parents.sql") },
    Migration { version: 4, name: "tree", sql: include_str!("../migrations/0004_tree.sql") },
    Migration { version: 5, name: "credentials", sql: include_str!("../migrations/0005_credentials.sql") },
];

/// Puts the file into write-ahead mode, in which it then stays.
pub(crate) async fn write_ahead(connection: &mut SqliteConnection, patience: Duration) -> Result<(), StoreError> {
    let deadline = Instant::now() + patience;
    loop {
        // While others have the file open, this fails at once instead of waiting as other statements do.
        match sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && Instant::now() < deadline => sleep(Duration::from_millis(5)).await,
            Err(error) => return Err(fault("open", error)),
        }
    }
}

/// Brings the schema up to date, in one transaction: of several that do this at once one does, and the others wait for it.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| fault("migrate", error))?;
    run(&mut transaction).await?;
    tracing::trace!(name: "migration_begun", "the migrations are to be committed");
    transaction.commit().await.map_err(|error| fault("migrate", error))
}

async fn run(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let failed = |error| fault("migrate", error);
    let table = "CREATE TABLE IF NOT EXISTS alm_migrations (
        version INTEGER PRIMARY KEY, name TEXT NOT NULL, migrated_at TEXT NOT NULL
    ) STRICT";
    sqlx::query(table).execute(&mut *connection).await.map_err(failed)?;
    let current = version(connection).await?.unwrap_or(0);
    for Migration { version, name, sql } in MIGRATIONS.iter().filter(|migration| migration.version > current) {
        tracing::info!(version, name, "migrating the SQLite schema of ALM");
        sqlx::raw_sql(*sql).execute(&mut *connection).await.map_err(failed)?;
        sqlx::query("INSERT INTO alm_migrations (version, name, migrated_at) VALUES (?1, ?2, datetime('now'))")
            .bind(version)
            .bind(name)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    if current == 0 {
        let log = "INSERT INTO alm_meta (one, log_id) VALUES (1, ?1)";
        sqlx::query(log).bind(SystemIds.uuid_v7()).execute(connection).await.map_err(failed)?;
    }
    Ok(())
}

/// The log of the file, if its schema is the one that this store knows.
pub(crate) async fn check(connection: &mut SqliteConnection) -> Result<LogId, StoreError> {
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let current = version(connection).await?;
    if current.is_none_or(|current| current < newest) {
        let has = current.map_or_else(|| "no schema of ALM".to_owned(), |current| format!("schema version {current}"));
        let advice = "run SqliteStore::migrate, or open it with SqliteOptions::migrate(true)";
        return Err(corrupt("open", format!("the file has {has}, and this store needs version {newest}: {advice}")));
    }
    if let Some(current) = current.filter(|current| *current > newest) {
        let advice = "open it with a newer alm-store-sqlite";
        return Err(corrupt("open", format!("the file has schema version {current}, newer than {newest}: {advice}")));
    }
    let row = sqlx::query("SELECT one, log_id FROM alm_meta").fetch_one(connection).await;
    let row = row.map_err(|error| fault("open", error))?;
    let mut columns = Columns::of("alm_meta", &row);
    columns.take::<i64>()?;
    Ok(LogId::new(columns.take()?))
}

/// Which migration was the last, if any was.
async fn version(connection: &mut SqliteConnection) -> Result<Option<i64>, StoreError> {
    let failed = |error| fault("open", error);
    let table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'alm_migrations')";
    let is_there: bool = sqlx::query_scalar(table).fetch_one(&mut *connection).await.map_err(failed)?;
    if !is_there {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM alm_migrations").fetch_one(connection).await.map_err(failed)
}
