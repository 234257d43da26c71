//! Writes of audit entries.

use alm_core::domain::NewAuditEntry;
use sqlx::{PgConnection, types::Uuid};

use crate::error::Fault;

/// Records the entries at the next indexes.
///
/// The row of `audit_head` is locked until the transaction ends, so recorders go one after the other, and a transaction that is
/// undone gives its indexes back: no sequence does that.
pub(super) async fn record(connection: &mut PgConnection, entries: &[&NewAuditEntry]) -> Result<(), Fault> {
    if entries.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    sqlx::query(
        "WITH head AS (UPDATE audit_head SET index = index + $1 RETURNING index - $1 AS start) \
         INSERT INTO audit_entries \
         (index, event_id, event_type, source_service, payload, occurred_at, recorded_at, actor, subject) \
         SELECT head.start + new.place, new.event_id, new.event_type, new.source_service, new.payload::json, \
                new.occurred_at, new.recorded_at, new.actor, new.subject \
         FROM head, unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], \
                           $9::bytea[]) WITH ORDINALITY \
              AS new (event_id, event_type, source_service, payload, occurred_at, recorded_at, actor, subject, place)",
    )
    .bind(count)
    .bind(entries.iter().map(|entry| entry.event_id.get()).collect::<Vec<Uuid>>())
    .bind(entries.iter().map(|entry| entry.event_type.as_bytes()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.source_service.as_bytes()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.payload.to_string()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.timestamp).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.recorded_at.micros()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.actor.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.subject.as_bytes()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
