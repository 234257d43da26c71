//! Reads of the log: only what has a position is there.

use std::sync::Arc;

use alm_core::{
    domain::{Event, LogId, Position},
    ports::StoreError,
};
use sqlx::{PgConnection, Row};

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
    // One statement, so that the events and where the log begins are from one moment. It has a row also when there is no event.
    let rows = sqlx::query(concat!(
        "SELECT page.*, log_oldest.position FROM log_oldest LEFT JOIN LATERAL (SELECT ",
        event_columns!(),
        " FROM events WHERE position > $1 ORDER BY position LIMIT $2) page ON true ORDER BY page.position"
    ))
    .bind(bigint(after.get()))
    .bind(at_most(limit))
    .fetch_all(connection)
    .await?;
    if let Some(row) = rows.first() {
        let oldest = Position::new(row.try_get::<i64, _>(row.len() - 1)?.unsigned_abs());
        if after < oldest.previous() {
            return Err(StoreError::Gone { oldest }.into());
        }
        if row.try_get::<Option<i64>, _>(0)?.is_none() {
            return Ok(Vec::new());
        }
    }
    Ok(all::<Logged>(&rows)?.into_iter().map(|logged| Arc::new(logged.within(log))).collect())
}

pub(crate) async fn oldest(connection: &mut PgConnection) -> Result<Position, Fault> {
    let oldest: i64 = sqlx::query_scalar("SELECT position FROM log_oldest").fetch_one(connection).await?;
    Ok(Position::new(oldest.unsigned_abs()))
}

pub(crate) async fn head(connection: &mut PgConnection) -> Result<Position, Fault> {
    let head: i64 = sqlx::query_scalar("SELECT head FROM log").fetch_one(connection).await?;
    Ok(Position::new(head.unsigned_abs()))
}

/// How many events have no position yet, counted up to 10,000, and how many seconds ago the first of them was decided.
pub(crate) async fn unsealed(connection: &mut PgConnection) -> Result<(i64, f64), Fault> {
    let seen = sqlx::query_as(
        "SELECT count(*), coalesce(greatest(0, extract(epoch FROM clock_timestamp()) - min(time) / 1e6), 0)::double precision
        FROM (SELECT time FROM events WHERE position IS NULL ORDER BY commit_order, ordinal LIMIT 10000) unsealed",
    );
    Ok(seen.fetch_one(connection).await?)
}
