//! What all writes of rows have in common.

use std::collections::BTreeSet;

use alm_core::{
    domain::Subject,
    ports::{Contention, StoreError},
};
use sqlx::{
    AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type,
    query::{Query, QueryScalar},
    sqlite::{SqliteArguments, SqliteQueryResult},
};

use crate::{error::fault, row::at_most};

/// A statement with its values.
pub(super) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// How rows get into a table: many by one statement, since each statement is a way to the thread of the connection and back.
pub(super) struct Insert {
    /// The table and its columns, as `table (column, …)`.
    pub(super) into: &'static str,
    /// How many values are bound for each row. The first is never NULL.
    pub(super) values: usize,
    /// What the columns are made of: `*`, or expressions of the values, which are called `column1`, `column2`, …
    pub(super) select: &'static str,
    /// What is done about a row that is there already; when empty, the new one is refused.
    pub(super) on_conflict: &'static str,
}

impl Insert {
    /// At most so many rows in one statement.
    pub(super) const ROWS: usize = 64;

    /// A statement that takes `rows` rows; their values are to be bound row by row.
    pub(super) fn of(&self, rows: usize) -> Statement {
        let Self { into, values, select, on_conflict } = self;
        // Parameters without numbers: SQLite finds one that has a number by going through all of them.
        let row = format!("({})", vec!["?"; *values].join(", "));
        let rows = vec![row; Self::places(rows)].join(", ");
        // What is not bound is NULL.
        let sql =
            format!("INSERT INTO {into} SELECT {select} FROM (VALUES {rows}) WHERE column1 IS NOT NULL {on_conflict}");
        sqlx::query(AssertSqlSafe(sql))
    }

    /// Inserts rows, whose values `bind` binds. What one that goes alone is refused for `refused` tells; of several it is not told
    /// which is refused.
    pub(super) async fn all<T: Sync>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[&T],
        bind: fn(Statement, &T) -> Result<Statement, StoreError>,
        refused: fn(sqlx::Error, &T) -> StoreError,
    ) -> Result<(), StoreError> {
        for rows in rows.chunks(Self::ROWS) {
            let statement = rows.iter().try_fold(self.of(rows.len()), |statement, row| bind(statement, row))?;
            if let Err(error) = statement.execute(&mut *connection).await {
                return Err(if let [row] = rows { refused(error, row) } else { commit_fault(error) });
            }
        }
        Ok(())
    }

    /// For how many rows the statement that takes `rows` rows has places. Some stay empty, so that there are few statements, each
    /// of which the connection prepares once.
    pub(super) fn places(rows: usize) -> usize {
        rows.next_power_of_two()
    }
}

/// Runs a statement that breaks no rule of the domain.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statement: Statement,
) -> Result<SqliteQueryResult, StoreError> {
    statement.execute(connection).await.map_err(commit_fault)
}

/// Whether the `SELECT EXISTS` finds something.
pub(super) async fn exists<'v>(
    connection: &mut SqliteConnection,
    sql: &'static str,
    key: impl Encode<'v, Sqlite> + Type<Sqlite> + 'v,
) -> Result<bool, StoreError> {
    sqlx::query_scalar(sql).bind(key).fetch_one(connection).await.map_err(commit_fault)
}

/// Whether the table has a row for each of these ids.
pub(super) async fn all_exist(
    connection: &mut SqliteConnection,
    table: &'static str,
    ids: &BTreeSet<i64>,
) -> Result<bool, StoreError> {
    let ids: Vec<i64> = ids.iter().copied().collect();
    for ids in ids.chunks(Insert::ROWS) {
        let places = vec!["?"; Insert::places(ids.len())].join(", ");
        let sql = format!("SELECT count(*) FROM {table} WHERE id IN ({places})");
        let statement = ids.iter().fold(sqlx::query_scalar(AssertSqlSafe(sql)), QueryScalar::bind);
        let found: i64 = statement.fetch_one(&mut *connection).await.map_err(commit_fault)?;
        if found != at_most(ids.len()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Why a change at a revision changed nothing: someone else was faster, or there is nothing to change.
pub(super) async fn unchanged<'v>(
    connection: &mut SqliteConnection,
    exists_sql: &'static str,
    key: impl Encode<'v, Sqlite> + Type<Sqlite> + 'v,
    subject: Subject,
) -> StoreError {
    match exists(connection, exists_sql, key).await {
        Ok(true) => StoreError::Conflict(Contention::Revision(subject)),
        Ok(false) => StoreError::NotFound(subject),
        Err(error) => error,
    }
}

pub(super) fn commit_fault(error: sqlx::Error) -> StoreError {
    fault("commit", error)
}
