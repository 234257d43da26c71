//! Answers that are remembered.

use alm_core::{
    changeset::IdempotencyRecord,
    domain::Timestamp,
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::{
    retention::forget_answers,
    rows::{Insert, run},
};
use crate::row::json_text;

const REMEMBER: Insert = Insert {
    into: "alm_answers (principal, action, key, fingerprint, outcome, created_at, expires_at)",
    values: 7,
    select: "*",
    on_conflict: "
        ON CONFLICT (principal, action, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, outcome = excluded.outcome, created_at = excluded.created_at,
            expires_at = excluded.expires_at
        WHERE expires_at <= ?",
};

/// Remembers answers, each in place of one that has expired at `at`.
pub(super) async fn remember(
    connection: &mut SqliteConnection,
    records: &[&IdempotencyRecord],
    at: Timestamp,
) -> Result<(), StoreError> {
    for records in records.chunks(Insert::ROWS) {
        // Two of the oldest go for each that comes, so what has expired goes faster than anything comes.
        forget_answers(connection, at, 2 * records.len()).await?;
        let mut statement = REMEMBER.of(records.len());
        for record in records {
            statement = statement
                .bind(record.scope.principal.as_str())
                .bind(record.scope.action.as_str())
                .bind(record.scope.key.as_str())
                .bind(record.fingerprint.as_slice())
                .bind(json_text(&record.outcome)?)
                .bind(record.created_at.micros())
                .bind(record.expires_at.micros());
        }
        // What comes behind the rows is found behind the places that stay empty.
        for _ in 0..(Insert::places(records.len()) - records.len()) * REMEMBER.values {
            statement = statement.bind(None::<i64>);
        }
        let remembered = run(connection, statement.bind(at.micros())).await?.rows_affected();
        if remembered != records.len() as u64 {
            return Err(StoreError::AlreadyExists(Unique::IdempotencyKey));
        }
    }
    Ok(())
}
