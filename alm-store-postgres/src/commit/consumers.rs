//! Writes of consumers: how far they have read, and what they gave up on.

use alm_core::{
    changeset::{Checkpoint, ConsumerName, DeadLetter},
    domain::{LogId, Position},
    ports::{Contention, StoreError},
};
use sqlx::PgConnection;

use crate::{error::Fault, row::bigint};

/// Moves the checkpoint, if it stands where it should.
pub(super) async fn advance(connection: &mut PgConnection, checkpoint: &Checkpoint) -> Result<(), Fault> {
    let Checkpoint { consumer, log, from, to } = checkpoint;
    // Whoever has never stood anywhere stands at the start, and only there a row may have to be made.
    let statement = if *from == Position::START {
        "INSERT INTO checkpoints (consumer, log, position) VALUES ($1, $2, $4) \
         ON CONFLICT (consumer, log) DO UPDATE SET position = excluded.position WHERE checkpoints.position = $3"
    } else {
        "UPDATE checkpoints SET position = $4 WHERE consumer = $1 AND log = $2 AND position = $3"
    };
    let done = sqlx::query(statement)
        .bind(consumer.as_str())
        .bind(log.get())
        .bind(bigint(from.get()))
        .bind(bigint(to.get()))
        .execute(connection)
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Conflict(Contention::Checkpoint(consumer.clone())).into());
    }
    Ok(())
}

/// Keeps a letter in the place of an earlier one about the same event.
pub(super) async fn bury(connection: &mut PgConnection, letter: &DeadLetter) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO dead_letters (consumer, log, position, event_id, document, reason, buried_at) \
         VALUES ($1, $2, $3, $4, $5::json, $6, $7) \
         ON CONFLICT (consumer, log, position) DO UPDATE SET event_id = excluded.event_id, \
         document = excluded.document, reason = excluded.reason, buried_at = excluded.buried_at",
    )
    .bind(letter.consumer.as_str())
    .bind(letter.log.get())
    .bind(bigint(letter.position.get()))
    .bind(letter.event_id.get())
    .bind(letter.document.to_string())
    .bind(letter.reason.as_bytes())
    .bind(letter.at.micros())
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a letter away. Of two who do so at once the second waits for the first, and then finds none.
pub(super) async fn settle(
    connection: &mut PgConnection,
    consumer: &ConsumerName,
    log: LogId,
    position: Position,
) -> Result<(), Fault> {
    let done = sqlx::query("DELETE FROM dead_letters WHERE consumer = $1 AND log = $2 AND position = $3")
        .bind(consumer.as_str())
        .bind(log.get())
        .bind(bigint(position.get()))
        .execute(connection)
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Conflict(Contention::DeadLetter { consumer: consumer.clone(), log, position }).into());
    }
    Ok(())
}
