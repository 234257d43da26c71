//! Events that a consumer gave up on.

use alm_core::{
    changeset::{ConsumerName, DeadLetter},
    domain::{LogId, Position},
    ports::{Contention, StoreError},
};
use sqlx::SqliteConnection;

use super::rows::run;
use crate::row::{json_text, sought, stored};

const BURY: &str = "
    INSERT INTO alm_dead_letters (consumer, log, position, event_id, document, reason, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (consumer, log, position) DO UPDATE
    SET event_id = excluded.event_id, document = excluded.document, reason = excluded.reason, at = excluded.at";

pub(super) async fn bury(connection: &mut SqliteConnection, letter: &DeadLetter) -> Result<(), StoreError> {
    let statement = sqlx::query(BURY)
        .bind(letter.consumer.as_str())
        .bind(letter.log.get())
        .bind(stored(letter.position.get())?)
        .bind(letter.event_id.get())
        .bind(json_text(&letter.document)?)
        .bind(letter.reason.as_str())
        .bind(letter.at.micros());
    run(connection, statement).await.map(drop)
}

pub(super) async fn settle(
    connection: &mut SqliteConnection,
    consumer: &ConsumerName,
    log: LogId,
    position: Position,
) -> Result<(), StoreError> {
    let statement = sqlx::query("DELETE FROM alm_dead_letters WHERE consumer = ?1 AND log = ?2 AND position = ?3")
        .bind(consumer.as_str())
        .bind(log.get())
        .bind(sought(position.get()));
    match run(connection, statement).await?.rows_affected() {
        0 => Err(StoreError::Conflict(Contention::DeadLetter { consumer: consumer.clone(), log, position })),
        _ => Ok(()),
    }
}
