//! Writes of audit entries.

use alm_core::domain::NewAuditEntry;
use sqlx::{PgConnection, types::Uuid};

use crate::error::Fault;

/// Records the entries at the next indexes.
///
/// A lock is held until the transaction ends, so recorders go one after the other, and a transaction that is undone gives its
/// indexes back: no sequence does that.
pub(super) async fn record(connection: &mut PgConnection, entries: &[&NewAuditEntry]) -> Result<(), Fault> {
    if entries.is_empty() {
        return Ok(());
    }
    let latest = entries.iter().scan(i64::MIN, |latest, entry| {
        *latest = entry.timestamp.max(*latest);
        Some(*latest)
    });
    sqlx::query(
        "INSERT INTO audit_entries \
         (index, event_id, event_type, source_service, payload, occurred_at, recorded_at, actor, subject, latest) \
         SELECT audit_end.index + new.place, new.event_id, new.event_type, new.source_service, new.payload::json, \
                new.occurred_at, new.recorded_at, new.actor, new.subject, greatest(audit_end.latest, new.latest) \
         FROM audit_end(), unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], \
                                  $7::text[], $8::bytea[], $9::bigint[]) WITH ORDINALITY \
              AS new (event_id, event_type, source_service, payload, occurred_at, recorded_at, actor, subject, latest, \
                      place)",
    )
    .bind(entries.iter().map(|entry| entry.event_id.get()).collect::<Vec<Uuid>>())
    .bind(entries.iter().map(|entry| entry.event_type.as_bytes()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.source_service.as_bytes()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.payload.to_string()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.timestamp).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.recorded_at.micros()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.actor.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.subject.as_bytes()).collect::<Vec<_>>())
    .bind(latest.collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
