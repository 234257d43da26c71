//! Another identity for the log, once the file was restored from a backup.

use alm_core::{
    changeset::ConsumerName,
    domain::{LogId, Position, Timestamp},
    ports::{BackendError, BackendErrorKind, Ids as _, Outcome, Rotated, Rotation, Sequence, StoreError, SystemIds},
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::{
    commit,
    error::{ADAPTER, fault, fault_with, is_busy, said},
    options::SqliteOptions,
    row::Columns,
    schema,
};

const OPERATION: &str = "rotate the log";

const CONSUMERS: &str = "SELECT consumer, position FROM alm_checkpoints WHERE log = ?1 ORDER BY consumer";
const HEAD: &str = "SELECT coalesce(max(position), 0) FROM alm_events";
const FORGET: &str = "DELETE FROM alm_checkpoints WHERE log = ?1 AND consumer = ?2";
/// What speaks of the log, with its old identity and its new one.
const RENAME: [&str; 3] = [
    "UPDATE alm_meta SET log_id = ?2 WHERE log_id = ?1",
    "UPDATE alm_checkpoints SET log = ?2 WHERE log = ?1",
    "UPDATE alm_dead_letters SET log = ?2 WHERE log = ?1",
];

/// Rotates, with no one else at the file: a store that is open goes by the old identity as long as it lives.
pub(crate) async fn rotate(options: &SqliteOptions, rotation: &Rotation) -> Result<Rotated, StoreError> {
    // A store that is open keeps a lock on the file, in write-ahead mode also while it does nothing. So this fails at the first
    // look into the file, unless none is.
    let mut connection = options.alone()?.connect().await.map_err(failed)?;
    let old = schema::check(&mut connection).await.map_err(explained)?;
    let mut transaction = connection.begin_with("BEGIN EXCLUSIVE").await.map_err(failed)?;
    let rotated = within(&mut transaction, old, rotation).await?;
    if rotation.is_trial {
        transaction.rollback().await.map_err(failed)?;
    } else {
        transaction.commit().await.map_err(|error| fault_with(OPERATION, Outcome::Unknown, error))?;
    }
    // What was committed is in the file, however it is closed.
    let _ = connection.close().await;
    Ok(rotated)
}

async fn within(connection: &mut SqliteConnection, old: LogId, rotation: &Rotation) -> Result<Rotated, StoreError> {
    let new = old.rotated(SystemIds.uuid_v7());
    let consumers = consumers(connection, old).await?;
    let (done, all) = (rotation.done(&consumers), usize::MAX);
    let oldest = commit::trim(connection, done, Timestamp::MAX, all).await?.oldest;
    let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await.map_err(failed)?;
    for consumer in &rotation.forget {
        let forget = sqlx::query(FORGET).bind(old.get()).bind(consumer.as_str());
        forget.execute(&mut *connection).await.map_err(failed)?;
    }
    for rename in RENAME {
        sqlx::query(rename).bind(old.get()).bind(new.get()).execute(&mut *connection).await.map_err(failed)?;
    }
    for sequence in [Sequence::Apps, Sequence::Versions, Sequence::Deployments] {
        commit::allocate(connection, sequence, rotation.skip_ids).await?;
    }
    Ok(Rotated { old, new, oldest, head: Position::new(head.unsigned_abs()), consumers })
}

/// Where those stand that have read the log.
async fn consumers(connection: &mut SqliteConnection, log: LogId) -> Result<Vec<(ConsumerName, Position)>, StoreError> {
    let rows = sqlx::query(CONSUMERS).bind(log.get()).fetch_all(connection).await.map_err(failed)?;
    let parsed = rows.iter().map(|row| {
        let mut columns = Columns::of("alm_checkpoints", row);
        Ok((columns.text()?, columns.count(Position::new)?))
    });
    parsed.collect()
}

fn failed(error: sqlx::Error) -> StoreError {
    if is_busy(&error) { in_use() } else { fault(OPERATION, error) }
}

fn explained(error: StoreError) -> StoreError {
    if said(&error).is_some_and(|said| is_busy(&said)) { in_use() } else { error }
}

fn in_use() -> StoreError {
    let source = Some("someone has the file open: stop every server that works on it, then try again".into());
    let kind = BackendErrorKind::Overloaded;
    let outcome = Outcome::NotApplied;
    BackendError { kind, adapter: ADAPTER, operation: OPERATION, outcome, retry_after: None, source }.into()
}
