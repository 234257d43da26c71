//! What is old goes: events from the front of the log, and answers that have expired.

use alm_core::{
    domain::{Position, Timestamp},
    ports::Trimmed,
};
use sqlx::PgConnection;

use crate::{
    error::Fault,
    row::{at_most, bigint},
};

/// Removes the oldest events, as long as they stand at `up_to` or below and happened before `before`.
pub(crate) async fn trim(
    connection: &mut PgConnection,
    up_to: Position,
    before: Timestamp,
    limit: usize,
) -> Result<Trimmed, Fault> {
    let (events, oldest): (i64, i64) = sqlx::query_as("SELECT gone, oldest FROM trim_log($1, $2, $3)")
        .bind(bigint(up_to.get()))
        .bind(before.micros())
        .bind(at_most(limit))
        .fetch_one(connection)
        .await?;
    Ok(Trimmed { events: events.unsigned_abs(), oldest: Position::new(oldest.unsigned_abs()) })
}

/// Forgets answers that have expired at `now`, those first that expired first. Those that another transaction is just clearing
/// away or using again are left to it.
pub(crate) async fn forget_answers(connection: &mut PgConnection, now: Timestamp, limit: usize) -> Result<u64, Fault> {
    let forgotten = sqlx::query(
        "WITH expired AS ( \
             SELECT principal, action, key FROM answers WHERE expires_at <= $1 \
             ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED \
         ) \
         DELETE FROM answers USING expired WHERE answers.principal = expired.principal \
         AND answers.action = expired.action AND answers.key = expired.key",
    )
    .bind(now.micros())
    .bind(at_most(limit))
    .execute(connection)
    .await?;
    Ok(forgotten.rows_affected())
}
