//! Another identity for the log, once the schema was restored from a backup.

use std::time::Duration;

use alm_core::{
    changeset::ConsumerName,
    domain::{LogId, Position, Timestamp},
    ports::{BackendError, BackendErrorKind, Ids as _, Outcome, Rotated, Rotation, StoreError, SystemIds},
};
use sqlx::{Connection, Executor, PgConnection, error::DatabaseError, types::Uuid};
use tokio::time::{Instant, sleep};

use crate::{
    connect::{advised, connect},
    error::{self, ADAPTER, Fault, backend},
    options::PostgresOptions,
    retention,
    row::bigint,
    schema::{self, SchemaName},
};

const OPERATION: &str = "rotate the log";

/// Every store that is open looks for events once a second. With twice the time and some, one that has just begun to wait is seen.
const WATCH: Duration = Duration::from_millis(2500);
const GLANCE: Duration = Duration::from_millis(100);

const LOCK: &str = "LOCK TABLE events, log_identity IN ACCESS EXCLUSIVE MODE";
const WAITING: &str = "
    SELECT pid FROM pg_locks
    WHERE NOT granted AND locktype = 'relation' AND relation IN ('events'::regclass, 'log_identity'::regclass)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    LIMIT 1";
const CONSUMERS: &str = "SELECT consumer, position FROM checkpoints WHERE log = $1 ORDER BY consumer";
const RENAME: [&str; 2] =
    ["UPDATE checkpoints SET log = $2 WHERE log = $1", "UPDATE dead_letters SET log = $2 WHERE log = $1"];

/// Rotates, with no one else at work: a store that is open goes by the old identity as long as it lives.
pub(crate) async fn rotate(options: &PostgresOptions, rotation: &Rotation) -> Result<Rotated, StoreError> {
    let schema = options.schema_name();
    // As with a migration: much may have to go, which takes as long as it takes.
    let unlimited = options.connection().options([("statement_timeout", "0")]);
    let mut connection = connect(&unlimited, &schema.search_path(), options.patience(), OPERATION).await?;
    schema::check(&mut connection, schema, OPERATION).await?;
    let mut transaction = connection.begin().await.map_err(|error| unchanged(error, schema))?;
    let rotated = match within(&mut transaction, schema, rotation).await {
        Ok(rotated) => rotated,
        Err(Fault::Refused(error)) => return Err(error),
        Err(Fault::Sql(error)) => return Err(unchanged(error, schema)),
    };
    if rotation.is_trial {
        transaction.rollback().await.map_err(|error| unchanged(error, schema))?;
    } else {
        transaction.commit().await.map_err(|error| backend(OPERATION, error, Outcome::Unknown))?;
    }
    // It is done; whether the server hears the good-bye is no matter.
    let _ = connection.close().await;
    Ok(rotated)
}

async fn within(connection: &mut PgConnection, schema: &SchemaName, rotation: &Rotation) -> Result<Rotated, Fault> {
    keep_out_all(connection, schema).await?;
    seal_all(connection).await?;
    let old: Uuid = sqlx::query_scalar("SELECT id FROM log_identity").fetch_one(&mut *connection).await?;
    let consumers = consumers(connection, old).await?;
    let (done, all) = (rotation.done(&consumers), usize::MAX);
    let oldest = retention::trim(connection, done, Timestamp::MAX, all).await?.oldest;
    for consumer in &rotation.forget {
        let forget = sqlx::query("DELETE FROM checkpoints WHERE log = $1 AND consumer = $2");
        forget.bind(old).bind(consumer.as_str()).execute(&mut *connection).await?;
    }
    let new = LogId::new(old).rotated(SystemIds.uuid_v7()).get();
    sqlx::query("UPDATE log_identity SET id = $1").bind(new).execute(&mut *connection).await?;
    for rename in RENAME {
        sqlx::query(rename).bind(old).bind(new).execute(&mut *connection).await?;
    }
    let skip = sqlx::query("UPDATE sequences SET next = next + $1");
    skip.bind(bigint(rotation.skip_ids.into())).execute(&mut *connection).await?;
    let head: i64 = sqlx::query_scalar("SELECT head FROM log").fetch_one(&mut *connection).await?;
    let head = Position::new(head.unsigned_abs());
    Ok(Rotated { old: LogId::new(old), new: LogId::new(new), oldest, head, consumers })
}

/// Locks the log against everyone to the end of the transaction, and fails when someone comes to it meanwhile: then a server works on
/// the schema.
async fn keep_out_all(connection: &mut PgConnection, schema: &SchemaName) -> Result<(), Fault> {
    connection.execute(LOCK).await?;
    let end = Instant::now() + WATCH;
    while Instant::now() < end {
        sleep(GLANCE).await;
        let waiting: Option<i32> = sqlx::query_scalar(WAITING).fetch_optional(&mut *connection).await?;
        if let Some(pid) = waiting {
            let what = format!(
                "someone works on the schema {schema} (the session with the pid {pid}): stop every server that does, then try again"
            );
            return Err(Fault::Refused(in_use(what)));
        }
    }
    Ok(())
}

/// Gives positions to all events that have none, so that the log is known to its end.
async fn seal_all(connection: &mut PgConnection) -> Result<(), Fault> {
    while let (Some(_), Some(true)) = sqlx::query_as::<_, (Option<i64>, Option<bool>)>("SELECT head, more FROM seal()")
        .fetch_one(&mut *connection)
        .await?
    {}
    Ok(())
}

/// Where those stand that have read the log.
async fn consumers(connection: &mut PgConnection, log: Uuid) -> Result<Vec<(ConsumerName, Position)>, Fault> {
    let rows: Vec<(String, i64)> = sqlx::query_as(CONSUMERS).bind(log).fetch_all(connection).await?;
    let parsed = rows.into_iter().map(|(name, position)| {
        let name = ConsumerName::parse(name)
            .map_err(|rejected| error::corrupt(OPERATION, format!("table checkpoints, column consumer: {rejected}")))?;
        Ok((name, Position::new(position.unsigned_abs())))
    });
    parsed.collect()
}

fn in_use(what: String) -> StoreError {
    let kind = BackendErrorKind::Overloaded;
    let (outcome, source) = (Outcome::NotApplied, Some(what.into()));
    BackendError { kind, adapter: ADAPTER, operation: OPERATION, outcome, retry_after: None, source }.into()
}

/// The fault of a rotation that was undone, and what to do about it.
fn unchanged(error: sqlx::Error, schema: &SchemaName) -> StoreError {
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default().into_owned();
    let cure = match code.as_str() {
        "42501" => "rotate as the role that owns the schema, with which it was migrated",
        "55P03" => "another session holds a lock for long, such as a dump: end it, and start again",
        "25006" => "the database takes no writes: see that it is no standby",
        _ => "mend what is told here, and start again",
    };
    let advice = format!("the log of the schema {schema} was not rotated, and nothing was changed; {cure}");
    advised(backend(OPERATION, error, Outcome::NotApplied), Some(advice))
}
