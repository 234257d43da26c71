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
use crate::row::{Columns, at_most, sought};

const PAGE: &str = "
    SELECT position, id, changeset, subject, event_type, data, time, actor, trace FROM alm_events
    WHERE position > ?1 ORDER BY position LIMIT ?2";
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
    all(readers, statement, |row| parse(log, row)).await
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
