//! Entries of the audit log.

use alm_core::{domain::NewAuditEntry, ports::StoreError};
use sqlx::SqliteConnection;

use super::rows::run;
use crate::row::json_text;

// The index is left to SQLite, which takes the highest and one: a transaction that is rolled back uses none up.
const RECORD: &str = "
    INSERT INTO alm_audit (
        event_id, event_type, source_service, payload, timestamp, latest, recorded_at, actor, subject
    )
    VALUES (
        ?1, ?2, ?3, ?4, ?5,
        max(?5, coalesce((SELECT latest FROM alm_audit ORDER BY idx DESC LIMIT 1), ?5)),
        ?6, ?7, ?8
    )";

pub(super) async fn record(connection: &mut SqliteConnection, entry: &NewAuditEntry) -> Result<(), StoreError> {
    let statement = sqlx::query(RECORD)
        .bind(entry.event_id.get())
        .bind(entry.event_type.as_str())
        .bind(entry.source_service.as_str())
        .bind(json_text(&entry.payload)?)
        .bind(entry.timestamp)
        .bind(entry.recorded_at.micros())
        .bind(entry.actor.as_str())
        .bind(entry.subject.as_str());
    run(connection, statement).await.map(drop)
}
