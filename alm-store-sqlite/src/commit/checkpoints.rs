//! How far consumers have read.

use alm_core::{
    changeset::Checkpoint,
    ports::{Contention, StoreError},
};
use sqlx::SqliteConnection;

use super::rows::run;
use crate::row::stored;

// A consumer that has never stood anywhere stands at the start.
const ADVANCE: &str = "
    INSERT INTO alm_checkpoints (consumer, log, position)
    SELECT ?1, ?2, ?4
    WHERE ?3 = 0 OR EXISTS (SELECT 1 FROM alm_checkpoints WHERE consumer = ?1 AND log = ?2)
    ON CONFLICT (consumer, log) DO UPDATE SET position = excluded.position WHERE position = ?3";

pub(super) async fn advance(connection: &mut SqliteConnection, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let Checkpoint { consumer, log, from, to } = checkpoint;
    let statement =
        sqlx::query(ADVANCE).bind(consumer.as_str()).bind(log.get()).bind(stored(from.get())?).bind(stored(to.get())?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(StoreError::Conflict(Contention::Checkpoint(consumer.clone()))),
        _ => Ok(()),
    }
}
