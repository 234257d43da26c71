//! What is old goes: events from the front of the log, and answers that have expired.

use alm_core::{
    domain::{Position, Timestamp},
    ports::{StoreError, Trimmed},
};
use sqlx::SqliteConnection;

use super::rows::run;
use crate::{
    error::fault,
    row::{at_most, sought},
};

const OPERATION: &str = "trim";

// Where the log begins, and where it ends.
const BOUNDS: &str = "
    SELECT position, coalesce((SELECT max(position) FROM alm_events), 0) FROM alm_log_oldest";
const FIRST_YOUNG: &str = "
    SELECT position FROM alm_events WHERE position >= ?1 AND position < ?2 AND time >= ?3 ORDER BY position LIMIT 1";
const BEGIN_AT: &str = "UPDATE alm_log_oldest SET position = ?1";
// The newest event stays, because its position is the head.
const DELETE: &str = "
    DELETE FROM alm_events WHERE position < ?1 AND position < (SELECT max(position) FROM alm_events)";
const FORGET: &str = "
    DELETE FROM alm_answers
    WHERE rowid IN (SELECT rowid FROM alm_answers WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

/// Moves the beginning of the log behind the oldest events, as long as they stand at `up_to` or below and happened before
/// `before`.
pub(crate) async fn trim(
    connection: &mut SqliteConnection,
    up_to: Position,
    before: Timestamp,
    limit: usize,
) -> Result<Trimmed, StoreError> {
    let failed = |error| fault(OPERATION, error);
    let (oldest, head): (i64, i64) = sqlx::query_as(BOUNDS).fetch_one(&mut *connection).await.map_err(failed)?;
    // The position of the first event that stays.
    let bound = sought(up_to.get()).min(head).saturating_add(1).min(oldest.saturating_add(at_most(limit)));
    let young: Option<i64> = sqlx::query_scalar(FIRST_YOUNG)
        .bind(oldest)
        .bind(bound)
        .bind(before.micros())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
    let stays = young.unwrap_or(bound).max(oldest);
    if stays > oldest {
        run(connection, sqlx::query(BEGIN_AT).bind(stays)).await?;
        run(connection, sqlx::query(DELETE).bind(stays)).await?;
    }
    Ok(Trimmed { events: (stays - oldest).unsigned_abs(), oldest: Position::new(stays.unsigned_abs()) })
}

/// Forgets answers that have expired at `now`, those first that expired first.
pub(crate) async fn forget_answers(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    Ok(run(connection, sqlx::query(FORGET).bind(now.micros()).bind(at_most(limit))).await?.rows_affected())
}
