//! Writes of remembered answers.

use alm_core::{changeset::IdempotencyRecord, domain::Timestamp};

use super::statement::{Rows, Statement};

/// Parts that remember answers, each in the place of one that has expired when its changeset was decided. The last is called
/// `remembered` and has a row for each that is.
///
/// Two others that have expired go for each that comes, so they go faster than any come. Those that another commit is just
/// clearing away or using again are left to it.
pub(super) fn remember(statement: &mut Statement, answers: &[(&IdempotencyRecord, Timestamp)]) {
    statement.push("new_answers AS MATERIALIZED (SELECT * FROM ");
    Rows::of(statement)
        .column("bytea[]", answers.iter().map(|(record, _)| record.scope.principal.as_bytes()))
        .column("text[]", answers.iter().map(|(record, _)| record.scope.action.as_str()))
        .column("text[]", answers.iter().map(|(record, _)| record.scope.key.as_str()))
        .column("bytea[]", answers.iter().map(|(record, _)| record.fingerprint.as_slice()))
        .column("text[]", answers.iter().map(|(record, _)| record.outcome.to_string()))
        .column("bigint[]", answers.iter().map(|(record, _)| record.created_at.micros()))
        .column("bigint[]", answers.iter().map(|(record, _)| record.expires_at.micros()))
        .column("bigint[]", answers.iter().map(|(_, at)| at.micros()))
        .called("new (principal, action, key, fingerprint, outcome, created_at, expires_at, at)")
        .push(
            "), expired AS ( \
                 SELECT principal, action, key FROM answers \
                 WHERE expires_at <= (SELECT min(at) FROM new_answers) \
                       AND NOT EXISTS (SELECT FROM new_answers new WHERE (new.principal, new.action, new.key) \
                                                                   = (answers.principal, answers.action, answers.key)) \
                 ORDER BY expires_at LIMIT 2 * (SELECT count(*) FROM new_answers) FOR UPDATE SKIP LOCKED \
             ), gone AS ( \
                 DELETE FROM answers USING expired WHERE answers.principal = expired.principal \
                 AND answers.action = expired.action AND answers.key = expired.key \
             ), remembered AS ( \
                 INSERT INTO answers (principal, action, key, fingerprint, outcome, created_at, expires_at) \
                 SELECT principal, action, key, fingerprint, outcome::json, created_at, expires_at FROM new_answers \
                 ON CONFLICT (principal, action, key) DO UPDATE SET fingerprint = excluded.fingerprint, \
                 outcome = excluded.outcome, created_at = excluded.created_at, expires_at = excluded.expires_at \
                 WHERE answers.expires_at <= (SELECT at FROM new_answers new \
                     WHERE (new.principal, new.action, new.key) = (answers.principal, answers.action, answers.key)) \
                 RETURNING 1 \
             )",
        );
}
