//! The log.

use std::sync::Arc;

use alm_core::{
    domain::{
        Actor, ChangesetId, Event, EventData, EventId, EventType, LogId, NewEvent, Position, Subject, TraceParent,
    },
    ports::StoreError,
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, one};
use crate::{
    error::corrupt,
    row::{Columns, at_most, sought},
};

const PAGE: &str = "
    SELECT position, id, changeset, subject, event_type, data, time, actor, trace FROM alm_events
    WHERE position > max(?1, (SELECT position - 1 FROM alm_log_oldest WHERE one = 1)) ORDER BY position LIMIT ?2";
const OLDEST: &str = "SELECT one, position FROM alm_log_oldest";
// Also when it was trimmed: the newest event stays in the table.
const HEAD: &str = "SELECT position FROM alm_events ORDER BY position DESC LIMIT 1";

/// The statements that read pages.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[PAGE];

pub(crate) async fn page(
    readers: &SqlitePool,
    log: LogId,
    after: Position,
    limit: usize,
) -> Result<Vec<Arc<Event>>, StoreError> {
    let statement = sqlx::query(PAGE).bind(sought(after.get())).bind(at_most(limit));
    let events = all(readers, statement, |row| parse(log, row)).await?;
    // The log has no gap, so when the first event does not follow, what is between was trimmed. When there is none, perhaps all
    // was. To ask by a statement of its own is right: what is not trimmed now was not before.
    if events.first().is_some_and(|event| event.position == after.next()) {
        return Ok(events);
    }
    let oldest = oldest(readers).await?;
    if after < oldest.previous() { Err(StoreError::Gone { oldest }) } else { Ok(events) }
}

pub(crate) async fn oldest(readers: &SqlitePool) -> Result<Position, StoreError> {
    let oldest = one(readers, sqlx::query(OLDEST), |row| {
        let mut columns = Columns::of("alm_log_oldest", row);
        columns.take::<i64>()?;
        columns.count(Position::new)
    })
    .await?;
    oldest.ok_or_else(|| corrupt("read", "the table alm_log_oldest is empty".to_owned()))
}

pub(crate) async fn head(readers: &SqlitePool) -> Result<Position, StoreError> {
    let head = one(readers, sqlx::query(HEAD), |row| Columns::of("alm_events", row).count(Position::new)).await?;
    Ok(head.unwrap_or(Position::START))
}

fn parse(log: LogId, row: &SqliteRow) -> Result<Arc<Event>, StoreError> {
    let mut columns = Columns::of("alm_events", row);
    let position = columns.count(Position::new)?;
    let id = EventId::new(columns.take()?);
    let changeset = ChangesetId::new(columns.take()?);
    let subject = columns.parse(Subject::parse)?;
    let event_type = columns.find(EventType::parse)?;
    let data = columns.parse(|text: &str| EventData::from_json(event_type, serde_json::from_str(text)?))?;
    let time = columns.time()?;
    let actor: Actor = columns.text()?;
    let trace = columns.parse(|trace: Option<String>| trace.map(TraceParent::parse).transpose())?;
    Ok(Arc::new(Event { log, position, changeset, event: NewEvent { id, subject, data, time, actor, trace } }))
}
