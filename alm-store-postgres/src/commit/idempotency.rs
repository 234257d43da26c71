//! Writes of remembered answers.

use alm_core::{
    changeset::IdempotencyRecord,
    domain::Timestamp,
    ports::{StoreError, Unique},
};
use sqlx::PgConnection;

use crate::error::Fault;

/// Remembers answers, each in the place of one that has expired when its changeset was decided.
///
/// Two others that have expired go for each that comes, so they go faster than any come. Those that another commit is just
/// clearing away or using again are left to it.
pub(super) async fn remember(
    connection: &mut PgConnection,
    answers: &[(&IdempotencyRecord, Timestamp)],
) -> Result<(), Fault> {
    let done = sqlx::query(
        "WITH new AS ( \
             SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], \
                                  $7::bigint[], $8::bigint[]) \
                      AS new (principal, action, key, fingerprint, outcome, created_at, expires_at, at) \
         ), expired AS ( \
             SELECT principal, action, key FROM answers \
             WHERE expires_at <= (SELECT min(at) FROM new) \
                   AND NOT EXISTS (SELECT FROM new WHERE (new.principal, new.action, new.key) \
                                                         = (answers.principal, answers.action, answers.key)) \
             ORDER BY expires_at LIMIT 2 * (SELECT count(*) FROM new) FOR UPDATE SKIP LOCKED \
         ), gone AS ( \
             DELETE FROM answers USING expired WHERE answers.principal = expired.principal \
             AND answers.action = expired.action AND answers.key = expired.key \
         ) \
         INSERT INTO answers (principal, action, key, fingerprint, outcome, created_at, expires_at) \
         SELECT principal, action, key, fingerprint, outcome::json, created_at, expires_at FROM new \
         ON CONFLICT (principal, action, key) DO UPDATE SET fingerprint = excluded.fingerprint, \
         outcome = excluded.outcome, created_at = excluded.created_at, expires_at = excluded.expires_at \
         WHERE answers.expires_at <= (SELECT at FROM new WHERE (new.principal, new.action, new.key) \
                                                               = (answers.principal, answers.action, answers.key))",
    )
    .bind(answers.iter().map(|(record, _)| record.scope.principal.as_bytes()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(record, _)| record.scope.action.as_str()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(record, _)| record.scope.key.as_str()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(record, _)| record.fingerprint.as_slice()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(record, _)| record.outcome.to_string()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(record, _)| record.created_at.micros()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(record, _)| record.expires_at.micros()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(_, at)| at.micros()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    if usize::try_from(done.rows_affected()) == Ok(answers.len()) {
        return Ok(());
    }
    Err(StoreError::AlreadyExists(Unique::IdempotencyKey).into())
}
