//! The audit log.

use alm_core::{
    domain::{Actor, AuditEntry, AuditIndex, EventId, NewAuditEntry, Timestamp},
    ports::{AuditFilter, StoreError},
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, one};
use crate::row::{Columns, at_most, sought};

macro_rules! page {
    ($sought:literal) => {
        concat!(
            "SELECT idx, event_id, event_type, source_service, payload, timestamp, recorded_at, actor, subject
            FROM alm_audit ",
            $sought,
            // Nothing before the first entry whose time, or one before it, is late enough.
            " AND idx > max(?1, CASE WHEN ?3 IS NULL THEN 0 ELSE coalesce((
                SELECT early.idx - 1 FROM alm_audit AS early INDEXED BY alm_audit_by_latest
                WHERE early.latest >= ?3 ORDER BY early.latest, early.idx LIMIT 1
            ), 9223372036854775807) END)
            AND (?3 IS NULL OR timestamp >= ?3) AND (?4 IS NULL OR timestamp < ?4)
            AND (?5 IS NULL OR +event_type = ?5) AND (?6 IS NULL OR +source_service = ?6)
            AND (?7 IS NULL OR +actor = ?7) AND (?8 IS NULL OR +subject = ?8)
            ORDER BY idx LIMIT ?2"
        )
    };
}

const BY_INDEX: &str = "
    SELECT idx, event_id, event_type, source_service, payload, timestamp, recorded_at, actor, subject
    FROM alm_audit WHERE idx = ?1";
const PAGE: &str = page!("WHERE TRUE");
const OF_EVENT_TYPE: &str = page!("INDEXED BY alm_audit_by_event_type WHERE event_type = ?5");
const FROM_SERVICE: &str = page!("INDEXED BY alm_audit_by_source_service WHERE source_service = ?6");
const BY_ACTOR: &str = page!("INDEXED BY alm_audit_by_actor WHERE actor = ?7");
const ABOUT_SUBJECT: &str = page!("INDEXED BY alm_audit_by_subject WHERE subject = ?8");

/// The statements that read pages; the first asks for everything.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[PAGE, OF_EVENT_TYPE, FROM_SERVICE, BY_ACTOR, ABOUT_SUBJECT];

pub(crate) async fn by_index(readers: &SqlitePool, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
    one(readers, sqlx::query(BY_INDEX).bind(sought(index.get())), parse).await
}

pub(crate) async fn page(
    readers: &SqlitePool,
    filter: &AuditFilter,
    after: Option<AuditIndex>,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let statement = sqlx::query(narrowest(filter))
        .bind(after.map_or(0, |after| sought(after.get())))
        .bind(at_most(limit))
        .bind(filter.since.map(Timestamp::millis))
        .bind(filter.until.map(Timestamp::millis))
        .bind(filter.event_type.as_deref())
        .bind(filter.source_service.as_deref())
        .bind(filter.actor.as_ref().map(Actor::as_str))
        .bind(filter.subject.as_deref());
    all(readers, statement, parse).await
}

/// The statement whose index leaves the fewest to compare: subjects are many, services are few.
fn narrowest(filter: &AuditFilter) -> &'static str {
    match filter {
        AuditFilter { subject: Some(_), .. } => ABOUT_SUBJECT,
        AuditFilter { actor: Some(_), .. } => BY_ACTOR,
        AuditFilter { event_type: Some(_), .. } => OF_EVENT_TYPE,
        AuditFilter { source_service: Some(_), .. } => FROM_SERVICE,
        _ => PAGE,
    }
}

fn parse(row: &SqliteRow) -> Result<AuditEntry, StoreError> {
    let mut columns = Columns::of("alm_audit", row);
    Ok(AuditEntry {
        index: columns.count(AuditIndex::new)?,
        entry: NewAuditEntry {
            event_id: EventId::new(columns.take()?),
            event_type: columns.take()?,
            source_service: columns.take()?,
            payload: columns.json()?,
            timestamp: columns.take()?,
            recorded_at: columns.time()?,
            actor: columns.text()?,
            subject: columns.take()?,
        },
    })
}
