//! Attempts, counted by buckets.

use alm_core::{
    domain::Timestamp,
    ports::{Bucket, Rate},
};
use sqlx::PgConnection;

use crate::error::Fault;

/// Counts an attempt, unless it is one too many; whoever comes at the same time waits for the row.
///
/// Two of the oldest buckets go for each attempt, so those that are not filled any more go faster than any come. Those that another is
/// just clearing away or filling are left to it.
pub(crate) async fn admit(
    connection: &mut PgConnection,
    bucket: &Bucket,
    rate: Rate,
    now: Timestamp,
) -> Result<Result<(), Timestamp>, Fault> {
    let counted: Option<i64> = sqlx::query_scalar(
        "WITH emptied AS ( \
             SELECT name FROM buckets WHERE full_at <= $2 AND name <> $1 ORDER BY full_at LIMIT 2 FOR UPDATE SKIP LOCKED \
         ), gone AS ( \
             DELETE FROM buckets USING emptied WHERE buckets.name = emptied.name \
         ) \
         INSERT INTO buckets (name, full_at) VALUES ($1, $2 + $3) \
         ON CONFLICT (name) DO UPDATE SET full_at = greatest(least(buckets.full_at, $2 + $4), $2) + $3 \
         WHERE greatest(least(buckets.full_at, $2 + $4), $2) + $3 - $4 <= $2 \
         RETURNING full_at",
    )
    .bind(bucket.as_str())
    .bind(now.micros())
    .bind(rate.interval_micros())
    .bind(rate.depth_micros())
    .fetch_optional(&mut *connection)
    .await?;
    if counted.is_some() {
        return Ok(Ok(()));
    }
    let full_at: Option<i64> = sqlx::query_scalar("SELECT full_at FROM buckets WHERE name = $1")
        .bind(bucket.as_str())
        .fetch_optional(connection)
        .await?;
    // It may have been emptied since; then it is as good as new in a moment.
    let full_at = full_at.and_then(Timestamp::from_micros);
    Ok(Err(rate.admit(full_at, now).err().unwrap_or(now)))
}
