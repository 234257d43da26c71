//! Reads. Each is one statement, so it sees one state of the file; pages are sought by an index, and end with it.
//!
//! A filter is part of the text of the statement where an index serves it, and a value beside it where none does.

pub(crate) mod answers;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod consumers;
pub(crate) mod credentials;
pub(crate) mod deployments;
pub(crate) mod events;
mod labels;
pub(crate) mod parents;
#[cfg(test)]
mod plans;
pub(crate) mod receipts;
pub(crate) mod revocations;
pub(crate) mod running;
pub(crate) mod tree;
pub(crate) mod users;
pub(crate) mod versions;

use alm_core::ports::StoreError;
use sqlx::{
    Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::error::fault;

/// A statement with its values.
pub(crate) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// The row of a statement that has at most one.
pub(crate) async fn one<T>(
    readers: &SqlitePool,
    statement: Statement,
    parse: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let row = statement.fetch_optional(readers).await.map_err(|error| fault("read", error))?;
    row.as_ref().map(parse).transpose()
}

/// The rows of a statement.
pub(crate) async fn all<T>(
    readers: &SqlitePool,
    statement: Statement,
    parse: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let rows = statement.fetch_all(readers).await.map_err(|error| fault("read", error))?;
    rows.iter().map(parse).collect()
}
