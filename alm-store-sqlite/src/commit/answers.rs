//! Answers that are remembered.

use alm_core::{
    changeset::IdempotencyRecord,
    domain::Timestamp,
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::run;
use crate::row::json_text;

const REMEMBER: &str = "
    INSERT INTO alm_answers (principal, action, key, fingerprint, outcome, created_at, expires_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (principal, action, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, outcome = excluded.outcome, created_at = excluded.created_at,
        expires_at = excluded.expires_at
    WHERE expires_at <= ?8";
// Two of the oldest go for each that comes, so what has expired goes faster than anything comes.
const FORGET: &str = "
    DELETE FROM alm_answers
    WHERE rowid IN (SELECT rowid FROM alm_answers WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 2)";

pub(super) async fn remember(
    connection: &mut SqliteConnection,
    record: &IdempotencyRecord,
    at: Timestamp,
) -> Result<(), StoreError> {
    run(connection, sqlx::query(FORGET).bind(at.micros())).await?;
    let statement = sqlx::query(REMEMBER)
        .bind(record.scope.principal.as_str())
        .bind(record.scope.action.as_str())
        .bind(record.scope.key.as_str())
        .bind(record.fingerprint.as_slice())
        .bind(json_text(&record.outcome)?)
        .bind(record.created_at.micros())
        .bind(record.expires_at.micros())
        .bind(at.micros());
    match run(connection, statement).await?.rows_affected() {
        0 => Err(StoreError::AlreadyExists(Unique::IdempotencyKey)),
        _ => Ok(()),
    }
}
