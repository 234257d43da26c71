//! The schema that a store lives in: its name, and the migrations that make it.

use std::{fmt, time::Duration};

use alm_core::{
    domain::LogId,
    ports::{BackendError, Outcome, StoreError},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, error::DatabaseError};

use crate::{
    connect::{advised, connect},
    error::{self, ADAPTER, backend},
    options::PostgresOptions,
};

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
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_store.sql"),
    include_str!("../migrations/0002_retention.sql"),
    include_str!("../migrations/0003_positions_with_the_commit.sql"),
    include_str!("../migrations/0004_no_row_that_all_change.sql"),
    include_str!("../migrations/0005_labels.sql"),
    include_str!("../migrations/0006_parents.sql"),
    include_str!("../migrations/0007_tree.sql"),
    include_str!("../migrations/0008_credentials.sql"),
];

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "there are not two billion of them")]
const NEWEST: i32 = MIGRATIONS.len() as i32;

/// Tries to begin a migration: for so long at most, and so often.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

const MIGRATE: &str = "migrate";

/// Brings the schema to the newest version. One does it at a time; what others have done meanwhile is not done again.
pub(crate) async fn migrate(options: &PostgresOptions) -> Result<(), StoreError> {
    let schema = options.schema_name();
    // A connection of its own, without a limit of time: an index of a large table takes as long as it takes.
    let unlimited = options.connection().options([("statement_timeout", "0")]);
    let mut connection = connect(&unlimited, &schema.search_path(), options.patience(), MIGRATE).await?;
    for _ in 0..ATTEMPTS {
        if try_migrate(&mut connection, schema).await? {
            // It is done; whether the server hears the good-bye is no matter.
            let _ = connection.close().await;
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    let why = format!("another session has been migrating the schema {schema} for {:?}", PAUSE * ATTEMPTS);
    Err(BackendError { retry_after: Some(PAUSE), ..BackendError::internal(ADAPTER, MIGRATE) }.with_source(why).into())
}

/// All migrations that are missing, in one transaction; false when another session is at it.
async fn try_migrate(connection: &mut PgConnection, schema: &SchemaName) -> Result<bool, StoreError> {
    let failed = |error| unchanged(error, "looking for what there is", schema);
    // Asked without the lock and without any right to change something, because it is so at nearly every start.
    match version(connection).await.map_err(failed)? {
        Some(NEWEST) => return Ok(true),
        Some(newer) if newer > NEWEST => return Err(of_another_version(MIGRATE, schema, Some(newer))),
        _ => {}
    }
    let mut transaction = connection.begin().await.map_err(failed)?;
    // Not a blocking wait: it would hold a snapshot, for which a CREATE INDEX CONCURRENTLY of another session had to wait.
    let locked: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended('alm migrate ' || $1, 0))")
            .bind(&schema.0)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
    if !locked {
        transaction.rollback().await.map_err(failed)?;
        return Ok(false);
    }
    let current = prepare(&mut transaction, schema).await.map_err(|error| unchanged(error, "preparing", schema))?;
    for (version, migration) in (1_i32..).zip(MIGRATIONS).filter(|(version, _)| *version > current) {
        let failed = |error| unchanged(error, &format!("migration {version}"), schema);
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed)?;
        let done = sqlx::query("INSERT INTO alm_migrations (version) VALUES ($1)").bind(version);
        done.execute(&mut *transaction).await.map_err(failed)?;
    }
    tracing::trace!(name: "migration_begun", "the migrations are to be committed");
    transaction.commit().await.map_err(|error| backend(MIGRATE, error, Outcome::Unknown))?;
    Ok(true)
}

/// Makes the schema if it is not there, and the table of its migrations; gives the version that it is at.
async fn prepare(connection: &mut PgConnection, schema: &SchemaName) -> Result<i32, sqlx::Error> {
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(&schema.0)
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        // Only then, because IF NOT EXISTS asks for the right to create schemas even if there is nothing to do.
        connection.execute(AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\""))).await?;
    }
    connection
        .execute(
            "CREATE TABLE IF NOT EXISTS alm_migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL \
             DEFAULT now())",
        )
        .await?;
    Ok(version(connection).await?.unwrap_or(0))
}

/// The fault of a migration that was undone, and what to do about it.
fn unchanged(error: sqlx::Error, what: &str, schema: &SchemaName) -> StoreError {
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default().into_owned();
    let cure = match code.as_str() {
        "42501" => "migrate as the role that owns the schema, or may create it",
        "55P03" => "another session holds a lock for long: end it, and start again",
        "25006" => "the database takes no writes: see that it is no standby",
        _ => "mend what is told here, and start again",
    };
    let advice = format!("{what} failed in the schema {schema}, and nothing was changed; {cure}");
    advised(backend(MIGRATE, error, Outcome::NotApplied), Some(advice))
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
pub(crate) async fn open(options: &PostgresOptions) -> Result<LogId, StoreError> {
    const OPERATION: &str = "open";
    let fault = |error| backend(OPERATION, error, Outcome::NotApplied);
    let schema = options.schema_name();
    let mut connection = connect(&options.connection(), &schema.search_path(), options.patience(), OPERATION).await?;
    check(&mut connection, schema, OPERATION).await?;
    let id = sqlx::query_scalar("SELECT id FROM log_identity").fetch_one(&mut connection).await.map_err(fault)?;
    let _ = connection.close().await;
    Ok(LogId::new(id))
}

/// Refuses a schema that is not of the version that this program works with.
pub(crate) async fn check(
    connection: &mut PgConnection,
    schema: &SchemaName,
    operation: &'static str,
) -> Result<(), StoreError> {
    match version(connection).await.map_err(|error| backend(operation, error, Outcome::NotApplied))? {
        Some(NEWEST) => Ok(()),
        other => Err(of_another_version(operation, schema, other)),
    }
}

/// Says that the schema is not what this program needs, and what to do.
fn of_another_version(operation: &'static str, schema: &SchemaName, version: Option<i32>) -> StoreError {
    let advice = match version {
        None => format!("there is no store in the schema {schema}: run PostgresStore::migrate first"),
        Some(newer) if newer > NEWEST => format!(
            "the schema {schema} is at version {newer} and this program knows {NEWEST} at most: run a newer program"
        ),
        Some(older) => format!(
            "the schema {schema} is at version {older} and this program needs {NEWEST}: run PostgresStore::migrate first"
        ),
    };
    error::corrupt(operation, advice)
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
