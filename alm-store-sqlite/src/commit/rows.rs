//! What all writes of rows have in common.

use alm_core::{
    domain::Subject,
    ports::{Contention, StoreError},
};
use sqlx::{
    Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteQueryResult},
};

use crate::error::fault;

/// A statement with its values.
pub(super) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// Runs a statement that breaks no rule of the domain.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statement: Statement,
) -> Result<SqliteQueryResult, StoreError> {
    statement.execute(connection).await.map_err(commit_fault)
}

/// Whether the `SELECT EXISTS` finds something.
pub(super) async fn exists(connection: &mut SqliteConnection, sql: &'static str, id: i64) -> Result<bool, StoreError> {
    sqlx::query_scalar(sql).bind(id).fetch_one(connection).await.map_err(commit_fault)
}

/// Why a change at a revision changed nothing: someone else was faster, or there is nothing to change.
pub(super) async fn unchanged(
    connection: &mut SqliteConnection,
    exists_sql: &'static str,
    id: i64,
    subject: Subject,
) -> StoreError {
    match exists(connection, exists_sql, id).await {
        Ok(true) => StoreError::Conflict(Contention::Revision(subject)),
        Ok(false) => StoreError::NotFound(subject),
        Err(error) => error,
    }
}

pub(super) fn commit_fault(error: sqlx::Error) -> StoreError {
    fault("commit", error)
}
