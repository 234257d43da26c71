//! Reads of the audit log.

use alm_core::{
    domain::{AuditEntry, AuditIndex, Timestamp},
    ports::AuditFilter,
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::{
    error::Fault,
    row::{all, at_most, audit_columns, bigint, one},
};

/// So many bytes of a text stand in the index: no more fit in for sure.
const INDEXED: usize = 128;

pub(super) async fn get(connection: &mut PgConnection, index: AuditIndex) -> Result<Option<AuditEntry>, Fault> {
    let row = sqlx::query(concat!("SELECT ", audit_columns!(), " FROM audit_entries WHERE index = $1"))
        .bind(bigint(index.get()))
        .fetch_optional(connection)
        .await?;
    Ok(one(row.as_ref())?)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &AuditFilter,
    after: Option<AuditIndex>,
    limit: usize,
) -> Result<Vec<AuditEntry>, Fault> {
    Ok(all(&page(filter, after, limit).build().fetch_all(connection).await?)?)
}

/// The statement that reads a page.
pub(super) fn page(filter: &AuditFilter, after: Option<AuditIndex>, limit: usize) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(concat!("SELECT ", audit_columns!(), " FROM audit_entries WHERE index > "));
    query.push_bind(after.map_or(0, |after| bigint(after.get())));
    if let Some(text) = &filter.event_type {
        is(&mut query, "event_type", text);
    }
    if let Some(text) = &filter.source_service {
        is(&mut query, "source_service", text);
    }
    if let Some(text) = &filter.subject {
        is(&mut query, "subject", text);
    }
    if let Some(actor) = &filter.actor {
        query.push(" AND actor = ").push_bind(actor.as_str());
    }
    if let Some(since) = filter.since.map(Timestamp::millis) {
        query.push(" AND occurred_at >= ").push_bind(since);
        // The first entry at or after which there can be any; there need not be one.
        query
            .push(" AND index >= (SELECT early.index FROM audit_entries early WHERE early.latest >= ")
            .push_bind(since);
        query.push(" ORDER BY early.latest, early.index LIMIT 1)");
    }
    if let Some(until) = filter.until {
        query.push(" AND occurred_at < ").push_bind(until.millis());
    }
    query.push(" ORDER BY index LIMIT ").push_bind(at_most(limit));
    query
}

/// The text is found by its beginning, for which there is an index, and compared whole if there is more of it.
fn is(query: &mut QueryBuilder<Postgres>, column: &'static str, text: &str) {
    let beginning = &text.as_bytes()[..text.len().min(INDEXED)];
    query.push(" AND substring(").push(column).push(" FROM 1 FOR 128) = ").push_bind(beginning);
    query.push(" AND ").push(column).push(" = ").push_bind(text.as_bytes());
}
