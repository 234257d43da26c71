//! The audit log.

use std::{borrow::Cow, fmt::Display};

use alm_core::{
    domain::{Actor, AuditEntry, AuditIndex, EventId, NewAuditEntry, Timestamp},
    ports::{AuditFilter, StoreError},
};
use serde::Deserialize;
use sqlx::{Row as _, SqlitePool};

use super::Statement;
use crate::{
    error::{corrupt, fault, is_not_done},
    row::{at_most, sought},
};

// Entries come as one row with one text: to hand over nine values of each costs more than to find them.
macro_rules! entries {
    ($($sought:literal),+) => {
        concat!(
            "SELECT json_group_array(json_array(
                idx, hex(event_id), event_type, source_service, payload, timestamp, recorded_at, actor, subject
            )) FROM (SELECT * FROM alm_audit ",
            $($sought,)+
            ") AS page"
        )
    };
}

macro_rules! page {
    ($sought:literal) => {
        entries!(
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

const BY_INDEX: &str = entries!("WHERE idx = ?1");
const PAGE: &str = page!("WHERE TRUE");
const OF_EVENT_TYPE: &str = page!("INDEXED BY alm_audit_by_event_type WHERE event_type = ?5");
const FROM_SERVICE: &str = page!("INDEXED BY alm_audit_by_source_service WHERE source_service = ?6");
const BY_ACTOR: &str = page!("INDEXED BY alm_audit_by_actor WHERE actor = ?7");
const ABOUT_SUBJECT: &str = page!("INDEXED BY alm_audit_by_subject WHERE subject = ?8");

/// The statements that read pages; the first asks for everything.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[PAGE, OF_EVENT_TYPE, FROM_SERVICE, BY_ACTOR, ABOUT_SUBJECT];

pub(crate) async fn by_index(readers: &SqlitePool, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
    Ok(entries(readers, sqlx::query(BY_INDEX).bind(sought(index.get()))).await?.pop())
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
    entries(readers, statement).await
}

async fn entries(readers: &SqlitePool, statement: Statement) -> Result<Vec<AuditEntry>, StoreError> {
    let page = statement.fetch_one(readers).await.and_then(|row| row.try_get::<String, _>(0));
    let page = page.map_err(|error| {
        // The statement is right. What it can't make a text of, such as bytes, ALM has not written.
        if is_not_done(&error) { corrupt("read", format!("table alm_audit: {error}")) } else { fault("read", error) }
    })?;
    let entries: Vec<Packed<'_>> =
        serde_json::from_str(&page).map_err(|error| corrupt("read", format!("table alm_audit: {error}")))?;
    let mut entries = entries.into_iter().map(Packed::unpack).collect::<Result<Vec<_>, _>>()?;
    // They are found in this order, but SQLite promises none within a group.
    entries.sort_by_key(|entry| entry.index);
    Ok(entries)
}

/// The columns of an entry, as a page has them.
#[derive(Deserialize)]
struct Packed<'a>(
    u64,
    #[serde(borrow)] Cow<'a, str>,
    String,
    String,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    i64,
    String,
    String,
);

impl Packed<'_> {
    fn unpack(self) -> Result<AuditEntry, StoreError> {
        let Self(index, event_id, event_type, source_service, payload, timestamp, recorded_at, actor, subject) = self;
        let entry = NewAuditEntry {
            event_id: EventId::new(event_id.parse().map_err(|error: uuid::Error| broken(index, "event_id", &error))?),
            event_type,
            source_service,
            payload: serde_json::from_str(&payload).map_err(|error| broken(index, "payload", &error))?,
            timestamp,
            recorded_at: Timestamp::from_micros(recorded_at).ok_or_else(|| broken(index, "recorded_at", &"no time"))?,
            actor: Actor::parse(actor).map_err(|error| broken(index, "actor", &error))?,
            subject,
        };
        Ok(AuditEntry { index: AuditIndex::new(index), entry })
    }
}

fn broken(index: u64, column: &str, error: &dyn Display) -> StoreError {
    corrupt("read", format!("table alm_audit, column {column}, row {index}: {error}"))
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
