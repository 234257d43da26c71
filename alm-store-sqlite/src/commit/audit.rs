//! Entries of the audit log.

use alm_core::{domain::NewAuditEntry, ports::StoreError};
use sqlx::SqliteConnection;

use super::rows::{Insert, run};
use crate::row::json_text;

// The index is left to SQLite, which takes the highest and one: a transaction that is rolled back uses none up.
const RECORD: Insert = Insert {
    into: "alm_audit (event_id, event_type, source_service, payload, timestamp, recorded_at, actor, subject, latest)",
    values: 9,
    // A row does not see those before it in the same statement.
    select: "
        column1, column2, column3, column4, column5, column6, column7, column8,
        max(column9, coalesce((SELECT latest FROM alm_audit ORDER BY idx DESC LIMIT 1), column9))",
    on_conflict: "",
};

pub(super) async fn record(connection: &mut SqliteConnection, entries: &[&NewAuditEntry]) -> Result<(), StoreError> {
    let mut latest = i64::MIN;
    for entries in entries.chunks(Insert::ROWS) {
        let mut statement = RECORD.of(entries.len());
        for entry in entries {
            latest = latest.max(entry.timestamp);
            statement = statement
                .bind(entry.event_id.get())
                .bind(entry.event_type.as_str())
                .bind(entry.source_service.as_str())
                .bind(json_text(&entry.payload)?)
                .bind(entry.timestamp)
                .bind(entry.recorded_at.micros())
                .bind(entry.actor.as_str())
                .bind(entry.subject.as_str())
                .bind(latest);
        }
        run(connection, statement).await?;
    }
    Ok(())
}
