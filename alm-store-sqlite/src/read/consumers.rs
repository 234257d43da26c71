//! How far consumers have read, and what they gave up on.

use alm_core::{
    changeset::{ConsumerName, DeadLetter},
    domain::{EventId, LogId, Position},
    ports::StoreError,
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, one};
use crate::row::{Columns, at_most, sought};

const CHECKPOINT: &str = "SELECT consumer, position FROM alm_checkpoints WHERE consumer = ?1 AND log = ?2";
const DEAD_LETTERS: &str = "
    SELECT consumer, log, position, event_id, document, reason, at FROM alm_dead_letters
    WHERE consumer = ?1 AND (log, position) > (?2, ?3) ORDER BY log, position LIMIT ?4";

/// The statements that read pages.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[DEAD_LETTERS];

pub(crate) async fn checkpoint(
    readers: &SqlitePool,
    consumer: &ConsumerName,
    log: LogId,
) -> Result<Option<Position>, StoreError> {
    one(readers, sqlx::query(CHECKPOINT).bind(consumer.as_str()).bind(log.get()), |row| {
        let mut columns = Columns::of("alm_checkpoints", row);
        columns.take::<&str>()?;
        columns.count(Position::new)
    })
    .await
}

pub(crate) async fn dead_letters(
    readers: &SqlitePool,
    consumer: &ConsumerName,
    after: Option<(LogId, Position)>,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    // No bytes at all are before every log.
    let (log, position) = after
        .map_or_else(|| (Vec::new(), 0), |(log, position)| (log.get().as_bytes().to_vec(), sought(position.get())));
    let statement = sqlx::query(DEAD_LETTERS).bind(consumer.as_str()).bind(log).bind(position).bind(at_most(limit));
    all(readers, statement, parse).await
}

fn parse(row: &SqliteRow) -> Result<DeadLetter, StoreError> {
    let mut columns = Columns::of("alm_dead_letters", row);
    Ok(DeadLetter {
        consumer: columns.text()?,
        log: LogId::new(columns.take()?),
        position: columns.count(Position::new)?,
        event_id: EventId::new(columns.take()?),
        document: columns.json()?,
        reason: columns.take()?,
        at: columns.time()?,
    })
}
