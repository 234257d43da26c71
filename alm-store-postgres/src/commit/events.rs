//! The events of a commit, and by them whether it was made.

use alm_core::{
    changeset::{Changeset, Receipt},
    domain::{ChangesetId, Position, TraceParent},
};
use sqlx::{PgConnection, PgExecutor, types::Uuid};

use crate::{
    error::{Fault, corrupt},
    row::Columns,
};

/// When the events of a commit get their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealing {
    /// With the commit, if no other session is just giving positions: whoever comes then leaves it to the sealer.
    Now,
    /// By the sealer. For transactions that may stay open, because until its end no other session could give any.
    Later,
}

/// Appends the events, and gives the head of the log that is reached by it, if they have got their positions. It fails when one
/// of the changesets was committed before.
pub(super) async fn append(
    connection: &mut PgConnection,
    changesets: &[&Changeset],
    sealing: Sealing,
) -> Result<Option<Position>, Fault> {
    let mut events = Vec::with_capacity(changesets.len());
    for changeset in changesets {
        events.extend((1_i32..).zip(changeset.events()).map(|(ordinal, event)| (changeset, ordinal, event)));
    }
    if events.is_empty() {
        return Ok(None);
    }
    let head: Option<i64> = sqlx::query_scalar(
        "WITH taken AS ( \
             SELECT nextval('commit_order') AS number, \
                    CASE WHEN $1 THEN take_positions(cardinality($2::uuid[])) END AS start \
         ), appended AS ( \
             INSERT INTO events \
             (commit_order, position, changeset_id, ordinal, decided_at, id, type, subject, time, actor, trace, data) \
             SELECT taken.number, taken.start + new.place, new.changeset_id, new.ordinal, new.decided_at, new.id, new.type, \
                    new.subject, new.time, new.actor, new.trace, new.data::json \
             FROM taken, \
                  unnest($2::uuid[], $3::integer[], $4::bigint[], $5::uuid[], $6::text[], $7::text[], $8::bigint[], \
                         $9::text[], $10::text[], $11::text[]) WITH ORDINALITY \
                  AS new (changeset_id, ordinal, decided_at, id, type, subject, time, actor, trace, data, place) \
         ) \
         SELECT start + cardinality($2::uuid[]) FROM taken",
    )
    .bind(sealing == Sealing::Now)
    .bind(events.iter().map(|(changeset, ..)| changeset.id().get()).collect::<Vec<Uuid>>())
    .bind(events.iter().map(|(_, ordinal, _)| *ordinal).collect::<Vec<_>>())
    .bind(events.iter().map(|(changeset, ..)| changeset.at().micros()).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., event)| event.id.get()).collect::<Vec<Uuid>>())
    .bind(events.iter().map(|(.., event)| event.data.event_type().as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., event)| event.subject.to_string()).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., event)| event.time.micros()).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., event)| event.actor.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., event)| event.trace.as_ref().map(TraceParent::as_str)).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., event)| event.data.to_json().to_string()).collect::<Vec<_>>())
    .fetch_one(connection)
    .await?;
    Ok(head.map(|head| Position::new(head.unsigned_abs())))
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
