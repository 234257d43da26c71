//! Reads of the log: only what has a position is there.

use std::sync::Arc;

use alm_core::domain::{Event, LogId, Position};
use sqlx::PgConnection;

use crate::{
    error::Fault,
    row::{Logged, all, at_most, bigint, event_columns},
};

pub(crate) async fn events(
    connection: &mut PgConnection,
    log: LogId,
    after: Position,
    limit: usize,
) -> Result<Vec<Arc<Event>>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        event_columns!(),
        " FROM events WHERE position > $1 ORDER BY position LIMIT $2"
    ))
    .bind(bigint(after.get()))
    .bind(at_most(limit))
    .fetch_all(connection)
    .await?;
    Ok(all::<Logged>(&rows)?.into_iter().map(|logged| Arc::new(logged.within(log))).collect())
}

pub(crate) async fn head(connection: &mut PgConnection) -> Result<Position, Fault> {
    let head: i64 = sqlx::query_scalar("SELECT head FROM log").fetch_one(connection).await?;
    Ok(Position::new(head.unsigned_abs()))
}
