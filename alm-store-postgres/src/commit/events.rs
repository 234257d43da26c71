//! The events of a commit, and by them whether it was made.

use alm_core::{
    changeset::{Changeset, Receipt},
    domain::{ChangesetId, TraceParent},
};
use sqlx::{PgConnection, PgExecutor, types::Uuid};

use crate::{
    error::{Fault, corrupt},
    row::Columns,
};

/// Appends the events, without positions: the sealer gives them. It fails when the changeset was committed before.
pub(super) async fn append(connection: &mut PgConnection, changeset: &Changeset) -> Result<(), Fault> {
    let events = changeset.events();
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO events \
         (commit_order, ordinal, changeset_id, decided_at, id, type, subject, time, actor, trace, data) \
         SELECT taken.number, new.ordinal, $1, $2, new.id, new.type, new.subject, new.time, new.actor, new.trace, \
                new.data::json \
         FROM (SELECT nextval('commit_order') AS number) taken, \
              unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[]) \
              WITH ORDINALITY AS new (id, type, subject, time, actor, trace, data, ordinal)",
    )
    .bind(changeset.id().get())
    .bind(changeset.at().micros())
    .bind(events.iter().map(|event| event.id.get()).collect::<Vec<Uuid>>())
    .bind(events.iter().map(|event| event.data.event_type().as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.subject.to_string()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.time.micros()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.actor.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.trace.as_ref().map(TraceParent::as_str)).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.data.to_json().to_string()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The receipt of a changeset that was committed and has events, until the last of them is trimmed.
pub(crate) async fn receipt(executor: impl PgExecutor<'_>, id: ChangesetId) -> Result<Option<Receipt>, Fault> {
    let row = sqlx::query("SELECT decided_at FROM events WHERE changeset_id = $1 LIMIT 1")
        .bind(id.get())
        .fetch_optional(executor)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let at = Columns::of("events", &row)
        .time()
        .map_err(|_| corrupt("read a receipt", format!("events.decided_at of the changeset {id} is out of range")))?;
    Ok(Some(Receipt { changeset: id, at }))
}
