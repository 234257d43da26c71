//! Reads of what consumers and callers come back to: checkpoints, dead letters, answers.

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope},
    domain::{LogId, Position},
};
use sqlx::{PgConnection, types::Uuid};

use crate::{
    error::Fault,
    row::{all, answer_columns, at_most, bigint, letter_columns, one},
};

pub(super) async fn remembered(
    connection: &mut PgConnection,
    scope: &IdempotencyScope,
) -> Result<Option<IdempotencyRecord>, Fault> {
    let row = sqlx::query(concat!(
        "SELECT ",
        answer_columns!(),
        " FROM answers WHERE principal = $1 AND action = $2 AND key = $3"
    ))
    .bind(scope.principal.as_bytes())
    .bind(scope.action.as_str())
    .bind(scope.key.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(one(row.as_ref())?)
}

pub(super) async fn checkpoint(
    connection: &mut PgConnection,
    consumer: &ConsumerName,
    log: LogId,
) -> Result<Option<Position>, Fault> {
    let position: Option<i64> = sqlx::query_scalar("SELECT position FROM checkpoints WHERE consumer = $1 AND log = $2")
        .bind(consumer.as_str())
        .bind(log.get())
        .fetch_optional(connection)
        .await?;
    Ok(position.map(|position| Position::new(position.unsigned_abs())))
}

pub(super) async fn dead_letters(
    connection: &mut PgConnection,
    consumer: &ConsumerName,
    after: Option<(LogId, Position)>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Fault> {
    // The least of all ids with a position below every one comes before every letter.
    let (log, position) = after.map_or((Uuid::nil(), -1), |(log, position)| (log.get(), bigint(position.get())));
    let rows = sqlx::query(concat!(
        "SELECT ",
        letter_columns!(),
        " FROM dead_letters WHERE consumer = $1 AND (log, position) > ($2, $3) ORDER BY log, position LIMIT $4"
    ))
    .bind(consumer.as_str())
    .bind(log)
    .bind(position)
    .bind(at_most(limit))
    .fetch_all(connection)
    .await?;
    Ok(all(&rows)?)
}
