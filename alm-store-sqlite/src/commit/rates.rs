//! Attempts, counted by buckets.

use alm_core::{
    domain::Timestamp,
    ports::{Bucket, Rate, StoreError},
};
use sqlx::SqliteConnection;

use super::rows::run;
use crate::error::fault;

const OPERATION: &str = "count an attempt";
const FULL_AT: &str = "SELECT full_at FROM alm_buckets WHERE name = ?1";
const FORGET: &str = "
    DELETE FROM alm_buckets
    WHERE name IN (SELECT name FROM alm_buckets WHERE full_at <= ?1 ORDER BY full_at LIMIT 2)";
const FILL: &str = "
    INSERT INTO alm_buckets (name, full_at) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET full_at = excluded.full_at";

/// Counts an attempt, unless it is one too many.
pub(crate) async fn admit(
    connection: &mut SqliteConnection,
    bucket: &Bucket,
    rate: Rate,
    now: Timestamp,
) -> Result<Result<(), Timestamp>, StoreError> {
    let full_at: Option<i64> = sqlx::query_scalar(FULL_AT)
        .bind(bucket.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| fault(OPERATION, error))?;
    let next = match rate.admit(full_at.and_then(Timestamp::from_micros), now) {
        Ok(next) => next,
        Err(earliest) => return Ok(Err(earliest)),
    };
    // Two of the oldest go for each attempt, so what is not filled any more goes faster than any comes.
    run(connection, sqlx::query(FORGET).bind(now.micros())).await?;
    run(connection, sqlx::query(FILL).bind(bucket.as_str()).bind(next.micros())).await?;
    Ok(Ok(()))
}
