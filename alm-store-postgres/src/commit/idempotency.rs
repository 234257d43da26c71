//! Writes of remembered answers.

use alm_core::{
    changeset::IdempotencyRecord,
    domain::Timestamp,
    ports::{StoreError, Unique},
};
use sqlx::PgConnection;

use crate::error::Fault;

/// Remembers an answer in the place of one that has expired.
///
/// Two others that have expired go for each that comes, so they go faster than any come. Those that another commit is just
/// clearing away or using again are left to it.
pub(super) async fn remember(
    connection: &mut PgConnection,
    record: &IdempotencyRecord,
    at: Timestamp,
) -> Result<(), Fault> {
    let done = sqlx::query(
        "WITH expired AS ( \
             SELECT principal, action, key FROM answers \
             WHERE expires_at <= $8 AND (principal, action, key) <> ($1, $2, $3) \
             ORDER BY expires_at LIMIT 2 FOR UPDATE SKIP LOCKED \
         ), gone AS ( \
             DELETE FROM answers USING expired WHERE answers.principal = expired.principal \
             AND answers.action = expired.action AND answers.key = expired.key \
         ) \
         INSERT INTO answers (principal, action, key, fingerprint, outcome, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5::json, $6, $7) \
         ON CONFLICT (principal, action, key) DO UPDATE SET fingerprint = excluded.fingerprint, \
         outcome = excluded.outcome, created_at = excluded.created_at, expires_at = excluded.expires_at \
         WHERE answers.expires_at <= $8",
    )
    .bind(record.scope.principal.as_bytes())
    .bind(record.scope.action.as_str())
    .bind(record.scope.key.as_str())
    .bind(record.fingerprint.as_slice())
    .bind(record.outcome.to_string())
    .bind(record.created_at.micros())
    .bind(record.expires_at.micros())
    .bind(at.micros())
    .execute(connection)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::AlreadyExists(Unique::IdempotencyKey).into());
    }
    Ok(())
}
