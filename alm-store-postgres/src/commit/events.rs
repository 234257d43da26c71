//! The events of a commit, and by them whether it was made.

use alm_core::{
    changeset::{Changeset, Receipt},
    domain::{ChangesetId, Position, TraceParent},
};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    error::{Fault, corrupt},
    row::Columns,
};

use super::statement::{Rows, Statement};

/// When the events of a commit get their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealing {
    /// With the commit, if no other session is just giving positions: whoever comes then leaves it to the sealer.
    Now,
    /// By the sealer. For transactions that may stay open, because until its end no other session could give any.
    Later,
}

/// Appends the events, and gives the head of the log that is reached by it, if they have got their positions. It fails when the
/// changeset was committed before.
pub(super) async fn append(
    connection: &mut PgConnection,
    changeset: &Changeset,
    sealing: Sealing,
) -> Result<Option<Position>, Fault> {
    if changeset.events().is_empty() {
        return Ok(None);
    }
    let mut statement = Statement::new("WITH ");
    appended(&mut statement, &[changeset], sealing, "");
    head(&mut statement, connection).await
}

/// The end of a statement that begins with parts: appends the events, and asks for the head of the log. Positions are taken when
/// `condition` was looked at.
pub(super) fn appended(
    statement: &mut Statement,
    changesets: &[&Changeset],
    sealing: Sealing,
    condition: &'static str,
) {
    let events = || {
        changesets.iter().flat_map(|changeset| {
            (1_i32..).zip(changeset.events()).map(move |(ordinal, event)| (*changeset, ordinal, event))
        })
    };
    let count = i64::try_from(events().count()).unwrap_or(i64::MAX);
    statement.push("taken AS MATERIALIZED (SELECT nextval('commit_order') AS number, ");
    match sealing {
        Sealing::Now => drop(statement.push("take_positions(").push_bind(count).push(")")),
        Sealing::Later => drop(statement.push("NULL::bigint")),
    }
    statement.push(" AS start").push(condition).push(
        "), appended AS ( \
             INSERT INTO events \
             (commit_order, position, changeset_id, ordinal, decided_at, id, type, subject, time, actor, trace, data) \
             SELECT taken.number, taken.start + new.place, new.changeset_id, new.ordinal, new.decided_at, new.id, new.type, \
                    new.subject, new.time, new.actor, new.trace, new.data::json \
             FROM taken, ",
    );
    Rows::of(statement)
        .column("uuid[]", events().map(|(changeset, ..)| changeset.id().get()))
        .column("integer[]", events().map(|(_, ordinal, _)| ordinal))
        .column("bigint[]", events().map(|(changeset, ..)| changeset.at().micros()))
        .column("uuid[]", events().map(|(.., event)| event.id.get()))
        .column("text[]", events().map(|(.., event)| event.data.type_name()))
        .column("text[]", events().map(|(.., event)| event.subject.to_string()))
        .column("bigint[]", events().map(|(.., event)| event.time.micros()))
        .column("text[]", events().map(|(.., event)| event.actor.as_str()))
        .column("text[]", events().map(|(.., event)| event.trace.as_ref().map(TraceParent::as_str)))
        .column("text[]", events().map(|(.., event)| event.data.to_json().to_string()))
        .numbered("new (changeset_id, ordinal, decided_at, id, type, subject, time, actor, trace, data, place)")
        .push(") SELECT start + ")
        .push_bind(count)
        .push(" FROM taken");
}

/// Makes a statement that ends so; gives the head.
pub(super) async fn head(statement: &mut Statement, connection: &mut PgConnection) -> Result<Option<Position>, Fault> {
    let head: Option<i64> = statement.build_query_scalar().fetch_one(connection).await?;
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
