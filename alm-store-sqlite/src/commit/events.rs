//! Events, which are also the receipts of their changesets.

use alm_core::{
    changeset::Receipt,
    domain::{ChangesetId, NewEvent, Position, TraceParent},
    ports::StoreError,
};
use sqlx::SqliteConnection;

use super::rows::{commit_fault, run};
use crate::{read::receipts, row::json_text};

// The position is left to SQLite, which takes the highest and one: a transaction that is rolled back uses none up.
const APPEND: &str = "
    INSERT INTO alm_events (id, changeset, nth, event_type, subject, data, time, actor, trace)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// The receipt of a changeset that was committed before.
pub(super) async fn receipt(
    connection: &mut SqliteConnection,
    changeset: ChangesetId,
) -> Result<Option<Receipt>, StoreError> {
    let found = receipts::query(changeset).fetch_optional(connection).await.map_err(commit_fault)?;
    found.as_ref().map(receipts::parse).transpose()
}

/// Appends the events, and gives the position of the last.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    changeset: ChangesetId,
    events: &[NewEvent],
) -> Result<Option<Position>, StoreError> {
    let mut head = None;
    for (event, nth) in events.iter().zip(0_i64..) {
        let statement = sqlx::query(APPEND)
            .bind(event.id.get())
            .bind(changeset.get())
            .bind(nth)
            .bind(event.data.event_type().as_str())
            .bind(event.subject.to_string())
            .bind(json_text(&event.data.to_json())?)
            .bind(event.time.micros())
            .bind(event.actor.as_str())
            .bind(event.trace.as_ref().map(TraceParent::as_str));
        let position = run(connection, statement).await?.last_insert_rowid();
        head = Some(Position::new(position.unsigned_abs()));
    }
    Ok(head)
}
