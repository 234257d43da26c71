//! Events, which are also the receipts of their changesets.

use alm_core::{
    changeset::{Changeset, Receipt},
    domain::{ChangesetId, Position, TraceParent},
    ports::StoreError,
};
use sqlx::SqliteConnection;

use super::rows::{Insert, commit_fault, run};
use crate::{read::receipts, row::json_text};

// The position is left to SQLite, which takes the highest and one: a transaction that is rolled back uses none up.
const APPEND: Insert = Insert {
    into: "alm_events (id, changeset, nth, event_type, subject, data, time, actor, trace)",
    values: 9,
    select: "*",
    on_conflict: "",
};

/// The receipt of a changeset that was committed before.
pub(super) async fn receipt(
    connection: &mut SqliteConnection,
    changeset: ChangesetId,
) -> Result<Option<Receipt>, StoreError> {
    let found = receipts::query(changeset).fetch_optional(connection).await.map_err(commit_fault)?;
    found.as_ref().map(receipts::parse).transpose()
}

/// Appends the events of changesets, in their order, and gives the position of the last.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    changesets: &[&Changeset],
) -> Result<Option<Position>, StoreError> {
    let mut events = Vec::with_capacity(changesets.len());
    for changeset in changesets {
        events.extend((0_i64..).zip(changeset.events()).map(|(nth, event)| (changeset.id(), nth, event)));
    }
    let mut head = None;
    for events in events.chunks(Insert::ROWS) {
        let mut statement = APPEND.of(events.len());
        for (changeset, nth, event) in events {
            statement = statement
                .bind(event.id.get())
                .bind(changeset.get())
                .bind(nth)
                .bind(event.data.type_name())
                .bind(event.subject.to_string())
                .bind(json_text(&event.data.to_json())?)
                .bind(event.time.micros())
                .bind(event.actor.as_str())
                .bind(event.trace.as_ref().map(TraceParent::as_str));
        }
        let position = run(connection, statement).await?.last_insert_rowid();
        head = Some(Position::new(position.unsigned_abs()));
    }
    Ok(head)
}
