//! The schema that a store lives in: its name, and the migrations that make it.

use std::{fmt, time::Duration};

use alm_core::{
    domain::LogId,
    ports::{BackendError, Outcome, StoreError},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::error::{self, ADAPTER, Fault, backend};

/// The name of a schema, safe to stand in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaName(String);

impl SchemaName {
    pub(crate) fn parse(name: &str) -> Result<Self, StoreError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let begins_well = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()) && !name.starts_with("pg_");
        if begins_well && name.len() <= 63 && name.bytes().all(allowed) {
            return Ok(Self(name.to_owned()));
        }
        let why = format!("{name:?} can't be a schema: 1 to 63 of a-z, 0-9 and _, not a digit or pg_ at the beginning");
        Err(BackendError::internal(ADAPTER, "name the schema").with_source(why).into())
    }

    /// Temporary tables come last, so that none of a host's hides one of the store's.
    pub(crate) fn search_path(&self) -> String {
        format!("{},pg_temp", self.0)
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        Self("alm".to_owned())
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What makes the schema, each on what those before have made. What was released is never changed: a change is another one.
const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/0001_store.sql"), include_str!("../migrations/0002_retention.sql")];

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "there are not two billion of them")]
const NEWEST: i32 = MIGRATIONS.len() as i32;

/// Tries to begin a migration: for so long at most, and so often.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// Brings the schema to the newest version. One does it at a time; what others have done meanwhile is not done again.
pub(crate) async fn migrate(connect: &PgConnectOptions, schema: &SchemaName) -> Result<(), StoreError> {
    const OPERATION: &str = "migrate";
    let fault = |error| backend(OPERATION, error, Outcome::NotApplied);
    // A connection of its own, without a limit of time: an index of a large table takes as long as it takes.
    let connect = connect.clone().options([("statement_timeout", "0")]);
    let mut connection = PgConnection::connect_with(&connect).await.map_err(fault)?;
    for _ in 0..ATTEMPTS {
        if try_migrate(&mut connection, schema).await.map_err(|fault| fault.told(OPERATION))? {
            return connection.close().await.map_err(fault);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let why = format!("another session has been migrating the schema {schema} for {:?}", PAUSE * ATTEMPTS);
    Err(BackendError { retry_after: Some(PAUSE), ..BackendError::internal(ADAPTER, OPERATION) }.with_source(why).into())
}

/// All migrations that are missing, in one transaction; false when another session is at it.
async fn try_migrate(connection: &mut PgConnection, schema: &SchemaName) -> Result<bool, Fault> {
    let mut transaction = connection.begin().await?;
    // Not a blocking wait: it would hold a snapshot, for which a CREATE INDEX CONCURRENTLY of another session had to wait.
    let locked: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended('alm migrate ' || $1, 0))")
            .bind(&schema.0)
            .fetch_one(&mut *transaction)
            .await?;
    if !locked {
        transaction.rollback().await?;
        return Ok(false);
    }
    let encoding: String = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut *transaction).await?;
    if encoding != "UTF8" {
        let why = format!("the database is encoded in {encoding}: create one with ENCODING 'UTF8'");
        return Err(Fault::Refused(BackendError::internal(ADAPTER, "migrate").with_source(why).into()));
    }
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(&schema.0)
        .fetch_one(&mut *transaction)
        .await?;
    if !there {
        // Only then, because IF NOT EXISTS asks for the right to create schemas even if there is nothing to do.
        transaction.execute(AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\""))).await?;
    }
    transaction
        .execute(
            "CREATE TABLE IF NOT EXISTS alm_migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL \
             DEFAULT now())",
        )
        .await?;
    let current = version(&mut transaction).await?.unwrap_or(0);
    for (version, migration) in (1_i32..).zip(MIGRATIONS).filter(|(version, _)| *version > current) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO alm_migrations (version) VALUES ($1)")
            .bind(version)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// The version of the schema that the connection sees, `None` when nothing was ever migrated.
async fn version(connection: &mut PgConnection) -> Result<Option<i32>, sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('alm_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM alm_migrations").fetch_one(connection).await
}

/// The log that is kept in the schema, if it is one that this program can work with.
pub(crate) async fn open(connection: &mut PgConnection, schema: &SchemaName) -> Result<LogId, StoreError> {
    const OPERATION: &str = "open";
    let fault = |error| backend(OPERATION, error, Outcome::NotApplied);
    let advice = match version(connection).await.map_err(fault)? {
        Some(NEWEST) => {
            let id = sqlx::query_scalar("SELECT id FROM log").fetch_one(connection).await.map_err(fault)?;
            return Ok(LogId::new(id));
        }
        None => format!("there is no store in the schema {schema}: run PostgresStore::migrate first"),
        Some(older) if older < NEWEST => format!(
            "the schema {schema} is at version {older} and this program needs {NEWEST}: run PostgresStore::migrate first"
        ),
        Some(newer) => format!(
            "the schema {schema} is at version {newer} and this program knows {NEWEST} at most: run a newer program"
        ),
    };
    Err(error::corrupt(OPERATION, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_a_name_that_can_stand_in_a_statement() {
        for name in ["alm", "a", "_1", "alm_2", &"x".repeat(63)] {
            assert_eq!(SchemaName::parse(name).unwrap().to_string(), name);
        }
        for name in ["", "1a", "Alm", "a-b", "a\"b", "pg_alm", "é", "a b", "a\0", &"x".repeat(64)] {
            assert!(SchemaName::parse(name).is_err(), "{name:?}");
        }
    }
}
